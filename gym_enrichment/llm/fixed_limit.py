"""A limit that is what it was set to, for transports behind which requests queue (a batch of thousands is one call).

What must not live here: learning from how calls went (limits.py).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gym_enrichment.llm.allowance import Allowance


class FixedLimit:
    """A gate for calls with the face of AdaptiveLimit.

    Args:
        most: calls in flight at the very most.
    """

    rate: float | None = None

    def __init__(self, most: int) -> None:
        self.limit = most
        self.in_flight = 0
        self._places = asyncio.Semaphore(most)

    @asynccontextmanager
    async def place(self, _tokens: int) -> AsyncIterator[None]:
        """A place for one call; waits for it, first come first served."""
        async with self._places:
            self.in_flight += 1
            try:
                yield
            finally:
                self.in_flight -= 1

    def announced(self, allowance: Allowance) -> None:
        """Nothing to learn."""

    def answered(self, seconds: float) -> None:
        """Nothing to learn."""

    def refused(self, started: float, retry_after: float | None) -> None:
        """Nothing to learn."""
