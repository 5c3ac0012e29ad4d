"""Queries that only the report needs: runs by day, failures by day, and gyms with what supports each fact.

What must not live here: what `stats` shows too (breakdowns.py, statistics.py), and how anything is shown.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, func, select

from gym_enrichment.storage.breakdowns import day_of
from gym_enrichment.storage.tables import batch_runs, enrichments, evaluations, failures, gym_directory

_GYMS = ("gyms", "enriched", "failed", "skipped", "cache_hits")

Row = Mapping[str, Any]


def runs_by_day(connection: Connection, most: int) -> list[Row]:
    """Gyms by outcome, cache hits and runs of the `most` newest days (UTC, as 2026-11-25) that had runs."""
    day = day_of(connection, batch_runs.c.finished_at).label("day")
    runs = func.count(batch_runs.c.run_id.distinct()).label("runs")
    return _rows(connection, select(day, runs, *_sums()).group_by(day).order_by(day.desc()).limit(most))


def newest_runs(connection: Connection, most: int) -> list[Row]:
    """The same of each of the `most` newest runs and its variant, with when its last batch ended."""
    ended = func.max(batch_runs.c.finished_at).label("ended")
    keys = (batch_runs.c.run_id, batch_runs.c.variant)
    return _rows(connection, select(*keys, ended, *_sums()).group_by(*keys).order_by(ended.desc(), *keys).limit(most))


def failures_by_day(connection: Connection, most: int) -> list[Row]:
    """Gyms whose last attempt failed, by day, kind and variant, the newest first, with the id of one as `example`."""
    keys = (day_of(connection, failures.c.failed_at).label("day"), failures.c.kind, failures.c.variant)
    counted = (func.count().label("gyms"), func.min(failures.c.place_id).label("example"))
    return _rows(connection, select(*keys, *counted).group_by(*keys).order_by(keys[0].desc(), *keys[1:]).limit(most))


def newest_evaluations(connection: Connection, most: int) -> list[Row]:
    """The `most` newest evaluations, the newest first."""
    return _rows(connection, select(evaluations).order_by(evaluations.c.id.desc()).limit(most))


def newest_published(connection: Connection, most: int) -> list[Row]:
    """The published gyms that were enriched last, those without an enrichment at the end.

    Beside the published columns: `evidence`, `statuses` and `women_only`, None without an enrichment.
    """
    shown = and_(enrichments.c.place_id == gym_directory.c.place_id, enrichments.c.variant == gym_directory.c.variant)
    found = (enrichments.c.evidence, enrichments.c.statuses, enrichments.c.women_only)
    query = (
        select(gym_directory, *found)
        .select_from(gym_directory.outerjoin(enrichments, shown))
        .order_by(gym_directory.c.enriched_at.desc().nulls_last(), gym_directory.c.place_id)
        .limit(most)
    )
    return _rows(connection, query)


def _sums() -> Sequence[Any]:
    return [func.sum(batch_runs.c[name]).label(name) for name in _GYMS]


def _rows(connection: Connection, query: Any) -> list[Row]:
    return [dict(row._mapping) for row in connection.execute(query)]
