"""Queries for bundles: reading what they are made of in one reviews query, and storing them by batch.

What must not live here: which reviews are chosen (domain/reviews.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter

from sqlalchemy import BindParameter, ColumnElement, Connection, and_, bindparam, delete, select
from sqlalchemy.engine import Row

from gym_enrichment.domain.models import Bundle, BundleReview, Gym, Review
from gym_enrichment.storage.batches import batch_numbers
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.tables import batch_members, batches, bundles, gyms, reviews
from gym_enrichment.storage.upsert import upsert

_ROWS_IN_MEMORY = 2_000
"""Reviews fetched at a time: a few megabytes, far above the cost of a round trip."""


class MissingPartition(LookupError):
    """An upstream partition was never materialized; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class RawGym:
    """A gym with all its reviews, and the revision they were read at."""

    gym: Gym
    revision: int
    reviews: Sequence[Review]


def read_batches(
    connection: Connection, batch_ids: Sequence[str], setup_hash: str
) -> Iterator[tuple[str, list[Bundle | RawGym]]]:
    """For each gym its bundle, if it is stored as it would be built now; else what it is to be built from.

    Batch by batch, from **one** reviews query for all of them, or none where no gym needs its reviews. Reads in the
    caller's transaction, so that every batch is seen at one moment; holds one batch in memory.

    Args:
        connection: in a reading transaction.
        batch_ids: which batches.
        setup_hash: how bundles are built now.

    Raises:
        UnknownBatch: before anything is read.
    """
    numbers = batch_numbers(connection, batch_ids)
    review_rows = groupby(_stream_reviews(connection, list(numbers.values()), setup_hash), key=attrgetter("batch_id"))
    upcoming = next(review_rows, None)
    for batch_id in numbers:
        by_gym: dict[str, list[Review]] = {}
        if upcoming is not None and upcoming[0] == batch_id:
            for row in upcoming[1]:
                by_gym.setdefault(row.place_id, []).append(_review(row))
            upcoming = next(review_rows, None)
        stored = {bundle.place_id: bundle for bundle in _stored(connection, batch_id, setup_hash)}
        yield (
            batch_id,
            [
                stored.get(row.place_id) or RawGym(_gym(row), row.revision, by_gym.get(row.place_id, ()))
                for row in _gyms_of(connection, batch_id)
            ],
        )


def read_raw_gyms(connection: Connection, place_ids: Sequence[str]) -> list[RawGym]:
    """Some gyms (a few hundred: all their reviews are in memory at once) with their reviews; unknown ids have none."""
    by_gym: dict[str, list[Review]] = {}
    of_gyms = select(reviews).where(reviews.c.place_id.in_(place_ids)).order_by(reviews.c.place_id, reviews.c.review_id)
    for row in connection.execute(of_gyms):
        by_gym.setdefault(row.place_id, []).append(_review(row))
    found = connection.execute(select(gyms).where(gyms.c.place_id.in_(place_ids)).order_by(gyms.c.place_id))
    return [RawGym(_gym(row), row.revision, by_gym.get(row.place_id, ())) for row in found]


def write_bundles(database: Database, batch_id: str, built: Sequence[Bundle]) -> None:
    """Replace the bundles of one batch, in one transaction; those that are stored as they are stay untouched."""
    now = datetime.now(UTC)
    with database.write() as connection:
        lock_batch(connection, batch_id)
        identity = (bundles.c.place_id, bundles.c.content_hash, bundles.c.revision, bundles.c.setup_hash)
        stored = {tuple(row) for row in connection.execute(select(*identity).where(bundles.c.batch_id == batch_id))}
        kept = {b.place_id for b in built if (b.place_id, b.content_hash, b.revision, b.setup_hash) in stored}
        if gone := {row[0] for row in stored} - {bundle.place_id for bundle in built}:
            connection.execute(
                delete(bundles).where(bundles.c.place_id == bindparam("gone")),
                [{"gone": place_id} for place_id in sorted(gone)],
            )
        changed = sorted((b for b in built if b.place_id not in kept), key=attrgetter("place_id"))
        upsert(connection, bundles, [_row(bundle, batch_id, now) for bundle in changed])


def require_bundles(database: Database, batch_ids: Sequence[str]) -> None:
    """Check that every batch has bundles.

    Raises:
        MissingPartition: names those that have none.
    """
    with database.read() as connection:
        built = set(connection.execute(select(bundles.c.batch_id).distinct()).scalars())
    if missing := [batch_id for batch_id in batch_ids if batch_id not in built]:
        raise MissingPartition(
            f"review_bundles has no partition {', '.join(missing[:5])}"
            + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            + ": materialize review_bundles for it first, or both assets together"
        )


