"""Queries that break figures down: the ledger by any of its dimensions, latency, what was found of gyms, failures.

What must not live here: totals of runs (statistics.py), and how figures are shown.
"""

from collections import Counter
from collections.abc import Sequence
from math import ceil
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, select

from gym_enrichment.domain.hours import NOT_STATED
from gym_enrichment.storage.tables import enrichments, failures, ledger

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
ASKED_WITH = ("variant", "prompt_version", "model")
"""What tells rows of enrichments apart that were asked for differently."""
_EXAMPLES = 3
SUMS = ("prompt_tokens", "cached_tokens", "completion_tokens", "cost_usd")
FOUND = (
    "gyms",
    "with_amenities",
    "women_known",
    "women_yes",
    "hours_known",
    "descriptions_repaired",
    "amenities_verified",
    "amenities_repaired",
    "amenities_unverified",
    "amenities_kept_back",
)
"""What `found_of_gyms` counts."""

Row = dict[str, Any]


def ledger_by(connection: Connection, *dimensions: str) -> list[Row]:
    """Attempts, tokens and cost of all time by `variant`, `model`, `outcome` or `day` (UTC, as 2026-11-25).

    Every row of the ledger is in exactly one of the groups: they add up to it to the last token.
    """
    groups = [_dimension(connection, name).label(name) for name in dimensions]
    query = (
        select(*groups, func.count().label("attempts"), *(func.sum(ledger.c[name]).label(name) for name in SUMS))
        .group_by(*groups)
        .order_by(*groups)
    )
    return [dict(row._mapping) for row in connection.execute(query)]


def latencies(connection: Connection) -> list[Row]:
    """Seconds that answered attempts took, per variant: how many there were, and the nearest rank of each quantile."""
    answered = ledger.c.outcome == "ok"
    counts = connection.execute(
        select(ledger.c.variant, func.count()).where(answered).group_by(ledger.c.variant).order_by(ledger.c.variant)
    ).all()
    return [
        {"variant": variant, "answers": count}
        | {
            name: round(latency_at_rank(connection, and_(answered, ledger.c.variant == variant), count, quantile), 4)
            for name, quantile in QUANTILES.items()
        }
        for variant, count in counts
    ]


def found_of_gyms(connection: Connection) -> list[Row]:
    """How complete enriched rows are, per variant, prompt version and model, and how their claims were checked.

    `amenities_kept_back` counts claims that nothing supports, and what is beyond the most that are published; the
    other `amenities_...` are published claims by status; the rest counts gyms.
    """
    looked_at = ("amenities", "women_only", "has_women_hours", "hours_french", "statuses", "unpublished")
    query = select(*(enrichments.c[name] for name in (*ASKED_WITH, *looked_at))).where(
        enrichments.c.state == "enriched"
    )
    counts: dict[tuple[str, ...], Counter[str]] = {}
    for row in connection.execution_options(yield_per=1_000).execute(query):
        counts.setdefault(tuple(getattr(row, name) for name in ASKED_WITH), Counter()).update(_found(row))
    return [
        dict(zip(ASKED_WITH, key, strict=True)) | {name: counts[key][name] for name in FOUND} for key in sorted(counts)
    ]


def failures_by_kind(connection: Connection) -> list[Row]:
    """How many gyms failed last time, by kind and variant, with the ids of some: no text of a review, no answer."""
    query = (
        select(failures.c.kind, failures.c.variant, func.count().label("gyms"))
        .group_by(failures.c.kind, failures.c.variant)
        .order_by(func.count().desc(), failures.c.kind, failures.c.variant)
    )
    return [
        dict(row._mapping) | {"examples": _some_failed(connection, row.kind, row.variant)}
        for row in connection.execute(query).all()
    ]


def day_of(connection: Connection, moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """The day (UTC) of a column of moments, as the text 2026-11-25."""
    if connection.dialect.name == "postgresql":
        return func.to_char(func.timezone("UTC", moment), "YYYY-MM-DD")
    return func.date(moment)


def _dimension(connection: Connection, name: str) -> ColumnElement[Any]:
    return day_of(connection, ledger.c.started_at) if name == "day" else ledger.c[name]


def latency_at_rank(connection: Connection, among: ColumnElement[bool], count: int, quantile: float) -> float:
    """The smallest latency, in seconds, that the share `quantile` of these `count` attempts does not exceed."""
    query = (
        select(ledger.c.latency_seconds)
        .where(among)
        .order_by(ledger.c.latency_seconds)
        .offset(ceil(quantile * count) - 1)
        .limit(1)
    )
    return float(connection.execute(query).scalar_one())


def _found(row: Any) -> Counter[str]:
    statuses = Counter(f"amenities_{status}" for status in row.statuses.get("amenities", {}).values())
    return statuses + Counter(
        gyms=1,
        with_amenities=bool(row.amenities),
        women_known=row.women_only != "unknown",
        women_yes=bool(row.has_women_hours),
        hours_known=row.hours_french != NOT_STATED,
        descriptions_repaired=row.statuses.get("description") == "repaired",
        amenities_kept_back=len(row.unpublished.get("amenities", ())),
    )


def _some_failed(connection: Connection, kind: str, variant: str) -> Sequence[str]:
    query = (
        select(failures.c.place_id)
        .where(failures.c.kind == kind, failures.c.variant == variant)
        .order_by(failures.c.failed_at.desc(), failures.c.place_id)
        .limit(_EXAMPLES)
    )
    return list(connection.execute(query).scalars())
