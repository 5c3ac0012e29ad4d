"""Tells a provider that is down from gyms that fail: one message after a bounded time, not one per gym."""

import time
from collections.abc import Callable

from gym_enrichment.llm.errors import CallError

_LEAST_FAILURES = 20
"""So many calls in a row must have failed: a few slow ones are no outage."""


class Breaker:
    """Says that the run has to stop when nothing was answered for `patience` seconds while calls kept failing.

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

    def failed(self, error: CallError) -> str | None:
        """Count a call that was not answered; why the run has to stop, if that was one too many."""
        if self._failures == 0:
            self._since = self._clock()
        self._failures += 1
        silent = self._clock() - self._since
        if self._failures < _LEAST_FAILURES or silent < self._patience:
            return None
        return (
            f"the LLM server has not answered for {silent:.0f} seconds ({self._failures} calls in a row failed,"
            f" the last one: {error.message}). Run again when it is back"
        )
