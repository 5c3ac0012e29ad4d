"""The rollout in force, as the report page shows it.

What must not live here: deciding anything about it (experimenting.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gym_enrichment.domain.rollout import Finding
from gym_enrichment.pipeline.experimenting import look_at_rollout
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.experiments import ExperimentVersion, experiment_history, version_in_force


@dataclass(frozen=True, slots=True)
class RolloutStep:
    """A share of the gyms, 0 to 1, for how many days it is watched, and whether the rollout is there or beyond."""

    share: float
    days: float
    reached: bool


@dataclass(frozen=True, slots=True)
class RolloutEvent:
    """Who did what to the rollout, and why; `share` is what the new variant had from then on."""

    when: datetime
    who: str
    what: str
    share: float
    why: str


@dataclass(frozen=True, slots=True)
class RolloutView:
    """A progressive rollout of `new` in place of `old`; `share` is what gyms get the new one now, 0 to 1."""

    state: Literal["running", "paused", "rolled_back", "done"]
    old: str
    new: str
    share: float
    steps: Sequence[RolloutStep] = ()
    guardrails: Sequence[Finding] = ()
    history: Sequence[RolloutEvent] = ()


def rollout_view(database: Database) -> RolloutView | None:
    """The rollout in force with its guardrails as they are now (of a stopped one: as they stopped it); None without."""
    with database.read() as connection:
        latest = version_in_force(connection)
        if latest is None or latest.rollout is None:
            return None
        history = experiment_history(connection, latest.experiment.name)
    rollout, plan = latest.rollout, latest.rollout.plan
    decision = look_at_rollout(database)
    return RolloutView(
        state=_state(latest),
        old=plan.old,
        new=plan.new,
        share=rollout.share,
        steps=[RolloutStep(step.share, step.days, number <= rollout.step) for number, step in enumerate(plan.steps)],
        guardrails=decision.findings if decision else [Finding(**stored) for stored in latest.guardrails],
        history=[
            RolloutEvent(
                version.changed_at,
                version.changed_by,
                version.action,
                version.experiment.shares.get(plan.new, 0.0),
                version.reason,
            )
            for version in history
        ],
    )


def _state(latest: ExperimentVersion) -> Literal["running", "paused", "rolled_back", "done"]:
    if latest.state == "paused":
        return "rolled_back" if latest.action == "roll_back" else "paused"
    return "done" if latest.state == "done" else "running"
