"""Guards against rules whose cost explodes with what a stranger writes. Not a measure of speed: that is benchmarks/."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

_MOST_CPU_SECONDS = 20.0
"""A rule that backtracks takes minutes or years; a good one a fraction of a second, on the slowest machine a few."""


@contextmanager
def bounded_cost() -> Iterator[None]:
    """What happens in the context may take no more CPU than a rule that does not backtrack."""
    began = time.process_time()
    yield
    assert time.process_time() - began < _MOST_CPU_SECONDS
