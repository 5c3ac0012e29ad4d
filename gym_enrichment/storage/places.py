"""Queries for what is known of each place at Google: how fresh it is, who asks for it, and what became of it.

What must not live here: asking (`pipeline/places`), and gyms themselves (`raw`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, literal, or_, select, update

from gym_enrichment.domain.places import PlaceState
from gym_enrichment.storage.clock import clock
from gym_enrichment.storage.tables import gyms, places, quarantine
from gym_enrichment.storage.upsert import dialect_insert

CLAIM_SECONDS = 300.0
"""How long a claim outlives its process. Living processes renew theirs before every request and every long wait."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place to ask for: our id of the gym, and the id by which Google knows it."""

    place_id: str
    google_id: str


@dataclass(frozen=True, slots=True)
class Answered:
    """Details that were paid for: whose they are, and what Google said."""

    place_id: str
    google_id: str
    details: dict[str, Any]


def add_found(connection: Connection, ids: Sequence[str], area: str, now: datetime, stale: datetime) -> int:
    """Note places that a search returned; returns how many of them are new.

    One that was gone and was last asked for before `stale` counts as found again.
    """
    ids = sorted(set(ids))
    if not ids:
        return 0
    insert = dialect_insert(connection, places)
    rows = [
        {"place_id": key, "google_id": key, "area": area, "state": PlaceState.FOUND, "found_at": now} for key in ids
    ]
    added = connection.execute(insert.values(rows).on_conflict_do_nothing().returning(places.c.place_id))
    new = len(added.all())
    again = and_(places.c.google_id.in_(ids), places.c.state == PlaceState.GONE, places.c.asked_at <= stale)
    connection.execute(update(places).where(again).values(state=PlaceState.FOUND, reason=None))
    return new


def adopt_gyms(connection: Connection) -> int:
    """Take gyms of other sources that have one of Google's ids among the places; returns how many.

    They count as asked for when their data last changed here. Ids of businesses begin with ChIJ.
    """
    known = exists().where(or_(places.c.place_id == gyms.c.place_id, places.c.google_id == gyms.c.place_id))
    unknown = select(
        gyms.c.place_id, gyms.c.place_id, literal(PlaceState.CURRENT.value), gyms.c.created_at, gyms.c.updated_at
    ).where(gyms.c.place_id.startswith("ChIJ", autoescape=True), ~known)
    insert = dialect_insert(connection, places).from_select(
        ["place_id", "google_id", "state", "found_at", "asked_at"], unknown
    )
    return connection.execute(insert.on_conflict_do_nothing()).rowcount


