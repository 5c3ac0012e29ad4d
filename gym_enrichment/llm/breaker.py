"""Tells a provider that is down from gyms that fail: one message after a bounded time, not one per gym."""

import time
from collections.abc import Callable

from gym_enrichment.llm.errors import CallError, ErrorKind, RunStopped

_LEAST_FAILURES = 20
"""So many calls in a row must have failed: a few slow ones are no outage."""


class Breaker:
    """Stops the run when nothing was answered for `patience` seconds while calls kept failing.

    Args:
        patience: seconds without one answer.
        clock: seconds; a test brings its own.
    """

    def __init__(self, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._failures = 0
        self._since = 0.0

    def answered(self) -> None:
        """The provider lives."""
        self._failures = 0

    def failed(self, error: CallError) -> None:
        """Count a call that was not answered.

        Raises:
            RunStopped: that was one too many.
        """
        if self._failures == 0:
            self._since = self._clock()
        self._failures += 1
        silent = self._clock() - self._since
        if self._failures >= _LEAST_FAILURES and silent >= self._patience:
            raise RunStopped(
                ErrorKind(error.kind),
                f"the LLM server has not answered for {silent:.0f} seconds ({self._failures} calls in a row failed,"
                f" the last one: {error.message}). Run again when it is back",
            )
