"""A rollout: the share of a new variant, raised step by step while guardrails hold.

`decide` says what is to be done now; all that it looks at is given to it.
What must not live here: measuring (storage/variant_figures.py), and which gym has which variant (experiments.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from gym_enrichment.domain.experiments import ExperimentError

Action = Literal["wait", "advance", "finish", "pause", "roll_back"]
LOOKED_AT_EVERY = timedelta(hours=1)
"""How often a rollout is looked at (schedules.py): a step that is due waits for so long at most."""
MIN_GYMS = 50
"""Fewer gyms with the new variant say nothing yet: at 50 one bad answer is 2 %."""


@dataclass(frozen=True, slots=True)
class Step:
    """A share of the gyms, and for how many days it is watched before the next."""

    share: float
    days: float


@dataclass(frozen=True, slots=True)
class Guardrail:
    """How bad a figure of the new variant may get; more is worse for all of them.

    Args:
        name: the figure.
        most: its bound whatever the old variant does.
        over_old: how much it may lie above the old variant's.
        times_old: how many times the old variant's it may be.
        severe: from here on, and from `severe_times` the bound, the step before is gone back to.
    """

    name: str
    most: float | None = None
    over_old: float | None = None
    times_old: float | None = None
    severe: float | None = None
    severe_times: float = 4.0

    def bound(self, old: float | None) -> float | None:
        """The lowest of the bounds; None if there is none."""
        bounds = [self.most]
        if old is not None:
            bounds += [
                None if self.over_old is None else old + self.over_old,
                None if self.times_old is None else old * self.times_old,
            ]
        return min((bound for bound in bounds if bound is not None), default=None)

    def severe_bound(self, bound: float) -> float:
        """Above this it is not only broken, but severely."""
        return self.severe if self.severe is not None else bound * self.severe_times


GUARDRAILS = (
    Guardrail("failure_rate", most=0.02, over_old=0.01, severe=0.2),
    Guardrail("invalid_answers", most=0.05, over_old=0.03, severe=0.3),
    Guardrail("unverified_share", most=0.4, over_old=0.1, severe=0.7),
    Guardrail("evaluation_loss", most=0.2, over_old=0.03, severe=0.5),
    Guardrail("cost_per_gym", times_old=1.2, severe_times=3.0),
    Guardrail("latency_p95", most=60.0, times_old=3.0),
)
"""Of gyms: those that failed. Of answers: those that broke the rules. Of amenities named: those that nothing supports.
One minus the F1 of amenities in the last `eval`. Dollars. Seconds of a call."""


@dataclass(frozen=True, slots=True)
class Plan:
    """From which variant to which, and how."""

    old: str
    new: str
    steps: Sequence[Step]
    guardrails: Sequence[Guardrail] = GUARDRAILS
    min_gyms: int = MIN_GYMS

    def __post_init__(self) -> None:
        """Raises ExperimentError for steps that do not rise to a whole."""
        shares = [step.share for step in self.steps]
        if not shares or shares != sorted(set(shares)) or not 0 < shares[0] <= shares[-1] <= 1:
            raise ExperimentError("the steps of a rollout are shares that rise, above 0 and up to 100 %")
        if any(step.days < 0 for step in self.steps):
            raise ExperimentError("a step lasts 0 days or more")

    def as_dict(self) -> dict[str, Any]:
        """To be stored."""
        return asdict(self)


DEFAULT_STEPS = (Step(0.1, 2), Step(0.25, 2), Step(0.5, 2), Step(0.75, 1), Step(1.0, 0))
"""Everything within seven days, and the first shares watched longest."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """Where a plan stands: `step` -1 is before the first, when every gym has the old variant."""

    plan: Plan
    step: int
    step_began_at: datetime

    @property
    def share(self) -> float:
        """The share of the new variant now."""
        return self.plan.steps[self.step].share if self.step >= 0 else 0.0

    @property
    def shares(self) -> dict[str, float]:
        """The shares of both variants now."""
        return {self.plan.old: 1 - self.share, self.plan.new: self.share}

    @property
    def ends_at(self) -> datetime:
        """When the step was watched for long enough."""
        return self.step_began_at + timedelta(days=self.plan.steps[self.step].days if self.step >= 0 else 0)

    @property
    def is_last_step(self) -> bool:
        """Whether there is no further step."""
        return self.step == len(self.plan.steps) - 1

    def moved(self, steps: int, now: datetime) -> "Rollout":
        """So many steps on, or back."""
        return replace(self, step=self.step + steps, step_began_at=now)

    def advanced(self, now: datetime) -> "Rollout":
        """A step on, as of when that was due: an hour's wait for the next look must not add up from step to step."""
        return self.moved(1, max(self.ends_at, now - LOOKED_AT_EVERY))

    @classmethod
    def from_stored(cls, plan: Mapping[str, Any], step: int, step_began_at: datetime) -> "Rollout":
        """What `Plan.as_dict` made, and where it stood."""
        steps = tuple(Step(**stored) for stored in plan["steps"])
        guardrails = tuple(Guardrail(**stored) for stored in plan["guardrails"])
        return cls(Plan(**{**plan, "steps": steps, "guardrails": guardrails}), step, step_began_at)


