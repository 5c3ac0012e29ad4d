"""Begins, changes, ends and compares experiments, and moves rollouts on; each change is a version that says why.

What must not live here: what a rollout decides (domain/rollout.py), and SQL (storage/).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from gym_enrichment.domain.comparing import (
    Figure,
    VariantCounts,
    agreement,
    differences,
    figures_of,
    guardrail_figures,
)
from gym_enrichment.domain.evaluation import Difference, Share
from gym_enrichment.domain.experiments import Experiment, ExperimentError, Shadow, VariantSpec
from gym_enrichment.domain.rollout import Decision, Plan, Rollout, decide
from gym_enrichment.storage.batches import gyms_waiting_for
from gym_enrichment.storage.directory import publish
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.experiments import (
    ChangedMeanwhile,
    ExperimentVersion,
    add_version,
    experiment_history,
    latest_version,
    version_in_force,
)
from gym_enrichment.storage.variant_counts import shadow_pairs, variant_counts

GUARDRAILS = "guardrails"
"""Who changed a rollout when nobody did: the plan and its guardrails."""
_BASELINE = timedelta(days=30)
"""What the old variant did this long before a step is what the new one is compared with."""
_STATES = {"pause": "paused", "roll_back": "paused", "finish": "done", "resume": "running"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A variant of an experiment: what it did since that began, and how that differs from what the first one did."""

    spec: VariantSpec
    share: float
    counts: VariantCounts
    figures: Mapping[str, Figure]
    differences: Mapping[str, Difference]


def required_version(database: Database) -> ExperimentVersion:
    """The version in force.

    Raises:
        ExperimentError: there is none.
    """
    with database.read() as connection:
        latest = version_in_force(connection)
    if latest is None:
        raise ExperimentError("no experiment is in force: GYM_VARIANT decides; begin one with `experiment begin`")
    return latest


def begin_experiment(
    database: Database,
    experiment: Experiment,
    by: str,
    reason: str,
    rollout: Rollout | None = None,
) -> ExperimentVersion:
    """Put an experiment into force.

    Raises:
        ExperimentError: another one is.
        ChangedMeanwhile: somebody else changed it at this moment.
    """
    with database.read() as connection:
        latest = latest_version(connection)
    if latest is not None and latest.state != "ended":
        raise ExperimentError(f"experiment {latest.experiment.name} is in force: end it first (`experiment end`)")
    version = latest.version + 1 if latest else 1
    begun = ExperimentVersion(version, "running", experiment, "begin", by, reason, datetime.now(UTC), rollout)
    return _put_into_force(database, begun, publishing=True)


def change_experiment(
    database: Database,
    by: str,
    reason: str,
    shares: Mapping[str, float] | None = None,
    shadow: Shadow | None = None,
) -> ExperimentVersion:
    """Give the experiment in force new shares, or another shadow.

    Raises:
        ExperimentError: there is none, it follows a plan, or the shares cannot be.
    """
    latest = required_version(database)
    if latest.rollout is not None:
        raise ExperimentError("the shares of a rollout follow its plan: change them with `rollout set --share`")
    experiment = latest.experiment.with_shares(shares) if shares is not None else latest.experiment
    if shadow is not None:
        experiment = experiment.with_shadow(shadow)
    return _changed(database, latest, "set", by, reason, experiment=experiment)


def end_experiment(database: Database, by: str, reason: str) -> ExperimentVersion:
    """From now on GYM_VARIANT decides again.

    Raises:
        ExperimentError: there is none.
    """
    return _changed(database, required_version(database), "end", by, reason, state="ended")


def begin_rollout(
    database: Database, name: str, plan: Plan, specs: Sequence[VariantSpec], by: str, reason: str
) -> None:
    """Begin with the first step of a plan from one of two `specs` to the other. Raises as `begin_experiment`."""
    rollout = Rollout(plan, 0, datetime.now(UTC))
    begin_experiment(database, Experiment.begun(name, specs, rollout.shares), by, reason, rollout)


def set_rollout(database: Database, share: float, by: str, reason: str) -> ExperimentVersion:
    """Go to the step of a plan that has this share, 0 being before the first.

    Raises:
        ExperimentError: there is no rollout, or no such step.
    """
    latest, rollout = _rollout(database)
    shares = [0.0, *(step.share for step in rollout.plan.steps)]
    if share not in shares:
        steps = ", ".join(f"{known:.0%}" for known in shares)
        raise ExperimentError(f"{share:.0%} is no step of the plan, which has {steps}")
    moved = rollout.moved(shares.index(share) - 1 - rollout.step, datetime.now(UTC))
    return _changed(database, latest, "set", by, reason, rollout=moved, state="running")


