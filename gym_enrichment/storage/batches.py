"""Queries for batches: which gyms belong together, and which batches have work to do.

What must not live here: Dagster's partition keys, which follow this table (partitions.py).
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, Select, Subquery, and_, case, false, func, insert, or_, select, text

from gym_enrichment.domain.experiments import Experiment
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.experiments import assigned_variant, in_shadow
from gym_enrichment.storage.tables import batch_members, batches, bundles, enrichments, failures, gyms

_ASSIGNING_LOCK = 7203116
"""Any number that nothing else of ours locks in Postgres."""


class UnknownBatch(LookupError):
    """A batch that is not in the database; the message names it and says what to do."""


def batch_id(number: int) -> str:
    """The key of a batch: characters that Dagster's UI and CLI have no trouble with."""
    return f"batch-{number:06d}"


def assign_batches(database: Database, batch_size: int, most: int | None = None) -> list[str]:
    """Put every gym without a batch (or `most` of them) into new batches of at most `batch_size`.

    One transaction, safe when two processes do it at once: the second waits, then finds nothing left.
    Batches are frozen: a gym that comes later gets a new batch, so that a finished batch stays finished.

    Returns:
        the ids of the new batches.
    """
    if not _gyms_without_batch(database):
        return []
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ASSIGNING_LOCK})
        waiting = _without_batch().limit(most).subquery()
        gyms_waiting = connection.execute(select(func.count()).select_from(waiting)).scalar_one()
        first = connection.execute(select(func.coalesce(func.max(batches.c.number), 0) + 1)).scalar_one()
        numbers = range(first, first + -(-gyms_waiting // batch_size))
        if not numbers:
            return []
        now = datetime.now(UTC)
        connection.execute(
            insert(batches),
            [{"batch_id": batch_id(number), "number": number, "created_at": now} for number in numbers],
        )
        _fill_batches(connection, waiting, first, batch_size)
        return [batch_id(number) for number in numbers]


def all_batches(connection: Connection) -> list[str]:
    """Every batch id, oldest first."""
    return list(connection.execute(select(batches.c.batch_id).order_by(batches.c.number)).scalars())


def batch_numbers(connection: Connection, batch_ids: Collection[str]) -> dict[str, int]:
    """The numbers of `batch_ids`, in their order.

    Raises:
        UnknownBatch: one of them is not in the database.
    """
    known = connection.execute(select(batches.c.batch_id, batches.c.number).order_by(batches.c.number)).all()
    wanted = set(batch_ids)
    found = {row.batch_id: row.number for row in known if row.batch_id in wanted}
    if unknown := sorted(wanted - set(found)):
        raise UnknownBatch(
            f"no batch {', '.join(unknown[:5])} in the database: `gym-enrichment run` or the sensor"
            " new_gyms_sensor creates batches; remove the partition if the batch was deleted"
        )
    return found


def batch_sizes(connection: Connection, batch_ids: Collection[str]) -> dict[str, int]:
    """How many gyms each of `batch_ids` has, oldest batch first. Raises UnknownBatch."""
    numbers = batch_numbers(connection, batch_ids)
    query = select(batch_members.c.batch_id, func.count()).group_by(batch_members.c.batch_id)
    sizes = {row[0]: row[1] for row in connection.execute(query)}
    return {found: sizes.get(found, 0) for found in numbers}


def unstarted_batches(connection: Connection, after: str | None, most: int) -> list[str]:
    """The oldest batches that have no bundle yet, at most `most`, beginning behind batch `after`."""
    started = select(bundles.c.place_id).where(bundles.c.batch_id == batches.c.batch_id)
    query = select(batches.c.batch_id).where(~started.exists(), _behind(after)).order_by(batches.c.number).limit(most)
    return list(connection.execute(query).scalars())


def batches_changed(connection: Connection) -> list[tuple[str, int]]:
    """Batches built before whose gyms or reviews changed since, each with the sum of its gyms' revisions.

    The sum only grows: it names the state of the sources that a request was made for.
    """
    query = (
        select(batch_members.c.batch_id, func.sum(gyms.c.revision))
        .join(gyms, gyms.c.place_id == batch_members.c.place_id)
        .outerjoin(bundles, bundles.c.place_id == batch_members.c.place_id)
        .group_by(batch_members.c.batch_id)
        .having(
            and_(
                func.count(bundles.c.place_id) > 0,
                func.coalesce(func.sum(bundles.c.revision), 0) < func.sum(gyms.c.revision),
            )
        )
        .order_by(batch_members.c.batch_id)
    )
    return [(row[0], int(row[1])) for row in connection.execute(query)]


def batches_to_enrich(
    connection: Connection, experiment: Experiment, setup_hashes: Mapping[str, str]
) -> list[tuple[str, int]]:
    """Batches that `run` has to take, oldest first, each with how many gyms it has.

    Those are the batches with a gym whose bundle or enrichment is missing, outdated or was asked for
    differently than its variant, which has one of `setup_hashes`, would ask now.
    """
    variant = assigned_variant(experiment)
    setup_hash = case(setup_hashes, value=enrichments.c.variant)
    to_do = or_(
        bundles.c.place_id.is_(None),
        bundles.c.revision < gyms.c.revision,
        enrichments.c.place_id.is_(None),
        enrichments.c.bundle_hash != bundles.c.content_hash,
        and_(enrichments.c.state == "enriched", enrichments.c.setup_hash != setup_hash),
        _lacks_shadow(experiment, setup_hashes),
    )
    query = (
        select(batches.c.batch_id, func.count())
        .join(batch_members, batch_members.c.batch_id == batches.c.batch_id)
        .join(gyms, gyms.c.place_id == batch_members.c.place_id)
        .outerjoin(bundles, bundles.c.place_id == gyms.c.place_id)
        .outerjoin(enrichments, and_(enrichments.c.place_id == gyms.c.place_id, enrichments.c.variant == variant))
        .group_by(batches.c.batch_id, batches.c.number)
        .having(func.sum(case((to_do, 1), else_=0)) > 0)
        .order_by(batches.c.number)
    )
    return [(row[0], row[1]) for row in connection.execute(query)]


def batches_moved(connection: Connection, experiment: Experiment, after: str | None, most: int) -> list[str]:
    """The oldest batches with a gym that is enriched, but not with its variant by now, beginning behind `after`."""
    variant = assigned_variant(experiment)
    query = (
        select(batches.c.batch_id)
        .join(batch_members, batch_members.c.batch_id == batches.c.batch_id)
        .join(gyms, gyms.c.place_id == batch_members.c.place_id)
        .where(
            _behind(after),
            select(enrichments.c.place_id).where(enrichments.c.place_id == gyms.c.place_id).exists(),
            _waits_for(variant),
        )
        .group_by(batches.c.batch_id, batches.c.number)
        .order_by(batches.c.number)
        .limit(most)
    )
    return list(connection.execute(query).scalars())


def gyms_waiting_for(connection: Connection, experiment: Experiment, variant: str) -> int:
    """How many gyms have `variant` by now and were not asked about with it: neither enriched nor failed."""
    waiting = select(func.count()).select_from(gyms).where(assigned_variant(experiment) == variant, _waits_for(variant))
    return int(connection.execute(waiting).scalar_one())


def _behind(after: str | None) -> ColumnElement[bool]:
    """Whether a batch comes after the one of that id; all do where there is none."""
    number = select(func.coalesce(func.max(batches.c.number), 0)).where(batches.c.batch_id == (after or ""))
    return batches.c.number > number.scalar_subquery()


def _waits_for(variant: ColumnElement[str] | str) -> ColumnElement[bool]:
    asked = [
        select(table.c.place_id).where(table.c.place_id == gyms.c.place_id, table.c.variant == variant).exists()
        for table in (enrichments, failures)
    ]
    return and_(*(~known for known in asked))


def _lacks_shadow(experiment: Experiment, setup_hashes: Mapping[str, str]) -> ColumnElement[bool]:
    """Whether a gym of the shadow has no answer of the shadow's variant; gyms without any text never have one."""
    if experiment.shadow is None:
        return false()
    name = experiment.shadow.variant
    shadow = enrichments.alias()
    answered = select(shadow.c.place_id).where(
        shadow.c.place_id == gyms.c.place_id,
        shadow.c.variant == name,
        shadow.c.setup_hash == setup_hashes[name],
        shadow.c.bundle_hash == bundles.c.content_hash,
    )
    return and_(in_shadow(experiment), bundles.c.reviews_with_text > 0, ~answered.exists())


def _without_batch() -> Select[tuple[str]]:
    members = select(batch_members.c.place_id).where(batch_members.c.place_id == gyms.c.place_id)
    return select(gyms.c.place_id).where(~members.exists()).order_by(gyms.c.created_at, gyms.c.place_id)


def _gyms_without_batch(database: Database) -> bool:
    """A look without a lock: a sensor that ticks twice a minute must not queue up writers for nothing."""
    with database.read() as connection:
        return connection.execute(_without_batch().limit(1)).first() is not None


def _fill_batches(connection: Connection, waiting: Subquery, first: int, batch_size: int) -> None:
    """The n-th gym that waits joins the batch of its number: one statement for any number of gyms."""
    position = func.row_number().over(order_by=waiting.c.place_id) - 1
    numbered = select(waiting.c.place_id, (position // batch_size + first).label("number")).subquery()
    connection.execute(
        insert(batch_members).from_select(
            ["place_id", "batch_id"],
            select(numbered.c.place_id, batches.c.batch_id).join(batches, batches.c.number == numbered.c.number),
        )
    )
