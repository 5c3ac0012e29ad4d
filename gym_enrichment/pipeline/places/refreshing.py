"""Fetches the details of places that were found, and of those whose details are 30 days old.

Details are saved as they arrive, and ingested some at a time, the way of a file of details: a process that dies
between the two leaves them for the next one, and nothing is paid twice.
What must not live here: limits and retries (`asking`).
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from gym_enrichment.domain.places import NAME_LENGTH, PlaceState
from gym_enrichment.pipeline.ingesting import ingest_opened
from gym_enrichment.pipeline.places import FRESH
from gym_enrichment.pipeline.places.asking import MOST_CHARGED, Asker, PlacesStopped, limits_of
from gym_enrichment.pipeline.places.reporting import Estimate, Expected, Refresh
from gym_enrichment.settings import Settings
from gym_enrichment.sources import Kind, RawRow
from gym_enrichment.sources.google_places import PlacesClient, PlacesError, PlacesErrorKind, Sku
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.place_requests import dollars_left
from gym_enrichment.storage.places import (
    Answered,
    Place,
    add_found,
    adopt_gyms,
    claim_place,
    count_due,
    finish,
    release_claim,
    renew_claim,
    save_answer,
    sources_set_aside,
    waiting_answers,
)

_AT_ONCE = 8
_INGESTED_AT_ONCE = 25
_CLOSED = "CLOSED_PERMANENTLY"


def refresh(settings: Settings, limit: int | None = None) -> Refresh:
    """Fetch and ingest the details of places that are due: found, or asked for 30 days ago.

    Args:
        settings: key, limits, database.
        limit: most places to ask for.

    Raises:
        SettingsError: there is no key.
        DatabaseError, sqlalchemy.exc.DBAPIError: the database cannot be used.
    """
    return asyncio.run(_Refresher(settings, limit).run())


def estimate_refresh(settings: Settings, limit: int | None = None) -> Estimate:
    """What `refresh` would ask; asks nothing."""
    now = datetime.now(UTC)
    with settings.database.write() as connection:
        adopt_gyms(connection)
        due = count_due(connection, now - FRESH)
        left = dollars_left(connection, limits_of(settings), now)
    asked = due if limit is None else min(due, limit)
    return Estimate({"due": due}, [Expected(Sku.DETAILS, asked, asked * MOST_CHARGED)], left)


class _Details:
    """One place's details as a source of both kinds; quarantine knows it by the id of the place."""

    def __init__(self, place_id: str, details: dict[str, Any]) -> None:
        self.name = f"google-places:{place_id}"
        self._details = details

    def rows(self, kind: Kind) -> Iterator[RawRow]:
        yield RawRow(1, self._details)


