"""Property-based tests of everything that parses: rules that hold for any input, not examples.

`make test` runs the same few hundred inputs each everywhere, `make fuzz` new ones by the ten thousand (conftest.py).
What a run of it found stays as an `@example`.
"""

import hypothesis


def share(of_all: float) -> hypothesis.settings:
    """The settings of a test whose inputs cost more than others': a share of the usual number of them."""
    return hypothesis.settings(max_examples=max(10, int(hypothesis.settings().max_examples * of_all)))
