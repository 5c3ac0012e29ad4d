"""The base data: gyms and reviews as their sources gave them, and quarantine for rows that are neither.

What must not live here: reading sources and judging rows. A chunk in which nothing is new writes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, and_, delete, func, select, update

from gym_enrichment.domain.models import Gym, Review
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.tables import gyms, quarantine, reviews
from gym_enrichment.storage.upsert import dialect_insert

_IDS_PER_SELECT = 10_000
"""SQLite binds at most 32,766 values in a statement."""
_SQLITE_CACHE_KIB = 64 * 1024
_WAL_PAGES = 16 * 1024
"""64 MB of log between checkpoints; with the default of 4 MB every chunk would wait for one."""


@dataclass(slots=True)
class Upserted:
    """What became of a chunk. `orphans` are ids of rows whose gym is unknown, `moved` of reviews that are stored
    under another gym, `refused` of rows of which nothing can be kept, with why; none of them is written or counted."""

    new: int = 0
    updated: int = 0
    unchanged: int = 0
    orphans: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row for quarantine: why, and its text without private values."""

    line: int
    reason: str
    row_text: str


def upsert_gyms(database: Database, rows: Sequence[tuple[Gym, str]]) -> Upserted:
    """Insert new gyms at revision 1; replace changed ones and raise their revision.

    Args:
        rows: gyms with their content hashes, no id twice, at most some thousands.

    Raises:
        DatabaseError, sqlalchemy.exc.DBAPIError: the database cannot be used; nothing of the chunk is written.
    """
    result = Upserted()
    with database.read() as connection:
        known = dict(_rows_by_key(connection, _ids(rows), gyms.c.place_id, gyms.c.content_hash))
    changed = sorted((row for row in rows if known.get(row[0].place_id) != row[1]), key=lambda row: row[0].place_id)
    result.unchanged = len(rows) - len(changed)
    if not changed:
        return result
    now = datetime.now(UTC)
    with database.write() as connection:
        written = _upsert(
            connection, gyms, [_gym_values(gym, hashed, now) for gym, hashed in changed], raise_revision=True
        )
    _count(result, len(changed), written, known)
    return result


def upsert_reviews(database: Database, rows: Sequence[tuple[Review, str]]) -> Upserted:
    """Insert new reviews, replace changed ones, and raise the revision of each gym that has any, all at once.

    Args:
        rows: reviews with their content hashes, no id twice, at most some thousands.

    Raises:
        DatabaseError, sqlalchemy.exc.DBAPIError: the database cannot be used; nothing of the chunk is written.
    """
    result = Upserted()
    with database.read() as connection:
        wanted = (reviews.c.review_id, reviews.c.place_id, reviews.c.content_hash)
        known = {key: (place, hashed) for key, place, hashed in _rows_by_key(connection, _ids(rows), *wanted)}
        candidates = [row for row in rows if _review_differs(row, known, result)]
        places = sorted({review.place_id for review, _ in candidates})
        there = {key for (key,) in _rows_by_key(connection, places, gyms.c.place_id)}
    changed = [row for row in candidates if row[0].place_id in there]
    result.orphans = {review.review_id for review, _ in candidates if review.place_id not in there}
    if not changed:
        return result
    changed.sort(key=lambda row: row[0].review_id)
    now = datetime.now(UTC)
    place_of = {review.review_id: review.place_id for review, _ in changed}
    with database.write() as connection:
        # All ingests lock gyms first, then reviews, each in the order of ids: two never wait for each other.
        _lock_gyms(connection, sorted(set(place_of.values())))
        written = _upsert(connection, reviews, [_review_values(review, hashed, now) for review, hashed in changed])
        _raise_revisions(connection, sorted({place_of[key] for key in written}))
    _count(result, len(changed), written, known)
    return result


def replace_quarantine(
    database: Database, source: str, kind: str, first_line: int, last_line: int | None, bad: Sequence[BadRow]
) -> None:
    """Make quarantine say of these lines of a source what is bad now: mended lines go, new bad ones come.

    Lines that are bad for the same reason as before are not written. `last_line` None means to the end.
    """
    wanted = {(row.line, row.reason): row for row in bad}
    here = [quarantine.c.source == source, quarantine.c.kind == kind, quarantine.c.line >= first_line]
    if last_line is not None:
        here.append(quarantine.c.line <= last_line)
    with database.read() as connection:
        known = connection.execute(select(quarantine.c.id, quarantine.c.line, quarantine.c.reason).where(*here))
        ids = {(row.line, row.reason): row.id for row in known}
    mended = [number for key, number in ids.items() if key not in wanted]
    now = datetime.now(UTC)
    come = [
        {
            "source": source,
            "line": row.line,
            "kind": kind,
            "reason": row.reason,
            "row_text": row.row_text,
            "created_at": now,
        }
        for key, row in sorted(wanted.items())
        if key not in ids
    ]
    if not mended and not come:
        return
    with database.write() as connection:
        for start in range(0, len(mended), _IDS_PER_SELECT):
            connection.execute(
                delete(quarantine).where(quarantine.c.id.in_(sorted(mended)[start : start + _IDS_PER_SELECT]))
            )
        if come:
            # Another ingest of the same source may have said it in the meantime.
            connection.execute(dialect_insert(connection, quarantine).on_conflict_do_nothing(), come)