class _Refresher:
    def __init__(self, settings: Settings, limit: int | None) -> None:
        self._key = settings.require_places_key()
        self._settings = settings
        self._left = limit
        self._database: Database = settings.database
        self._started = datetime.now(UTC)
        self._stale = self._started - FRESH
        self._done = Refresh()
        self._answered: dict[str, Answered] = {}

    async def run(self) -> Refresh:
        settings = self._settings
        self._asker = Asker(settings, self._database)
        self._answered = await self._asker.write(_left_behind)
        await self._ingest()
        async with (
            PlacesClient(settings.places_url, self._key, settings.places_timeout_seconds) as self._client,
            asyncio.TaskGroup() as tasks,
        ):
            for _ in range(_AT_ONCE):
                tasks.create_task(self._work())
        await self._ingest()
        with self._database.read() as connection:
            self._done.due = count_due(connection, self._stale)
        self._done.usage, self._done.stopped = self._asker.usage(), self._asker.stopped
        return self._done

    async def _work(self) -> None:
        while self._asker.stopped is None and self._left != 0:
            if self._left is not None:
                self._left -= 1
            place = await self._asker.write(
                lambda connection: claim_place(connection, self._stale, self._started, datetime.now(UTC))
            )
            if place is None:
                return
            await self._fetch(place)

    async def _fetch(self, place: Place) -> None:
        try:
            details = await self._asker.ask(
                Sku.DETAILS,
                lambda: self._client.details(place.google_id),
                lambda connection: renew_claim(connection, place.place_id),
            )
        except PlacesStopped:
            await self._asker.write(lambda connection: release_claim(connection, place.place_id))
        except PlacesError as error:
            await self._failed(place, error)
        else:
            owner = await self._asker.write(partial(self._save, place, details))
            self._done.id_changed += details["id"] != place.google_id
            self._done.gone += owner != place.place_id
            if owner is not None:
                self._answered[owner] = Answered(owner, details["id"], details)
            if len(self._answered) >= _INGESTED_AT_ONCE:
                await self._ingest()

    def _save(self, place: Place, details: dict[str, Any], connection: Connection) -> str | None:
        """Keep what was paid for, and note the place that it moved to; returns whose details these are."""
        now = datetime.now(UTC)
        moved = details.get("movedPlaceId")
        if isinstance(moved, str) and moved:
            add_found(connection, [moved], f"moved from {place.place_id}"[:NAME_LENGTH], now, self._stale)
        return save_answer(connection, place, details, now)

    async def _failed(self, place: Place, error: PlacesError) -> None:
        gone = error.kind is PlacesErrorKind.GONE
        if error.kind is PlacesErrorKind.BAD_REQUEST:
            self._asker.stop(error.message)
        state, asked_at = (PlaceState.GONE, datetime.now(UTC)) if gone else (PlaceState.FAILED, None)
        await self._asker.write(lambda connection: finish(connection, place.place_id, state, error.message, asked_at))
        self._done.gone += gone
        self._done.failed += not gone
        if not gone:
            self._done.failures.append((place.place_id, error.message))

    async def _ingest(self) -> None:
        """Details become gyms and reviews; what cannot be used is in quarantine, and the place says so."""
        answered, self._answered = self._answered, {}
        if not answered:
            return
        became = Counter(await self._asker.off_loop(lambda: self._ingested(answered)))
        self._done.fetched += became[PlaceState.CURRENT]
        self._done.set_aside += became[PlaceState.SET_ASIDE]
        self._done.gone += became[PlaceState.GONE]

    def _ingested(self, answered: Mapping[str, Answered]) -> list[PlaceState]:
        sources = {place_id: _Details(place_id, _as_ours(found)) for place_id, found in answered.items()}
        ingest_opened(self._database, list(sources.values()), self._done.ingested)
        became = []
        with self._database.write() as connection:
            bad = sources_set_aside(connection, [source.name for source in sources.values()])
            for place_id, found in sorted(answered.items()):
                state, reason = _outcome(found.details, bad=sources[place_id].name in bad)
                finish(connection, place_id, state, reason)
                became.append(state)
        return became


def _left_behind(connection: Connection) -> dict[str, Answered]:
    """What a process before this one paid for and did not ingest; gyms of other sources become places too."""
    adopt_gyms(connection)
    return {answered.place_id: answered for answered in waiting_answers(connection)}


def _outcome(details: dict[str, Any], *, bad: bool) -> tuple[PlaceState, str | None]:
    if bad:
        return PlaceState.SET_ASIDE, "the details cannot be used: `gym-enrichment show --quarantine` says why"
    if details.get("businessStatus") != _CLOSED:
        return PlaceState.CURRENT, None
    moved = details.get("movedPlaceId")
    return PlaceState.GONE, f"{_CLOSED}{f', moved to {moved}' if moved else ''}"


def _as_ours(answered: Answered) -> dict[str, Any]:
    """Details under the id that the gym has here: one that Google renamed keeps its reviews and enrichments."""
    if answered.google_id == answered.place_id:
        return answered.details
    theirs, ours = f"places/{answered.google_id}/", f"places/{answered.place_id}/"
    reviews = answered.details.get("reviews")
    if isinstance(reviews, list):
        reviews = [
            {**review, "name": str(review.get("name") or "").replace(theirs, ours, 1) or None}
            if isinstance(review, dict)
            else review
            for review in reviews
        ]
    return {**answered.details, "id": answered.place_id, "reviews": reviews}
