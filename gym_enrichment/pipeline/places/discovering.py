"""Finds the gyms of areas: searches for their ids, which costs nothing, and cuts an area where it holds too many.

A Text Search returns 60 places at most. A rectangle that holds so many is cut into quarters, and these are searched;
each page is saved as it comes. An area is searched again when its search began 30 days ago.
What must not live here: details (`refreshing`), limits and retries (`asking`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from sqlalchemy import Connection

from gym_enrichment.domain.places import Area, TileState
from gym_enrichment.pipeline.places import FRESH
from gym_enrichment.pipeline.places.asking import MOST_CHARGED, Asker, PlacesStopped, limits_of
from gym_enrichment.pipeline.places.reporting import Discovery, Estimate, Expected
from gym_enrichment.settings import Settings
from gym_enrichment.sources.google_places import MOST_RESULTS, Page, PlacesClient, PlacesError, PlacesErrorKind, Sku
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.place_requests import dollars_left
from gym_enrichment.storage.place_tiles import (
    Tile,
    areas_to_search,
    claim_tiles,
    count_tiles,
    failed_tiles,
    finish_tile,
    open_areas,
    release_tile,
    renew_tile,
    save_page,
    save_rectangle,
    split_tile,
)
from gym_enrichment.storage.places import add_found, count_due

_AT_ONCE = 8


def discover(settings: Settings, areas: Sequence[Area]) -> Discovery:
    """Search `areas` as far as they were not searched within 30 days; ids go to the places, nothing else is asked.

    Raises:
        SettingsError: there is no key.
        DatabaseError, sqlalchemy.exc.DBAPIError: the database cannot be used.
    """
    return asyncio.run(_Discoverer(settings, areas).run())


def estimate_discovery(settings: Settings, areas: Sequence[Area]) -> Estimate:
    """What `discover` would ask. How often an area must be cut nobody knows before, but these requests are free."""
    now = datetime.now(UTC)
    with settings.database.read() as connection:
        to_search = areas_to_search(connection, areas, settings.places_query, now - FRESH)
        open_tiles = count_tiles(connection, areas, settings.places_query).get(TileState.OPEN, 0)
        left = dollars_left(connection, limits_of(settings), now)
    named = sum(area.rectangle is None for area in to_search)
    expected = [
        Expected(Sku.SEARCH_PRO, named, named * MOST_CHARGED),
        Expected(Sku.SEARCH_IDS, len(to_search) + open_tiles, None),
    ]
    subject = {"areas": len(areas), "areas_to_search": len(to_search), "rectangles_unfinished": open_tiles}
    return Estimate(subject, expected, left)


class _Discoverer:
    def __init__(self, settings: Settings, areas: Sequence[Area]) -> None:
        self._key = settings.require_places_key()
        self._settings = settings
        self._areas = areas
        self._query = settings.places_query
        self._database: Database = settings.database
        self._started = datetime.now(UTC)
        self._stale = self._started - FRESH
        self._found = Discovery()

    async def run(self) -> Discovery:
        settings = self._settings
        self._asker = Asker(settings, self._database)
        await self._asker.write(
            lambda connection: open_areas(connection, self._areas, self._query, self._started, self._stale)
        )
        async with PlacesClient(settings.places_url, self._key, settings.places_timeout_seconds) as self._client:
            while self._asker.stopped is None and (tiles := await self._asker.write(self._claim)):
                async with asyncio.TaskGroup() as tasks:
                    for tile in tiles:
                        tasks.create_task(self._search(tile))
        found = self._found
        with self._database.read() as connection:
            tiles_of = count_tiles(connection, self._areas, self._query)
            found.failures = failed_tiles(connection, self._areas, self._query)
            found.due = count_due(connection, self._stale)
        found.full, found.unfinished = tiles_of.get(TileState.FULL, 0), tiles_of.get(TileState.OPEN, 0)
        found.usage, found.stopped = self._asker.usage(), self._asker.stopped
        return found

    def _claim(self, connection: Connection) -> list[Tile]:
        now = datetime.now(UTC)
        return claim_tiles(connection, self._areas, self._query, self._started, now, _AT_ONCE)

    async def _search(self, tile: Tile) -> None:
        try:
            located = await self._located(tile)
            if located is not None:
                await self._pages(located)
        except PlacesStopped:
            await self._asker.write(lambda connection: release_tile(connection, tile))
        except PlacesError as error:
            if error.kind is PlacesErrorKind.BAD_REQUEST:
                self._asker.stop(error.message)
            await self._fail(tile, error.message)

    async def _located(self, tile: Tile) -> Tile | None:
        """The tile with its rectangle; None when Google does not know the area."""
        if tile.rectangle is not None:
            return tile
        rectangle = await self._asker.ask(
            Sku.SEARCH_PRO, lambda: self._client.locate(tile.area), lambda connection: renew_tile(connection, tile)
        )
        if rectangle is None:
            reason = "Google Places knows no place of this name; give SOUTH,WEST,NORTH,EAST instead"
            await self._fail(tile, reason)
            return None
        await self._asker.write(partial(save_rectangle, tile=tile, rectangle=rectangle))
        return replace(tile, rectangle=rectangle)

    async def _pages(self, tile: Tile) -> None:
        begun_anew = False
        while True:
            page = await self._page(tile, begun_anew)
            if page is None:
                # The token has expired: from the first page on.
                begun_anew, tile = True, replace(tile, page_token=None, pages=0, results=0)
                continue
            tile = replace(tile, page_token=page.next_token, pages=tile.pages + 1, results=tile.results + len(page.ids))
            new, split = await self._asker.write(partial(self._save, tile, page))
            self._found.pages += 1
            self._found.new += new
            self._found.known += len(set(page.ids)) - new
            self._found.split += split
            if page.next_token is None:
                return

    async def _page(self, tile: Tile, begun_anew: bool) -> Page | None:
        """The next page; None when its token is not accepted any more, unless that happens again and again."""
        rectangle = tile.rectangle
        assert rectangle is not None
        try:
            return await self._asker.ask(
                Sku.SEARCH_IDS,
                lambda: self._client.search(self._query, rectangle, tile.page_token),
                lambda connection: renew_tile(connection, tile),
            )
        except PlacesError as error:
            if error.kind is PlacesErrorKind.BAD_REQUEST and tile.page_token is not None and not begun_anew:
                return None
            raise

    def _save(self, tile: Tile, page: Page, connection: Connection) -> tuple[int, bool]:
        """A page with its places, and what follows from the last one; returns how many are new, and if it is cut."""
        now = datetime.now(UTC)
        rectangle = tile.rectangle
        assert rectangle is not None
        new = add_found(connection, page.ids, tile.area, now, self._stale)
        save_page(connection, tile, page.next_token, tile.pages, tile.results)
        last, crowded = page.next_token is None, tile.results >= MOST_RESULTS
        split = last and crowded and not rectangle.smallest
        if split:
            split_tile(connection, tile, now)
        elif last and crowded:
            finish_tile(connection, tile, TileState.FULL, f"{tile.results} places on some 200 m")
        elif last:
            finish_tile(connection, tile, TileState.DONE)
        return new, split

    async def _fail(self, tile: Tile, reason: str) -> None:
        await self._asker.write(lambda connection: finish_tile(connection, tile, TileState.FAILED, reason))