def quarantine_counts(connection: Connection) -> dict[str, int]:
    """How many rows are in quarantine, by kind; both kinds are always there."""
    found = connection.execute(select(quarantine.c.kind, func.count()).group_by(quarantine.c.kind))
    return {"gyms": 0, "reviews": 0, **{row.kind: row[1] for row in found}}


def raw_counts(connection: Connection) -> dict[str, int]:
    """How many gyms and reviews are stored."""
    return {
        table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in (gyms, reviews)
    }


def _ids(rows: Sequence[tuple[Any, str]]) -> list[str]:
    return [item.review_id if isinstance(item, Review) else item.place_id for item, _ in rows]


def _rows_by_key(connection: Connection, ids: Sequence[str], key: Any, *others: Any) -> list[Any]:
    """The key and other columns of the rows whose key is among `ids`."""
    found: list[Any] = []
    for start in range(0, len(ids), _IDS_PER_SELECT):
        found += connection.execute(select(key, *others).where(key.in_(ids[start : start + _IDS_PER_SELECT])))
    return found


def _review_differs(row: tuple[Review, str], known: Mapping[str, tuple[str, str]], result: Upserted) -> bool:
    """Whether a review may have to be written; counts those that need not or must not."""
    review, hashed = row
    stored = known.get(review.review_id)
    if stored is None:
        return True
    if stored[0] != review.place_id:
        result.moved.add(review.review_id)
        return False
    if stored[1] == hashed:
        result.unchanged += 1
        return False
    return True


def _upsert(
    connection: Connection, table: Table, values: Sequence[dict[str, Any]], raise_revision: bool = False
) -> set[str]:
    """Multi-row upserts; returns the keys that were really written (another ingest may have been faster)."""
    key = next(iter(table.primary_key))
    insert = dialect_insert(connection, table)
    replaced = {name: insert.excluded[name] for name in values[0] if name not in (key.name, "created_at")}
    differs = table.c.content_hash != insert.excluded.content_hash
    if raise_revision:
        replaced["revision"] = table.c.revision + 1
    else:
        differs = and_(differs, table.c.place_id == insert.excluded.place_id)
    if connection.dialect.name == "sqlite":
        # Ids come in no order: with SQLite's 2 MB of cache every chunk would write its pages several times.
        connection.exec_driver_sql(f"PRAGMA cache_size=-{_SQLITE_CACHE_KIB}")
        connection.exec_driver_sql(f"PRAGMA wal_autocheckpoint={_WAL_PAGES}")
    statement = insert.on_conflict_do_update(index_elements=[key], set_=replaced, where=differs).returning(key)
    return set(connection.execute(statement, values).scalars())


def _count(result: Upserted, tried: int, written: set[str], known: Mapping[str, Any]) -> None:
    result.updated = sum(1 for key in written if key in known)
    result.new = len(written) - result.updated
    result.unchanged += tried - len(written)


def _lock_gyms(connection: Connection, place_ids: Sequence[str]) -> None:
    """Postgres only; on SQLite the transaction has the whole file."""
    if connection.dialect.name == "postgresql":
        chosen = select(gyms.c.place_id).where(gyms.c.place_id.in_(place_ids)).order_by(gyms.c.place_id)
        connection.execute(chosen.with_for_update(key_share=True)).all()


def _raise_revisions(connection: Connection, place_ids: Sequence[str]) -> None:
    if place_ids:
        connection.execute(update(gyms).where(gyms.c.place_id.in_(place_ids)).values(revision=gyms.c.revision + 1))


def _gym_values(gym: Gym, hashed: str, now: datetime) -> dict[str, Any]:
    return {
        "place_id": gym.place_id,
        "name": gym.name,
        "address": gym.address,
        "city": gym.city,
        "country": gym.country,
        "hours": list(gym.hours) if gym.hours is not None else None,
        "phone": gym.phone,
        "website": gym.website,
        "rating": gym.rating,
        "extra": dict(gym.extra),
        "content_hash": hashed,
        "created_at": now,
        "updated_at": now,
    }


def _review_values(review: Review, hashed: str, now: datetime) -> dict[str, Any]:
    return {
        "review_id": review.review_id,
        "place_id": review.place_id,
        "text": review.text,
        "rating": review.rating,
        "published_at": review.published_at,
        "published_raw": review.published_raw,
        "language": review.language,
        "content_hash": hashed,
        "updated_at": now,
    }
