"""How many calls may be in flight, and how fast they may start: found out by watching the server.

The limit climbs while more calls bring more answers, steps back when they do not, and falls at once when the
server refuses. After a refusal starts are paced just below the rate the server was seen to bear.
What must not live here: retrying, and limits shared with other processes (storage/llm_admission.py).
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gym_enrichment.llm.allowance import Allowance, Left
from gym_enrichment.llm.climber import START, Climber
from gym_enrichment.llm.pace import FIRST_PAUSE, Pace


class AdaptiveLimit:
    """A gate for calls. `async with limit.place(tokens):` around each call; tell it how the call went.

    Args:
        most: calls in flight at the very most; never exceeded.
        clock: seconds; a test brings its own.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.in_flight = 0
        self._most = most
        self._clock = clock
        self._limit = float(min(most, START))
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._tokens_in_flight = 0
        self._requests_left = _Announced()
        self._tokens_left = _Announced()
        self._timer: asyncio.TimerHandle | None = None
        self._paused_until = 0.0
        self._open = False
        self._climber = Climber(self._limit, float(most), clock())
        self._pace = Pace(clock)

    @property
    def limit(self) -> int:
        """Calls that may be in flight now."""
        return max(1, int(self._limit))

    @property
    def rate(self) -> float | None:
        """Starts per second that are allowed now; None while no server has refused."""
        return self._pace.rate

    @asynccontextmanager
    async def place(self, tokens: int) -> AsyncIterator[None]:
        """A place for one call of about `tokens`; waits for it, first come first served."""
        await self._enter(tokens)
        try:
            yield
        finally:
            self._leave(tokens)

    def announced(self, allowance: Allowance) -> None:
        """The server said what is left of its limits. Calls in flight may not be counted in it yet: we do."""
        now = self._clock()
        if allowance.requests is not None:
            self._requests_left.set(allowance.requests, now, self.in_flight - 1)
        if allowance.tokens is not None:
            self._tokens_left.set(allowance.tokens, now, self._tokens_in_flight)

    def answered(self, seconds: float) -> None:
        """A call was answered in `seconds`: learn from it."""
        self._pace.answered(self._clock() - seconds)
        # Only where places are what calls wait for do answers per second say something of their number.
        crowded = bool(self._waiters) and self.in_flight >= self.limit
        self._limit = self._climber.answered(seconds, self._clock(), crowded=crowded)

    def refused(self, started: float, retry_after: float | None) -> None:
        """The server refused a call that started at `started` (by the clock), or did not answer it in time.

        Everything waits for `retry_after` if the server says so. Refusals of calls that started before the
        last slowing down say nothing new.
        """
        now = self._clock()
        pause = self._pace.refused(started, retry_after)
        self._paused_until = max(self._paused_until, now + pause)
        if pause >= FIRST_PAUSE:
            self._limit = self._climber.disturbed(now)

    def open(self) -> None:
        """Let everybody in from now on: nothing will be sent any more, and who waits has to learn it."""
        self._open = True
        self._admit()

    async def _enter(self, tokens: int) -> None:
        if not self._waiters and self._wait_seconds(tokens) == 0.0:
            self._start(tokens)
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((tokens, place))
        self._admit()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._leave(tokens)
            raise

    def _leave(self, tokens: int) -> None:
        self.in_flight -= 1
        self._tokens_in_flight -= tokens
        self._admit()

    def _start(self, tokens: int) -> None:
        self.in_flight += 1
        self._tokens_in_flight += tokens
        self._requests_left.take(1)
        self._tokens_left.take(tokens)
        self._pace.started()

    def _wait_seconds(self, tokens: int) -> float:
        """0 if a call may start now; infinity if another has to end first."""
        if self._open:
            return 0.0
        if self.in_flight >= self.limit:
            return float("inf")
        now = self._clock()
        announced = max(self._requests_left.wait_seconds(1, now), self._tokens_left.wait_seconds(tokens, now))
        return max(0.0, self._paused_until - now, self._pace.wait_seconds(), announced)

    def _admit(self) -> None:
        while self._waiters:
            tokens, place = self._waiters[0]
            if place.cancelled():
                self._waiters.popleft()
                continue
            wait = self._wait_seconds(tokens)
            if wait > 0.0:
                if wait != float("inf"):
                    self._wake_in(wait)
                return
            self._waiters.popleft()
            self._start(tokens)
            place.set_result(None)

    def _wake_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._admit)


class _Announced:
    """What is left of one of the server's limits, as far as it said so."""

    def __init__(self) -> None:
        self._left: int | None = None
        self._reset_at = 0.0

    def set(self, left: Left, now: float, in_flight: int) -> None:
        """`in_flight` may have been sent after the server counted."""
        self._left = left.remaining - max(0, in_flight)
        self._reset_at = now + left.reset_seconds

    def take(self, amount: int) -> None:
        if self._left is not None:
            self._left -= amount

    def wait_seconds(self, amount: int, now: float) -> float:
        """0 if `amount` is left, or nothing is known; else until the limit is full again."""
        if self._left is None or self._left >= amount:
            return 0.0
        if now >= self._reset_at:
            self._left = None
            return 0.0
        return self._reset_at - now
