"""How fast calls may start, once a server has refused some: found by small experiments.

A level is judged by the share of its calls that is refused. If slowing down makes the share fall, the server has
a capacity, and the pace stays below it; if it does not, refusals come whatever the pace is, and the pace stays up.
"""

import time
from collections import deque
from collections.abc import Callable

SEEN_SECONDS = 1.0
"""Servers count requests by the second or the minute: a rate seen for less is a burst, not a rate."""
FIRST_PAUSE, NEXT_PAUSE = 1.0, 0.1
"""After the first flood of refusals, while the rate is anybody's guess; after those that show its border."""
_RECENT, _FLOOD = 10, 5
"""Half of the last ten calls refused need no longer look."""
_GLANCE, _LOOK = 20, 50
"""Calls that can show that a level is too high; calls that show that it is not."""
_TOLERATED = 0.02
_MOST_USUAL = 0.3
"""A server that refuses more than this whatever the pace is cannot be told from one without room."""
_BELOW = 0.95
_STEEPEST = 0.7
"""A few refusals after each other are not the share of all."""
_BOLDEST, _FINE, _FINEST = 1.3, 1.09, 1.04
_PROBE_SECONDS, _SETTLED_PROBE_SECONDS, _LONGEST_PROBE_SECONDS = 1.0, 10.0, 160.0
"""Wait before trying a little more: short while the border is looked for; once it is found, a settled level holds
for longer with every try that is refused."""
_PROBE_CALLS = 10
_USED = 0.8
"""Of the allowed starts, so many must have been made: a rate that nothing asked for was not borne."""
_LEAST_RATE = 1 / 60
_LATE_SECONDS = 0.02
"""Timers are late by milliseconds: starts may catch up on so much, or fast paces would lose a tenth."""


