"""Queries for the requests made to Google Places on each day, and the limits that they never pass.

A request is counted before it is sent, with its price; the price is taken back when it was surely not charged.
A process that dies leaves it counted.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Column, Connection, func, select, update

from gym_enrichment.storage.llm_admission import NANO
from gym_enrichment.storage.tables import place_requests
from gym_enrichment.storage.upsert import dialect_insert


@dataclass(frozen=True, slots=True)
class PlacesLimits:
    """Most requests on a day and most dollars in a month, both in UTC, over all processes. None means no limit."""

    requests_per_day: int | None
    dollars_per_month: float | None


@dataclass(frozen=True, slots=True)
class PlacesUsage:
    """Requests of a SKU: all, those that may be on Google's bill, and their dollars."""

    sku: str
    requests: int
    charged: int
    cost_usd: float


def take_request(connection: Connection, sku: str, price: int, limits: PlacesLimits, now: datetime) -> str | None:
    """Count a request that is about to be sent; returns the limit that forbids it, if one does.

    Args:
        connection: in a writing transaction, behind `admit_within`, which lets one in at a time.
        sku: what it is billed as.
        price: billionths of a dollar.
        limits: never passed.
        now: decides on day and month.
    """
    day = _day(now)
    if limits.requests_per_day is not None:
        asked = _sum(connection, place_requests.c.requests, day)
        if asked >= limits.requests_per_day:
            return f"GYM_PLACES_REQUESTS_PER_DAY={limits.requests_per_day} is reached"
    if limits.dollars_per_month is not None and price:
        spent = _sum(connection, place_requests.c.cost, day[:7])
        if spent + price > round(limits.dollars_per_month * NANO):
            return f"GYM_PLACES_BUDGET_MONTH_USD={limits.dollars_per_month:g} is reached"
    insert = dialect_insert(connection, place_requests).values(day=day, sku=sku, requests=1, charged=1, cost=price)
    columns = (place_requests.c.requests, place_requests.c.charged, place_requests.c.cost)
    more = {column.name: column + insert.excluded[column.name] for column in columns}
    connection.execute(insert.on_conflict_do_update(index_elements=["day", "sku"], set_=more))
    return None


def take_back_charge(connection: Connection, sku: str, price: int, now: datetime) -> None:
    """The request that `take_request` counted at `now` was surely not charged."""
    row = (place_requests.c.day == _day(now), place_requests.c.sku == sku)
    connection.execute(
        update(place_requests)
        .where(*row)
        .values(charged=place_requests.c.charged - 1, cost=place_requests.c.cost - price)
    )


def requests_since(connection: Connection, first_day: datetime) -> list[PlacesUsage]:
    """Requests by SKU from that day on."""
    sums = (func.sum(place_requests.c.requests), func.sum(place_requests.c.charged), func.sum(place_requests.c.cost))
    query = select(place_requests.c.sku, *sums).where(place_requests.c.day >= _day(first_day))
    rows = connection.execute(query.group_by(place_requests.c.sku).order_by(place_requests.c.sku))
    return [PlacesUsage(row[0], int(row[1]), int(row[2]), int(row[3]) / NANO) for row in rows]


def month_of(now: datetime) -> datetime:
    """The first day of the month in UTC."""
    return now.astimezone(UTC).replace(day=1)


def dollars_left(connection: Connection, limits: PlacesLimits, now: datetime) -> float | None:
    """Dollars that may still be spent this month; None without a limit."""
    if limits.dollars_per_month is None:
        return None
    return max(0.0, limits.dollars_per_month - _sum(connection, place_requests.c.cost, _day(now)[:7]) / NANO)


def _sum(connection: Connection, column: Column[int], prefix: str) -> int:
    query = select(func.coalesce(func.sum(column), 0)).where(place_requests.c.day.startswith(prefix, autoescape=True))
    return int(connection.execute(query).scalar_one())


def _day(now: datetime) -> str:
    return f"{now.astimezone(UTC):%Y-%m-%d}"