@dataclass(frozen=True, slots=True)
class GuardrailFigures:
    """What a variant did: to how many gyms, and the figures by the names of guardrails; None where nothing is known."""

    gyms: int
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Finding:
    """One guardrail as it was looked at."""

    name: str
    new: float | None
    old: float | None
    bound: float | None
    holds: bool
    severe: bool

    def as_dict(self) -> dict[str, Any]:
        """To be stored."""
        return asdict(self)

    def __str__(self) -> str:
        if self.holds or self.new is None or self.bound is None:
            return f"{self.name} holds"
        old = f", {self.old:.4g} with the old variant" if self.old is not None else ""
        return f"{self.name} is {self.new:.4g}: above its bound {self.bound:.4g} by {self.new - self.bound:.4g}{old}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done with a rollout now, and why."""

    action: Action
    reason: str
    findings: Sequence[Finding]


def decide(rollout: Rollout, new: GuardrailFigures, old: GuardrailFigures, waiting: int, now: datetime) -> Decision:
    """What a running rollout does now.

    Args:
        rollout: where it stands.
        new: what the new variant did since the step began.
        old: what there is to compare that with.
        waiting: gyms that have the new variant by now and were not asked about yet.
        now: the time.
    """
    plan = rollout.plan
    # A step of a small directory moves few gyms: all of them are enough.
    enough = new.gyms >= plan.min_gyms or not waiting
    findings = [_look_at(guardrail, new, old, enough) for guardrail in plan.guardrails]
    broken = [finding for finding in findings if not finding.holds]
    if severe := [finding for finding in broken if finding.severe]:
        return Decision("roll_back", "; ".join(map(str, severe)), findings)
    if broken:
        return Decision("pause", "; ".join(map(str, broken)), findings)
    if not enough:
        return Decision("wait", f"{new.gyms} gyms of at least {plan.min_gyms} were asked about", findings)
    if now < rollout.ends_at:
        return Decision("wait", f"{rollout.share:.0%} is watched until {rollout.ends_at:%Y-%m-%d %H:%M} UTC", findings)
    if rollout.is_last_step:
        return Decision("finish", "every step is done and the guardrails hold", findings)
    return Decision("advance", f"the guardrails hold over {new.gyms} gyms", findings)


def _look_at(guardrail: Guardrail, new: GuardrailFigures, old: GuardrailFigures, enough: bool) -> Finding:
    value, before = new.values.get(guardrail.name), old.values.get(guardrail.name)
    bound = guardrail.bound(before)
    broken = enough and value is not None and bound is not None and value > bound
    severe = broken and value is not None and bound is not None and value > guardrail.severe_bound(bound)
    return Finding(guardrail.name, value, before, bound, holds=not broken, severe=severe)