def claim_place(connection: Connection, stale: datetime, started: datetime, now: datetime) -> Place | None:
    """Claim the place that waits longest, in the caller's transaction; None when there is none.

    Args:
        connection: in a writing transaction.
        stale: what was asked for at that time or before is asked for again.
        started: when the run began: what it, or another one, tried since then is not tried again.
        now: the time of this try.
    """
    chosen = (
        select(places.c.place_id)
        .where(_due(stale), _untried(started), places.c.claimed_until < clock(connection.dialect.name))
        .order_by(places.c.asked_at.asc().nulls_first(), places.c.place_id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    place_id = connection.execute(chosen).scalar()
    if place_id is None:
        return None
    claimed = update(places).where(places.c.place_id == place_id)
    row = connection.execute(
        claimed.values(tried_at=now, claimed_until=claim_end(connection)).returning(places.c.google_id)
    ).one()
    return Place(place_id, row.google_id)


def claim_end(connection: Connection) -> ColumnElement[Any]:
    """Until when a claim that is made or renewed now lasts, by the database's clock."""
    return clock(connection.dialect.name) + CLAIM_SECONDS


def renew_claim(connection: Connection, place_id: str) -> None:
    """Extend the claim of a process that is alive."""
    connection.execute(update(places).where(places.c.place_id == place_id).values(claimed_until=claim_end(connection)))


def release_claim(connection: Connection, place_id: str) -> None:
    """Give a place back that was not asked for after all."""
    connection.execute(update(places).where(places.c.place_id == place_id).values(claimed_until=0.0, tried_at=None))


def save_answer(connection: Connection, place: Place, details: dict[str, Any], now: datetime) -> str | None:
    """Keep details that were paid for until they are ingested; returns whose they are.

    When Google knows the place by another id now, the gym keeps its own and is asked for by the new one. When that
    one is a place of its own here, the old one is gone, and the details are the other's. None, if those of the
    other one are just being ingested: nothing is left to do.
    """
    values: dict[str, Any] = {"state": PlaceState.ANSWERED, "answer": details, "asked_at": now, "claimed_until": 0.0}
    new_id = str(details["id"])
    owner = place.place_id
    if new_id != place.google_id:
        other = connection.execute(select(places.c.place_id).where(places.c.google_id == new_id)).scalar()
        if other is not None:
            finish(connection, owner, PlaceState.GONE, f"Google knows it as {new_id} now, which is gym {other}", now)
            owner = other
        else:
            values |= {"google_id": new_id}
    changed = update(places).where(places.c.place_id == owner, places.c.state != PlaceState.ANSWERED)
    return owner if connection.execute(changed.values(values)).rowcount else None


def waiting_answers(connection: Connection) -> list[Answered]:
    """Details that were paid for and not ingested: a process ended between the two."""
    query = select(places.c.place_id, places.c.google_id, places.c.answer).where(places.c.state == PlaceState.ANSWERED)
    return [Answered(*row) for row in connection.execute(query.order_by(places.c.place_id))]


def sources_set_aside(connection: Connection, sources: Sequence[str]) -> set[str]:
    """Those of `sources` whose gym is in quarantine."""
    query = select(quarantine.c.source).where(quarantine.c.source.in_(sources), quarantine.c.kind == "gyms")
    return set(connection.execute(query).scalars())


def finish(
    connection: Connection, place_id: str, state: PlaceState, reason: str | None, asked_at: datetime | None = None
) -> None:
    """Say what became of a place, and end the claim. `asked_at` only when Google answered just now."""
    values: dict[str, Any] = {"state": state, "reason": reason, "answer": None, "claimed_until": 0.0}
    if asked_at is not None:
        values["asked_at"] = asked_at
    connection.execute(update(places).where(places.c.place_id == place_id).values(values))


def count_due(connection: Connection, stale: datetime) -> int:
    """How many places a refresh would ask for."""
    return connection.execute(select(func.count()).select_from(places).where(_due(stale))).scalar_one()


def count_places(connection: Connection) -> dict[str, int]:
    """How many places there are of each state that occurs."""
    found = connection.execute(select(places.c.state, func.count()).group_by(places.c.state).order_by(places.c.state))
    return {row.state: row[1] for row in found}


def find_place(connection: Connection, place_id: str) -> dict[str, Any] | None:
    """What is known of one place, without its answer."""
    shown = (places.c.google_id, places.c.area, places.c.state, places.c.reason, places.c.found_at, places.c.asked_at)
    row = connection.execute(select(*shown).where(places.c.place_id == place_id)).mappings().first()
    return dict(row) if row else None


def places_with_reasons(connection: Connection, most: int | None = None) -> list[dict[str, Any]]:
    """Places that something is to be said of, at most `most` of them."""
    shown = select(places.c.place_id, places.c.state, places.c.reason, places.c.asked_at)
    query = shown.where(places.c.reason.is_not(None)).order_by(places.c.state, places.c.place_id).limit(most)
    return [dict(row) for row in connection.execute(query).mappings()]


def _due(stale: datetime) -> ColumnElement[bool]:
    old = and_(places.c.state.in_([PlaceState.CURRENT, PlaceState.SET_ASIDE]), places.c.asked_at <= stale)
    return or_(places.c.state.in_([PlaceState.FOUND, PlaceState.FAILED]), old)


def _untried(started: datetime) -> ColumnElement[bool]:
    return or_(places.c.tried_at.is_(None), places.c.tried_at < started)
