"""How many calls in flight bring the most answers per second, found in steps that grow finer."""

from statistics import median

START = 20
"""In flight before anything is known of the server: what the rate limits of the smallest accounts bear."""
_FIRST_STEP, _LEAST_STEP = 2.0, 1.1
_GAIN = 0.5
"""A step up is kept if answers per second rise by at least half of what calls in flight rose by."""
_NOISE = 0.05
"""Changes of answers per second that say nothing."""
_SPARE = 1.1
_CLIMB = 2.0
"""Latency at this multiple of the best seen means that calls queue at the server."""
_SETTLED_SECONDS = 30.0


class Climber:
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
        self._skip = int(limit)
        self._latencies: list[float] = []
        self._patience = _SETTLED_SECONDS
        self._epoch_started = now

    def answered(self, seconds: float, now: float, *, crowded: bool) -> float:
        """Learn from one answer; returns the limit from now on."""
        self._crowded = self._crowded or crowded
        if self._skip > 0:
            self._skip -= 1
            if self._skip == 0:
                self._epoch_started = now
            return self._limit
        self._latencies.append(seconds)
        if len(self._latencies) < max(START, 2 * self._limit):
            return self._limit
        answers_per_second = len(self._latencies) / max(now - self._epoch_started, 1e-6)
        latency = median(self._latencies)
        crowded = self._crowded
        self._begin(now)
        if crowded:
            self._judge(answers_per_second, latency, now)
        self._best_latency = min(self._best_latency, latency)
        return self._limit

    def disturbed(self, now: float) -> float:
        """A refusal or a pause: what is being measured says nothing. Returns the limit from now on."""
        if self._before is not None:
            self._go_to(self._before[0])
            self._before = None
        self._begin(now)
        self._skip = int(self._limit)
        return self._limit

    def _begin(self, now: float) -> None:
        self._latencies = []
        self._epoch_started = now
        self._crowded = False
        self._skip = 0

    def _judge(self, answers_per_second: float, latency: float, now: float) -> None:
        if self._before is not None:
            if not self._keep_step(answers_per_second, now):
                return
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

    def _keep_step(self, answers_per_second: float, now: float) -> bool:
        """Whether the last step paid. If not: go back (as far as it brought nothing), then try a finer one."""
        assert self._before is not None
        old_limit, old_answers = self._before
        self._before = None
        gain = answers_per_second / old_answers - 1
        grown = self._limit / old_limit - 1
        # Upwards a step must bring answers; downwards it must not cost any.
        paid = gain >= _GAIN * grown if self._upwards else gain >= -0.02
        if paid:
            return True
        worse = gain < -_NOISE
        # Little's law: as many calls as before times what answers rose by bring all that the step brought. A few
        # more are held, since one too few costs answers and one too many only waits.
        gained = self._upwards and gain > _NOISE
        self._go_to(min(old_limit * (1 + gain) * _SPARE, self._limit) if gained else old_limit)
        if self._upwards and worse and self._step >= _FIRST_STEP:
            self._upwards = False
        self._step = 1 + (self._step - 1) / 2.5
        if self._step < _LEAST_STEP:
            self._settled_at = now
        return False

    def _take_step(self, answers_per_second: float, now: float) -> None:
        wanted = self._limit * self._step if self._upwards else self._limit / self._step
        wanted = min(self._most, max(1.0, wanted))
        if int(wanted) == int(self._limit):
            self._settled_at = now
            return
        self._before = (self._limit, answers_per_second)
        self._go_to(wanted)

    def _go_to(self, limit: float) -> None:
        """Answers to calls that began under the previous limit will say nothing of this one."""
        self._skip = int(self._limit)
        self._limit = limit
