"""The published table: one row per gym, derived in SQL from gyms, enrichments and failures.

What must not live here: formats of exports (pipeline/exporting.py).
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, literal, or_, select

from gym_enrichment.domain.experiments import LEGACY, Experiment
from gym_enrichment.storage.experiments import assigned_variant
from gym_enrichment.storage.tables import Json, UtcDateTime, batch_members, enrichments, failures, gym_directory, gyms
from gym_enrichment.storage.upsert import dialect_insert

_FACTS = ("place_id", "name", "address", "city", "country", "phone", "website", "rating")
_FOUND = (
    "description",
    "has_women_hours",
    "women_hours",
    "hours_french",
    "hours_sentence",
    "hours_osm",
    "variant",
    "model",
    "enriched_at",
)


def publish(connection: Connection, experiment: Experiment, batch_id: str | None = None) -> int:
    """Bring the published rows of one batch, or of every gym, up to date; returns how many changed.

    A gym's row is that of its variant in `experiment`; without one, its newest good row of any other that is not
    only asked about in the shadow, LEGACY the last. A gym without an enrichment is published with its facts and a
    state that says why: pending or failed.
    Rows that say the same already are not written, so `published_at` is when a row last changed.
    """
    among = None
    if batch_id is not None:
        members = select(batch_members.c.place_id).where(batch_members.c.batch_id == batch_id)
        among = gyms.c.place_id.in_(members)
    published = _published_rows(experiment, among)
    columns = [column.name for column in published.selected_columns]
    statement = dialect_insert(connection, gym_directory).from_select(columns, published)
    compared = [name for name in columns if name not in {"place_id", "published_at"}]
    changed = or_(*(gym_directory.c[name].is_distinct_from(statement.excluded[name]) for name in compared))
    # Without the option the count of an INSERT ... SELECT is lost on Postgres.
    return (
        connection.execution_options(preserve_rowcount=True)
        .execute(
            statement.on_conflict_do_update(
                index_elements=["place_id"],
                set_={name: statement.excluded[name] for name in [*compared, "published_at"]},
                where=changed,
            )
        )
        .rowcount
    )


def stream_directory(connection: Connection) -> Iterator[Mapping[str, Any]]:
    """The published rows in the order of their ids, a thousand in memory at a time."""
    query = select(gym_directory).order_by(gym_directory.c.place_id)
    for row in connection.execution_options(yield_per=1_000).execute(query):
        yield dict(row._mapping)


def stream_with_raw(connection: Connection) -> Iterator[Mapping[str, Any]]:
    """As `stream_directory`, each row with the gym's `hours` and `extra` as its source gave them."""
    query = select(gym_directory, gyms.c.hours, gyms.c.extra).join(gyms).order_by(gym_directory.c.place_id)
    for row in connection.execution_options(yield_per=1_000).execute(query):
        yield dict(row._mapping)


def first_published(connection: Connection, most: int) -> list[Mapping[str, Any]]:
    """Some published rows, the enriched ones first."""
    enriched_first = case((gym_directory.c.state == "enriched", 0), else_=1)
    query = select(gym_directory).order_by(enriched_first, gym_directory.c.place_id).limit(most)
    return [dict(row._mapping) for row in connection.execute(query)]


def find_published(connection: Connection, place_id: str, experiment: Experiment) -> Mapping[str, Any] | None:
    """One published row; a gym that was not published yet is shown as it would be."""
    row = connection.execute(select(gym_directory).where(gym_directory.c.place_id == place_id)).first()
    row = row or connection.execute(_published_rows(experiment, gyms.c.place_id == place_id)).first()
    return dict(row._mapping) if row else None


def unpublished_gyms(connection: Connection) -> int:
    """How many gyms have no published row."""
    missing = select(func.count()).select_from(gyms.outerjoin(gym_directory)).where(gym_directory.c.place_id.is_(None))
    return int(connection.execute(missing).scalar_one())


def directory_counts(connection: Connection) -> dict[str, int]:
    """How many published gyms are in each state."""
    query = select(gym_directory.c.state, func.count()).group_by(gym_directory.c.state)
    return {row[0]: row[1] for row in connection.execute(query)}


def _published_rows(experiment: Experiment, among: ColumnElement[bool] | None = None) -> Select[Any]:
    """The rows as they would be published, of all gyms or of those that a condition on `gyms` picks."""
    wanted = select(*(gyms.c[name] for name in _FACTS), assigned_variant(experiment).label("assigned"))
    gym = (wanted if among is None else wanted.where(among)).subquery("gym")
    # By the primary key, gym by gym: a window over all enrichments would make each batch cost as much as all.
    own, other = enrichments.alias(), enrichments.alias()
    assigned = select(own.c.variant).where(own.c.place_id == gym.c.place_id, own.c.variant == gym.c.assigned)
    newest = (
        select(other.c.variant)
        .where(
            other.c.place_id == gym.c.place_id,
            other.c.state == "enriched",
            other.c.variant.not_in(experiment.unpublished),
        )
        .order_by(other.c.variant == LEGACY, other.c.enriched_at.desc(), other.c.variant)
        .limit(1)
    )
    chosen = func.coalesce(assigned.correlate(gym).scalar_subquery(), newest.correlate(gym).scalar_subquery())
    state = case(
        (enrichments.c.state.is_not(None), enrichments.c.state),
        (failures.c.place_id.is_not(None), "failed"),
        else_="pending",
    )
    return (
        select(
            *(gym.c[name] for name in _FACTS),
            state.label("state"),
            *(enrichments.c[name] for name in _FOUND),
            func.coalesce(enrichments.c.amenities, literal([], Json)).label("amenities"),
            literal(datetime.now(UTC), UtcDateTime).label("published_at"),
        )
        .select_from(gym)
        .outerjoin(enrichments, and_(enrichments.c.place_id == gym.c.place_id, enrichments.c.variant == chosen))
        .outerjoin(failures, and_(failures.c.place_id == gym.c.place_id, failures.c.variant == gym.c.assigned))
        # SQLite needs a WHERE here, or it reads ON CONFLICT as part of the join.
        .where(gym.c.place_id != "")
    )