def pause_rollout(database: Database, by: str, reason: str) -> ExperimentVersion:
    """Leave the share where it is, until resumed. Raises ExperimentError if there is no rollout."""
    latest, _ = _rollout(database)
    return _changed(database, latest, "pause", by, reason)


def resume_rollout(database: Database, by: str, reason: str) -> ExperimentVersion:
    """Begin the present step again, watched from now on. Raises ExperimentError if there is no rollout."""
    latest, rollout = _rollout(database)
    return _changed(database, latest, "resume", by, reason, rollout=rollout.moved(0, datetime.now(UTC)))


def look_at_rollout(database: Database) -> Decision | None:
    """What the rollout in force would do now; None if there is none that runs."""
    looked = _look(database)
    return looked[-1] if looked else None


def move_rollout(database: Database) -> Decision | None:
    """Do what `look_at_rollout` says. Safe at any time and twice at once: only one of two changes anything."""
    looked = _look(database)
    if looked is None:
        return None
    latest, rollout, decision = looked
    if decision.action == "wait":
        return decision
    now = datetime.now(UTC)
    if decision.action == "advance":
        rollout = rollout.advanced(now)
    else:
        back = 1 if decision.action == "roll_back" and rollout.step >= 0 else 0
        rollout = rollout.moved(-back, now)
    try:
        _changed(database, latest, decision.action, GUARDRAILS, decision.reason, rollout=rollout, decision=decision)
    except ChangedMeanwhile:
        return None
    return decision


def compare_variants(database: Database) -> tuple[ExperimentVersion, list[Comparison], Mapping[str, Share]]:
    """The version in force, what its variants did since the experiment began, and where the shadow agrees.

    Raises:
        ExperimentError: none is in force.
    """
    latest = required_version(database)
    with database.read() as connection:
        history = experiment_history(connection, latest.experiment.name)
        began = max(version.changed_at for version in history if version.action == "begin")
        first, *others = latest.experiment.variants
        # The first variant is what there was before, as a rule: what it did then is compared as well.
        counts = [
            variant_counts(connection, first.name, began - _BASELINE),
            *(variant_counts(connection, spec.name, began) for spec in others),
        ]
        pairs = shadow_pairs(connection, latest.experiment) if latest.experiment.shadow else ()
        agreeing = agreement(pairs) if latest.experiment.shadow else {}
    figures = [figures_of(counted) for counted in counts]
    compared = [
        Comparison(
            spec,
            latest.experiment.shares[spec.name],
            counted,
            found,
            differences(figures[0], found) if counted is not counts[0] else {},
        )
        for spec, counted, found in zip(latest.experiment.variants, counts, figures, strict=True)
    ]
    return latest, compared, agreeing


def _look(database: Database) -> tuple[ExperimentVersion, Rollout, Decision] | None:
    """The rollout that runs and what it would do now, as of one state of the database."""
    now = datetime.now(UTC)
    with database.read() as connection:
        latest = version_in_force(connection)
        if latest is None or latest.rollout is None or latest.state != "running":
            return None
        rollout, plan = latest.rollout, latest.rollout.plan
        new = variant_counts(connection, plan.new, rollout.step_began_at)
        old = variant_counts(connection, plan.old, rollout.step_began_at - _BASELINE)
        waiting = gyms_waiting_for(connection, latest.experiment, plan.new)
    return latest, rollout, decide(rollout, guardrail_figures(new), guardrail_figures(old), waiting, now)


def _rollout(database: Database) -> tuple[ExperimentVersion, Rollout]:
    latest = required_version(database)
    if latest.rollout is None:
        raise ExperimentError(f"experiment {latest.experiment.name} follows no plan: `rollout set` begins a rollout")
    return latest, latest.rollout


def _changed(
    database: Database,
    latest: ExperimentVersion,
    action: str,
    by: str,
    reason: str,
    *,
    state: str | None = None,
    experiment: Experiment | None = None,
    rollout: Rollout | None = None,
    decision: Decision | None = None,
) -> ExperimentVersion:
    experiment = experiment or latest.experiment
    if rollout is not None:
        experiment = experiment.with_shares(rollout.shares)
    changed = replace(
        latest,
        version=latest.version + 1,
        state=state or _STATES.get(action, latest.state),
        experiment=experiment,
        rollout=rollout or latest.rollout,
        action=action,
        changed_by=by,
        reason=reason,
        changed_at=datetime.now(UTC),
        guardrails=[finding.as_dict() for finding in decision.findings] if decision else (),
    )
    return _put_into_force(database, changed, publishing=experiment != latest.experiment and changed.state != "ended")


def _put_into_force(database: Database, version: ExperimentVersion, *, publishing: bool) -> ExperimentVersion:
    """With `publishing`, gyms that moved to a variant that they were enriched with before are seen with it at once."""
    add_version(database, version)
    if publishing:
        with database.write() as connection:
            publish(connection, version.experiment)
    return version