def read_bundles(database: Database, batch_id: str) -> list[Bundle]:
    """The bundles of one batch, in the order of their gyms; empty if none were built."""
    query = select(bundles).where(bundles.c.batch_id == batch_id).order_by(bundles.c.place_id)
    with database.read() as connection:
        return [_bundle(row) for row in connection.execute(query)]


def lock_batch(connection: Connection, batch_id: str) -> None:
    """Let two runs that write one batch take turns. SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(batches.c.batch_id).where(batches.c.batch_id == batch_id).with_for_update())


def _row(bundle: Bundle, batch_id: str, now: datetime) -> dict[str, object]:
    return {
        "place_id": bundle.place_id,
        "batch_id": batch_id,
        "gym": dict(bundle.gym),
        "reviews": [[review.review_id, review.text] for review in bundle.reviews],
        "content_hash": bundle.content_hash,
        "reviews_total": bundle.reviews_total,
        "reviews_with_text": bundle.reviews_with_text,
        "review_tokens": bundle.review_tokens,
        "left_out": dict(bundle.left_out),
        "revision": bundle.revision,
        "built_at": now,
        "setup_hash": bundle.setup_hash,
    }


def _as_built_now(setup_hash: str) -> ColumnElement[bool]:
    """Joins a gym with its bundle if that is what would be built now."""
    return and_(
        bundles.c.place_id == gyms.c.place_id,
        bundles.c.revision == gyms.c.revision,
        bundles.c.setup_hash == setup_hash,
    )


def _stream_reviews(
    connection: Connection, numbers: Sequence[int], setup_hash: str
) -> Iterator[Row[tuple[object, ...]]]:
    """The reviews of the gyms whose bundles have to be built, in the order of their batches and gyms."""
    # The numbers are our own integers, written into the statement: SQLite binds at most 32,766 values.
    wanted: BindParameter[Sequence[int]] = bindparam("numbers", list(numbers), expanding=True, literal_execute=True)
    to_build = (
        batches.join(batch_members, batch_members.c.batch_id == batches.c.batch_id)
        .join(gyms, gyms.c.place_id == batch_members.c.place_id)
        .outerjoin(bundles, _as_built_now(setup_hash))
    )
    chosen = and_(batches.c.number.in_(wanted), bundles.c.place_id.is_(None))
    if connection.execute(select(gyms.c.place_id).select_from(to_build).where(chosen).limit(1)).first() is None:
        return iter(())
    query = (
        select(batches.c.batch_id, reviews)
        .select_from(to_build.join(reviews, reviews.c.place_id == gyms.c.place_id))
        .where(chosen)
        .order_by(batches.c.number, reviews.c.place_id, reviews.c.review_id)
    )
    return iter(connection.execution_options(yield_per=_ROWS_IN_MEMORY).execute(query))


def _stored(connection: Connection, batch_id: str, setup_hash: str) -> Iterator[Bundle]:
    query = (
        select(bundles)
        .join(batch_members, batch_members.c.place_id == bundles.c.place_id)
        .join(gyms, _as_built_now(setup_hash))
        .where(batch_members.c.batch_id == batch_id)
    )
    return map(_bundle, connection.execute(query))


def _gyms_of(connection: Connection, batch_id: str) -> Sequence[Row[tuple[object, ...]]]:
    members = select(batch_members.c.place_id).where(batch_members.c.batch_id == batch_id)
    return connection.execute(select(gyms).where(gyms.c.place_id.in_(members)).order_by(gyms.c.place_id)).all()


def _gym(row: Row[tuple[object, ...]]) -> Gym:
    return Gym(
        place_id=row.place_id,
        name=row.name,
        address=row.address,
        city=row.city,
        country=row.country,
        hours=tuple(row.hours) if row.hours is not None else None,
        phone=row.phone,
        website=row.website,
        rating=row.rating,
        extra=row.extra or {},
    )


def _review(row: Row[tuple[object, ...]]) -> Review:
    return Review(
        review_id=row.review_id,
        place_id=row.place_id,
        text=row.text,
        rating=row.rating,
        published_at=row.published_at,
        published_raw=row.published_raw,
        language=row.language,
    )


def _bundle(row: Row[tuple[object, ...]]) -> Bundle:
    facts: Mapping[str, object] = row.gym
    return Bundle(
        place_id=row.place_id,
        gym=facts,
        reviews=[BundleReview(review_id, text) for review_id, text in row.reviews],
        content_hash=row.content_hash,
        reviews_total=row.reviews_total,
        reviews_with_text=row.reviews_with_text,
        review_tokens=row.review_tokens,
        revision=row.revision,
        left_out=row.left_out,
        setup_hash=row.setup_hash,
    )
