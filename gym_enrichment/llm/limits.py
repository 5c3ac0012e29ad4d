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
from statistics import median

from gym_enrichment.llm.allowance import Allowance, Left

START = 20
"""In flight before anything is known of the server: what the rate limits of the smallest accounts bear."""
_SEEN_SECONDS = 1.0
"""Servers count requests by the second or the minute: a rate seen for less is a burst, not a rate."""
_PAUSE_SECONDS = 1.0
_PROBE_SECONDS = (10.0, 160.0)
"""Wait before trying a little more; doubles with every try that is refused, so that a settled level holds."""
_PACE_BELOW = 0.95
_PACE_STEP = 1.04
_FIRST_STEP, _LEAST_STEP = 2.0, 1.1
_GAIN = 0.5
"""A step up is kept if answers per second rise by at least half of what calls in flight rose by."""
_CLIMB = 2.0
"""Latency at this multiple of the best seen means that calls queue at the server."""
_SETTLED_SECONDS = 30.0


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
        self._climber = _Climber(self._limit, float(most), clock())
        self._pace = _Pace(clock)

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
        self._pace.answered()
        if self._pace.rate is None:
            self._limit = self._climber.answered(seconds, self._clock(), crowded=bool(self._waiters))

    def refused(self, started: float, retry_after: float | None) -> None:
        """The server refused a call that started at `started` (by the clock), or did not answer it in time.

        Everything waits for `retry_after` if the server says so. Refusals of calls that started before the
        last slowing down say nothing new.
        """
        now = self._clock()
        pause = self._pace.refused(started, retry_after)
        self._paused_until = max(self._paused_until, now + pause)

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


class _Pace:
    """The rate of starts after a refusal: just below what was borne, with rarer and rarer tries for more."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.rate: float | None = None
        self._clock = clock
        self._answers: deque[float] = deque()
        self._next_start = 0.0
        self._slowed_at = float("-inf")
        self._probe_after = _PROBE_SECONDS[0]
        self._probed_at = float("-inf")
        self._borne = 0.0

    def started(self) -> None:
        if self.rate is not None:
            self._probe()
            self._next_start = max(self._next_start, self._clock()) + 1.0 / self.rate

    def wait_seconds(self) -> float:
        return 0.0 if self.rate is None else self._next_start - self._clock()

    def answered(self) -> None:
        now = self._clock()
        self._answers.append(now)
        while self._answers[0] < now - _SEEN_SECONDS:
            self._answers.popleft()

    def refused(self, started: float, retry_after: float | None) -> float:
        """Slow down; returns for how long nothing may start."""
        now = self._clock()
        asked = retry_after or 0.0
        if started < self._slowed_at:
            return asked
        seen = sum(moment >= now - _SEEN_SECONDS for moment in self._answers) / _SEEN_SECONDS
        if self.rate is None:
            self.rate = max(seen * _PACE_BELOW, 1.0 / _SEEN_SECONDS)
            pause = _PAUSE_SECONDS
        elif now - self._probed_at < self._probe_after:
            self.rate = self._borne
            self._probe_after = min(self._probe_after * 2, _PROBE_SECONDS[1])
            pause = _PAUSE_SECONDS / 4
        else:
            self.rate *= _PACE_BELOW
            pause = _PAUSE_SECONDS / 4
        self._slowed_at = now
        self._probed_at = now
        self._borne = self.rate
        return max(asked, pause)

    def _probe(self) -> None:
        """A little more, once the present rate has been borne for long enough."""
        assert self.rate is not None
        now = self._clock()
        if now - self._probed_at >= self._probe_after:
            self._borne = self.rate
            self.rate *= _PACE_STEP
            self._probed_at = now


class _Climber:
    """Finds how many calls in flight bring the most answers per second, in steps that grow finer."""

    def __init__(self, limit: float, most: float, now: float) -> None:
        self._limit = limit
        self._most = most
        self._step = _FIRST_STEP
        self._upwards = True
        self._before: tuple[float, float] | None = None
        self._best_latency = float("inf")
        self._settled_at: float | None = None
        self._crowded = False
        self._skip = 0
        self._latencies: list[float] = []
        self._patience = _SETTLED_SECONDS
        self._epoch_started = now

    def answered(self, seconds: float, now: float, *, crowded: bool) -> float:
        """Learn from one answer; returns the limit from now on."""
        self._crowded = self._crowded or crowded
        if self._skip > 0:
            # Answers to calls that began under the previous limit say nothing of this one.
            self._skip -= 1
            if self._skip == 0:
                self._epoch_started = now
            return self._limit
        self._latencies.append(seconds)
        if len(self._latencies) < max(START, 2 * self._limit):
            return self._limit
        answers_per_second = len(self._latencies) / max(now - self._epoch_started, 1e-6)
        latency = median(self._latencies)
        if self._crowded:
            self._judge(answers_per_second, latency, now)
        self._best_latency = min(self._best_latency, latency)
        self._begin(now)
        return self._limit

    def _begin(self, now: float) -> None:
        self._latencies = []
        self._epoch_started = now
        self._crowded = False
        self._skip = 0

    def _judge(self, answers_per_second: float, latency: float, now: float) -> None:
        if self._before is not None:
            self._judge_step(answers_per_second, now)
        elif self._settled_at is not None and not self._restless(latency, now):
            return
        if self._settled_at is None:
            self._take_step(answers_per_second, now)

    def _restless(self, latency: float, now: float) -> bool:
        """Whether a settled limit has to be looked for again: calls queue, or it has been a long time."""
        queueing = latency > _CLIMB * self._best_latency
        if not queueing and now - (self._settled_at or now) < self._patience:
            return False
        self._upwards = not queueing and self._limit < self._most
        self._step = _FIRST_STEP if queueing else _LEAST_STEP
        self._patience *= 2
        self._settled_at = None
        return True

    def _judge_step(self, answers_per_second: float, now: float) -> None:
        """Keep the step if it paid, else go back and try a finer one, or the other way."""
        assert self._before is not None
        old_limit, old_answers = self._before
        self._before = None
        gain = answers_per_second / old_answers - 1
        grown = self._limit / old_limit - 1
        # Upwards a step must bring answers; downwards it must not cost any.
        paid = gain >= _GAIN * grown if self._upwards else gain >= -0.02
        if paid:
            return
        worse = gain < -0.05
        self._limit = old_limit
        if self._upwards and worse and self._step >= _FIRST_STEP:
            self._upwards = False
        self._step = 1 + (self._step - 1) / 2.5
        if self._step < _LEAST_STEP:
            self._settled_at = now

    def _take_step(self, answers_per_second: float, now: float) -> None:
        wanted = self._limit * self._step if self._upwards else self._limit / self._step
        wanted = min(self._most, max(1.0, wanted))
        if int(wanted) == int(self._limit):
            self._settled_at = now
            return
        self._before = (self._limit, answers_per_second)
        self._skip = int(self._limit)
        self._limit = wanted
