"""A provider that is down is told from gyms that fail."""

import pytest

from gym_enrichment.llm.breaker import Breaker
from gym_enrichment.llm.errors import CallError, ErrorKind

ERROR = CallError(ErrorKind.SERVER_ERROR, "HTTP 500")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fail(breaker: Breaker, clock: Clock, times: int, seconds: float) -> list[str]:
    """Failures evenly spread; the reasons to stop that were given."""
    said = []
    for _ in range(times):
        said.append(breaker.failed(ERROR))
        clock.now += seconds / times
    return [reason for reason in said if reason is not None]


def test_many_failures_in_a_short_time_are_no_outage(clock: Clock) -> None:
    assert fail(Breaker(60.0, clock), clock, 500, seconds=59.0) == []


def test_few_failures_in_a_long_time_are_no_outage(clock: Clock) -> None:
    assert fail(Breaker(60.0, clock), clock, 19, seconds=600.0) == []


def test_many_failures_in_a_long_time_stop_the_run_with_the_last_reason(clock: Clock) -> None:
    breaker = Breaker(60.0, clock)
    assert fail(breaker, clock, 19, seconds=61.0) == []
    reason = breaker.failed(ERROR)

    assert reason is not None
    assert "61 seconds" in reason
    assert "20 calls" in reason
    assert "HTTP 500" in reason


def test_one_answer_is_proof_of_life_and_counting_starts_anew(clock: Clock) -> None:
    breaker = Breaker(60.0, clock)
    fail(breaker, clock, 100, seconds=59.0)
    breaker.answered()
    assert fail(breaker, clock, 100, seconds=59.0) == []
    clock.now += 2.0
    assert breaker.failed(ERROR) is not None


def test_a_quiet_time_before_the_first_failure_does_not_count(clock: Clock) -> None:
    breaker = Breaker(60.0, clock)
    breaker.answered()
    clock.now += 3600.0
    assert fail(breaker, clock, 100, seconds=59.0) == []