class Pace:
    """The rate of starts; None, as long as the server refuses no more than stray calls."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate: float | None = None
        self._clock = clock
        self._starts: deque[float] = deque()
        self._refusals: deque[float] = deque()
        self._next_start = 0.0
        self._usual = 0.0
        self._trial: _Trial | None = None
        self._step = _BOLDEST
        self._probe_after = _PROBE_SECONDS
        self._probed_at = clock()
        self._look_anew()

    def started(self) -> None:
        """A call starts now."""
        now = self._clock()
        _remember(self._starts, now)
        if self.rate is not None:
            self._level_starts += 1
            self._probe(now)
            self._next_start = max(self._next_start, now - _LATE_SECONDS) + 1.0 / self.rate

    def wait_seconds(self) -> float:
        """Until the next call may start; not above 0 if it may now."""
        return 0.0 if self.rate is None else self._next_start - self._clock()

    def answered(self, started: float) -> None:
        """A call that began at `started` was not refused."""
        if started >= self._level_since:
            self._count(refused=False)
            if self._calls >= _LOOK:
                self._judge()

    def refused(self, started: float, retry_after: float | None) -> float:
        """A call that began at `started` was refused; returns for how long nothing may start."""
        asked = retry_after or 0.0
        _remember(self._refusals, self._clock())
        if started < self._level_since:
            return asked
        self._count(refused=True)
        pause = 0.0
        # A server that says how long to wait counts: its refusals are not by chance.
        if self._flooded() or self._too_many() or (asked and self.rate is not None):
            pause = FIRST_PAUSE if self.rate is None else NEXT_PAUSE
            self._slow_down()
        elif self._calls >= _LOOK:
            self._judge()
        return max(asked, pause)

    def _count(self, *, refused: bool) -> None:
        self._calls += 1
        self._refused += refused
        self._recent.append(refused)

    @property
    def _share(self) -> float:
        return self._refused / max(1, self._calls)

    def _flooded(self) -> bool:
        """Whether it is plain after a few calls that the server refuses more than it usually does."""
        return sum(self._recent) >= _FLOOD + 2 * _RECENT * self._usual

    def _too_many(self) -> bool:
        """Whether a look says so; a step down is given its full time to show whether it helped."""
        if self.rate is None or (self._trial is not None and not self._trial.upwards):
            return False
        if self._trial is not None and self._usual == 0.0:
            return True
        return self._calls >= _GLANCE and self._refused >= 2 and self._above_usual()

    def _above_usual(self) -> bool:
        return self._share > 2 * self._usual + _TOLERATED

    def _slow_down(self) -> None:
        now = self._clock()
        trial, self._trial = self._trial, None
        if self.rate is None:
            oldest = now - SEEN_SECONDS
            accepted = sum(at >= oldest for at in self._starts) - sum(at >= oldest for at in self._refusals)
            self._go_to(max(accepted * _BELOW, 1.0) / SEEN_SECONDS)
        elif trial is not None and trial.upwards:
            self._shrink_step()
            self._go_to(trial.rate)
        else:
            origin = trial or _Trial(self.rate, self._share, upwards=False)
            self._trial = origin
            self._go_to(self.rate * max(_STEEPEST, _BELOW * (1 - self._refused / max(self._calls, _GLANCE))))

    def _judge(self) -> None:
        """The level has been looked at for long enough and is not too high."""
        trial, self._trial = self._trial, None
        if trial is None:
            self._usual = min(self._usual, (self._usual + self._share) / 2)
        elif trial.upwards:
            self._step = min(_BOLDEST, 1 + 2 * (self._step - 1))
            if self._step > _FINE:
                self._probe_after = max(_PROBE_SECONDS, self._probe_after / 2)
        elif self._slowed_in_vain(trial):
            self._usual = max(self._share, trial.share)
            self._go_to(trial.rate)
        elif self._above_usual():
            self._slow_down()
        self._look_anew()

    def _slowed_in_vain(self, trial: "_Trial") -> bool:
        """Whether the refusals have nothing to do with the pace: nearer to the share before than to what a server
        that accepts no more than it did would refuse now."""
        assert self.rate is not None
        by_capacity = max(0.0, 1 - (1 - trial.share) * trial.rate / self.rate)
        return self._share > (trial.share + by_capacity) / 2 and max(self._share, trial.share) <= _MOST_USUAL

    def _shrink_step(self) -> None:
        if self._step <= _FINE:
            self._probe_after = min(max(2 * self._probe_after, _SETTLED_PROBE_SECONDS), _LONGEST_PROBE_SECONDS)
        self._step = max(_FINEST, 1 + (self._step - 1) / 2)

    def _probe(self, now: float) -> None:
        """A little more, once the present rate has been borne for long enough; bolder while tries are borne."""
        assert self.rate is not None
        seconds = now - self._probed_at
        if self._trial is not None or seconds < max(self._probe_after, _PROBE_CALLS / self.rate):
            return
        used = self._level_starts >= _USED * self.rate * (now - self._level_since)
        self._probed_at = now
        if used:
            self._trial = _Trial(self.rate, self._share, upwards=True)
            self._go_to(self.rate * self._step)

    def _go_to(self, rate: float) -> None:
        self.rate = max(rate, _LEAST_RATE)
        self._probed_at = self._clock()
        self._look_anew()

    def _look_anew(self) -> None:
        """Only calls that begin from now on say something of the present level."""
        self._level_since = self._clock()
        self._level_starts = 0
        self._calls = 0
        self._refused = 0
        self._recent: deque[bool] = deque(maxlen=_RECENT)


class _Trial:
    """A step that is being judged: the rate that it left, and the share that was refused there."""

    def __init__(self, rate: float, share: float, *, upwards: bool) -> None:
        self.rate = rate
        self.share = share
        self.upwards = upwards


def _remember(moments: deque[float], now: float) -> None:
    moments.append(now)
    while moments[0] < now - SEEN_SECONDS:
        moments.popleft()
