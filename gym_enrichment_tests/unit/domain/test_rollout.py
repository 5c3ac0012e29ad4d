"""What a rollout does next."""

from datetime import UTC, datetime, timedelta

import pytest

from gym_enrichment.domain.experiments import ExperimentError
from gym_enrichment.domain.rollout import DEFAULT_STEPS, GuardrailFigures, Plan, Rollout, Step, decide

MONDAY = datetime(2026, 11, 23, 6, tzinfo=UTC)
PLAN = Plan("fanout", "combined", DEFAULT_STEPS)
FINE = {"failure_rate": 0.0, "invalid_answers": 0.01, "cost_per_gym": 0.0002, "latency_p95": 3.0}


def figures(gyms: int = 100, **values: float | None) -> GuardrailFigures:
    return GuardrailFigures(gyms, FINE | values)


def test_healthy_it_is_at_all_gyms_within_seven_days() -> None:
    rollout, day, shares = Rollout(PLAN, 0, MONDAY), MONDAY, []
    while True:
        decision = decide(rollout, figures(), figures(), 0, day)
        if decision.action == "finish":
            break
        if decision.action == "advance":
            rollout = rollout.moved(1, day)
            continue
        shares.append(rollout.share)
        day += timedelta(days=1)
    assert shares == [0.1, 0.1, 0.25, 0.25, 0.5, 0.5, 0.75]
    assert day - MONDAY == timedelta(days=7)


@pytest.mark.parametrize(
    ("changed", "action", "said"),
    [
        (
            {"invalid_answers": 0.08},
            "pause",
            "invalid_answers is 0.08: above its bound 0.04 by 0.04, 0.01 with the old",
        ),
        ({"failure_rate": 0.015}, "pause", "failure_rate"),
        ({"failure_rate": 0.5}, "roll_back", "failure_rate is 0.5"),
        ({"cost_per_gym": 0.00025}, "pause", "cost_per_gym"),
        ({"cost_per_gym": 0.001}, "roll_back", "cost_per_gym"),
        ({"latency_p95": 8.0}, "wait", "watched until 2026-11-25"),
        ({"latency_p95": None}, "wait", "watched until"),
    ],
)
def test_a_broken_guardrail_pauses_and_a_severe_breach_rolls_back(
    changed: dict[str, float | None], action: str, said: str
) -> None:
    decision = decide(Rollout(PLAN, 0, MONDAY), figures(**changed), figures(), 0, MONDAY + timedelta(hours=1))
    assert decision.action == action
    assert said in decision.reason


def test_too_few_gyms_decide_nothing_unless_there_are_no_more() -> None:
    rollout, later = Rollout(PLAN, 0, MONDAY), MONDAY + timedelta(days=9)
    few = figures(gyms=10, failure_rate=0.5)
    assert decide(rollout, few, figures(), 5, later).action == "wait"
    assert decide(rollout, few, figures(), 0, later).action == "roll_back"
    assert decide(rollout, figures(gyms=10), figures(), 5, later).action == "wait"
    assert decide(rollout, figures(gyms=10), figures(), 0, later).action == "advance"


def test_a_step_begins_when_it_was_due_unless_nobody_looked_for_longer_than_an_hour() -> None:
    rollout, due = Rollout(PLAN, 0, MONDAY), MONDAY + timedelta(days=2)
    assert rollout.advanced(due + timedelta(minutes=59)).step_began_at == due
    late = due + timedelta(days=3)
    assert rollout.advanced(late) == Rollout(PLAN, 1, late - timedelta(hours=1))


def test_what_was_stored_is_what_is_read() -> None:
    rollout = Rollout(PLAN, 2, MONDAY)
    assert Rollout.from_stored(PLAN.as_dict(), 2, MONDAY) == rollout
    assert rollout.shares == {"fanout": 0.5, "combined": 0.5}
    assert Rollout(PLAN, -1, MONDAY).shares == {"fanout": 1.0, "combined": 0.0}


@pytest.mark.parametrize(
    "steps", [(), (Step(0.5, 1), Step(0.25, 1)), (Step(0.0, 1),), (Step(1.5, 1),), (Step(0.5, -1),)]
)
def test_steps_that_do_not_rise_are_refused(steps: tuple[Step, ...]) -> None:
    with pytest.raises(ExperimentError):
        Plan("fanout", "combined", steps)
