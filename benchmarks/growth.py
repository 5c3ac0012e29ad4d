"""One size of the growth benchmark, in a process of its own: `python -m benchmarks.growth ADDRESS GYMS`."""

import json
import resource
import sys
from functools import partial

from benchmarks.bench import measured, ours, prepared


def main() -> None:
    """Prints CPU per gym and the peak of resident memory as JSON."""
    address, gyms = sys.argv[1], int(sys.argv[2])
    with prepared(address, at_once=50) as settings:
        ours(settings, 200, seed=1)  # imports and first statements are no growth
        _, cpu = measured(partial(ours, settings, gyms))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu_ms": cpu / gyms * 1000, "peak_mb": peak_mb}))


if __name__ == "__main__":
    main()
