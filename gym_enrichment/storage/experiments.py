"""Queries for experiments: which one is in force, its history, and in SQL which variant a gym has.

What must not live here: what a change may be (domain/experiments.py, domain/rollout.py).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, insert, literal, select
from sqlalchemy.exc import IntegrityError

from gym_enrichment.domain.experiments import LEGACY, POINTS, Experiment, ExperimentError, Segment, Shadow, VariantSpec
from gym_enrichment.domain.rollout import Rollout
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.tables import bundles, enrichments, experiments, gyms


class ChangedMeanwhile(ExperimentError):
    """Somebody else changed the experiment first; the message says what to do."""


@dataclass(frozen=True, slots=True)
class ExperimentVersion:
    """One state of an experiment: what it was changed to, by whom, when and why.

    `rollout` is None where shares follow no plan; `guardrails` are those that were looked at for this change.
    """

    version: int
    state: str
    experiment: Experiment
    action: str
    changed_by: str
    reason: str
    changed_at: datetime
    rollout: Rollout | None = None
    guardrails: Sequence[Mapping[str, Any]] = ()


def latest_version(connection: Connection) -> ExperimentVersion | None:
    """The newest version of all, also of an experiment that is ended."""
    row = connection.execute(select(experiments).order_by(experiments.c.version.desc()).limit(1)).first()
    return _version(row) if row else None


def version_in_force(connection: Connection) -> ExperimentVersion | None:
    """The version whose experiment decides about variants; None where GYM_VARIANT does."""
    latest = latest_version(connection)
    return None if latest is None or latest.state == "ended" else latest


def experiment_in_force(connection: Connection, otherwise: str) -> Experiment:
    """The experiment that decides about variants, or one of the variant `otherwise` alone."""
    version = version_in_force(connection)
    return version.experiment if version else Experiment.of_one(VariantSpec.of_kind(otherwise))


def experiment_history(connection: Connection, name: str) -> list[ExperimentVersion]:
    """Every version of an experiment, the oldest first."""
    query = select(experiments).where(experiments.c.name == name).order_by(experiments.c.version)
    return [_version(row) for row in connection.execute(query)]


def versions_changed_by(
    connection: Connection, changed_by: str, actions: Collection[str], since: datetime
) -> list[ExperimentVersion]:
    """The versions that somebody made with one of `actions` at or after `since`, the oldest first."""
    query = (
        select(experiments)
        .where(
            experiments.c.changed_by == changed_by,
            experiments.c.action.in_(actions),
            experiments.c.changed_at >= since,
        )
        .order_by(experiments.c.version)
    )
    return [_version(row) for row in connection.execute(query)]


def add_version(database: Database, added: ExperimentVersion) -> None:
    """Put a version into force; its number is one more than that of the version it was made from.

    Raises:
        ChangedMeanwhile: there is a version of that number by now: nothing was changed.
    """
    experiment, rollout = added.experiment, added.rollout
    row = {
        "version": added.version,
        "name": experiment.name,
        "state": added.state,
        "variants": [asdict(variant) for variant in experiment.variants],
        "segments": [asdict(segment) for segment in experiment.segments],
        "shadow": asdict(experiment.shadow) if experiment.shadow else None,
        "plan": rollout.plan.as_dict() if rollout else None,
        "step": rollout.step if rollout else None,
        "step_began_at": rollout.step_began_at if rollout else None,
        "guardrails": list(added.guardrails) or None,
        "action": added.action,
        "changed_by": added.changed_by[:128],
        "reason": added.reason,
        "changed_at": added.changed_at,
    }
    try:
        with database.write() as connection:
            connection.execute(insert(experiments).values(**row))
    except IntegrityError:
        raise ChangedMeanwhile("somebody else changed the experiment meanwhile: look at it, then try again") from None


def assigned_variant(experiment: Experiment) -> ColumnElement[str]:
    """The variant of the gym of a row of `gyms`: LEGACY if it stays with that, else what it is asked about with.

    That is what `Experiment.variant_of` and `asked_with` say, in SQL.
    """
    legacy, bundle = enrichments.alias("legacy"), bundles.alias("legacy_bundle")
    unchanged = (
        select(legacy.c.place_id)
        .join(bundle, bundle.c.place_id == legacy.c.place_id)
        .where(
            legacy.c.place_id == gyms.c.place_id,
            legacy.c.variant == LEGACY,
            legacy.c.bundle_hash == bundle.c.content_hash,
        )
    )
    asked = _by_point(experiment, experiment.asked_with)
    return case((and_(unchanged.exists(), keeps_legacy(experiment)), LEGACY), else_=asked)


def keeps_legacy(experiment: Experiment) -> ColumnElement[bool]:
    """Whether the gym of a row of `gyms` stays with a LEGACY row, if it has one and its reviews are what they were."""
    if experiment.names_legacy:
        return _by_point(experiment, str) == LEGACY
    other = enrichments.alias("found_since")
    found_since = select(other.c.place_id).where(
        other.c.place_id == gyms.c.place_id,
        other.c.variant.not_in([LEGACY, *experiment.unpublished]),
        other.c.state == "enriched",
    )
    return ~found_since.exists()


def in_shadow(experiment: Experiment) -> ColumnElement[bool]:
    """Whether the gym of a row of `gyms` is asked about with the shadow's variant as well."""
    assert experiment.shadow is not None
    # Who is not part of the experiment is not asked about for it either.
    elsewhere = [experiment.shadow.variant, *([] if experiment.names_legacy else [LEGACY])]
    return and_(
        assigned_variant(experiment).not_in(elsewhere),
        _point(experiment.shadow_name) < _hex(experiment.shadow_points),
    )


def _by_point(experiment: Experiment, named: Callable[[str], str]) -> ColumnElement[str]:
    """What `named` makes of the variant that has the point of the gym of a row of `gyms`."""
    first, *others = sorted(experiment.segments, key=lambda segment: segment.start - segment.end)
    if not others:
        return literal(named(first.variant))
    point = _point(experiment.name)
    return case(
        *(
            (and_(point >= _hex(segment.start), point < _hex(segment.end)), named(segment.variant))
            for segment in others
        ),
        else_=named(first.variant),
    )


def _point(name: str) -> ColumnElement[str]:
    # SQLite has no md5(): storage/engine.py gives it Python's.
    return func.substr(func.md5(literal(f"{name}:") + gyms.c.place_id), 1, 8)


def _hex(point: int) -> str:
    """Compares with the hex digits of points as the numbers do; POINTS itself is above all of them."""
    return f"{point:08x}" if point < POINTS else "g"


def _version(row: Any) -> ExperimentVersion:
    return ExperimentVersion(
        version=row.version,
        state=row.state,
        experiment=Experiment(
            row.name,
            tuple(VariantSpec(**variant) for variant in row.variants),
            tuple(Segment(**segment) for segment in row.segments),
            Shadow(**row.shadow) if row.shadow else None,
        ),
        action=row.action,
        changed_by=row.changed_by,
        reason=row.reason,
        changed_at=row.changed_at,
        rollout=Rollout.from_stored(row.plan, row.step, row.step_began_at) if row.plan else None,
        guardrails=row.guardrails or (),
    )
