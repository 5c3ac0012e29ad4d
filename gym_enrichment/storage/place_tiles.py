"""Queries for the search of areas: the rectangles that each was cut into, and how far each was searched.

What must not live here: searching (`pipeline/places`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, update

from gym_enrichment.domain.places import Area, Rectangle, TileState
from gym_enrichment.storage.clock import clock
from gym_enrichment.storage.places import claim_end
from gym_enrichment.storage.tables import place_tiles
from gym_enrichment.storage.upsert import dialect_insert


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of an area as far as it was searched; None, as long as nobody knows where the area is."""

    area: str
    query: str
    tile: str
    rectangle: Rectangle | None
    page_token: str | None
    pages: int
    results: int


def open_areas(connection: Connection, areas: Sequence[Area], query: str, now: datetime, stale: datetime) -> None:
    """Begin the search of areas that were never searched, or whose search began at `stale` or before."""
    for area in areas:
        here = (place_tiles.c.area == area.name, place_tiles.c.query == query)
        root = and_(*here, place_tiles.c.tile == "")
        begun = connection.execute(select(place_tiles.c.opened_at).where(root)).scalar()
        if begun is not None and begun > stale:
            continue
        connection.execute(delete(place_tiles).where(*here))
        values = _values(area.name, query, "", area.rectangle, now)
        connection.execute(dialect_insert(connection, place_tiles).values(values).on_conflict_do_nothing())


def claim_tiles(
    connection: Connection, areas: Sequence[Area], query: str, started: datetime, now: datetime, most: int
) -> list[Tile]:
    """Claim open tiles, or those that failed before `started`, in the caller's transaction."""
    chosen = (
        select(place_tiles)
        .where(
            *_of(areas, query),
            place_tiles.c.state.in_([TileState.OPEN, TileState.FAILED]),
            or_(place_tiles.c.tried_at.is_(None), place_tiles.c.tried_at < started),
            place_tiles.c.claimed_until < clock(connection.dialect.name),
        )
        .order_by(place_tiles.c.area, place_tiles.c.tile)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    found = [_tile(row) for row in connection.execute(chosen)]
    for tile in found:
        _change(connection, tile, tried_at=now, claimed_until=claim_end(connection))
    return found


def renew_tile(connection: Connection, tile: Tile) -> None:
    """Extend the claim of a process that is alive."""
    _change(connection, tile, claimed_until=claim_end(connection))


def release_tile(connection: Connection, tile: Tile) -> None:
    """Give a tile back that is still to be searched; pages that were saved stay."""
    _change(connection, tile, claimed_until=0.0, tried_at=None)


def save_rectangle(connection: Connection, tile: Tile, rectangle: Rectangle) -> None:
    """Where the area of a tile is."""
    _change(connection, tile, **_corners(rectangle))


def save_page(connection: Connection, tile: Tile, token: str | None, pages: int, results: int) -> None:
    """How far a tile was searched: what is asked next is the page of `token`."""
    _change(connection, tile, page_token=token, pages=pages, results=results)


def finish_tile(connection: Connection, tile: Tile, state: TileState, reason: str | None = None) -> None:
    """Say what became of a tile, and end its claim."""
    _change(connection, tile, state=state, reason=reason, claimed_until=0.0)


def split_tile(connection: Connection, tile: Tile, now: datetime) -> None:
    """Search the quarters of a tile instead of itself."""
    assert tile.rectangle is not None
    quarters = [
        _values(tile.area, tile.query, f"{tile.tile}{number}", quarter, now)
        for number, quarter in enumerate(tile.rectangle.quarters())
    ]
    connection.execute(insert(place_tiles), quarters)
    finish_tile(connection, tile, TileState.SPLIT)


def count_tiles(connection: Connection, areas: Sequence[Area], query: str) -> dict[str, int]:
    """How many tiles of these areas there are of each state that occurs."""
    found = connection.execute(
        select(place_tiles.c.state, func.count()).where(*_of(areas, query)).group_by(place_tiles.c.state)
    )
    return {row.state: row[1] for row in found}


def failed_tiles(connection: Connection, areas: Sequence[Area], query: str) -> list[tuple[str, str]]:
    """Area and reason of the tiles that could not be searched."""
    query_ = select(place_tiles.c.area, place_tiles.c.reason).where(
        *_of(areas, query), place_tiles.c.state == TileState.FAILED
    )
    return [(row.area, row.reason) for row in connection.execute(query_.order_by(place_tiles.c.area))]


def areas_to_search(connection: Connection, areas: Sequence[Area], query: str, stale: datetime) -> list[Area]:
    """Those of `areas` that a discovery would search from their beginning."""
    roots = select(place_tiles.c.area).where(
        *_of(areas, query), place_tiles.c.tile == "", place_tiles.c.opened_at > stale
    )
    fresh = set(connection.execute(roots).scalars())
    return [area for area in areas if area.name not in fresh]


def _of(areas: Sequence[Area], query: str) -> tuple[ColumnElement[bool], ...]:
    return (place_tiles.c.area.in_([area.name for area in areas]), place_tiles.c.query == query)


def _tile(row: Any) -> Tile:
    corners = (row.south, row.west, row.north, row.east)
    rectangle = None if None in corners else Rectangle(*corners)
    return Tile(row.area, row.query, row.tile, rectangle, row.page_token, row.pages, row.results)


def _corners(rectangle: Rectangle | None) -> dict[str, float | None]:
    names = ("south", "west", "north", "east")
    return {name: getattr(rectangle, name) if rectangle else None for name in names}


def _values(area: str, query: str, tile: str, rectangle: Rectangle | None, now: datetime) -> dict[str, Any]:
    named = {"area": area, "query": query, "tile": tile, "state": TileState.OPEN, "pages": 0, "results": 0}
    return named | _corners(rectangle) | {"opened_at": now}


def _change(connection: Connection, tile: Tile, **values: Any) -> None:
    here = and_(place_tiles.c.area == tile.area, place_tiles.c.query == tile.query, place_tiles.c.tile == tile.tile)
    connection.execute(update(place_tiles).where(here).values(**values))
