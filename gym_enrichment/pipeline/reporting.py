"""Everything that the report page shows, gathered from one state of the database.

What must not live here: queries (storage/), and how the page looks (report/).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from gym_enrichment.domain.evaluation import Difference
from gym_enrichment.pipeline.evaluating import Figure, changes_since, restored
from gym_enrichment.pipeline.gallery import DEFAULT_GYMS, Gallery, gather_gallery
from gym_enrichment.pipeline.rollout_view import RolloutView, rollout_view
from gym_enrichment.pipeline.statistics import figures_by_variant, rolled_up
from gym_enrichment.storage.breakdowns import found_of_gyms, latencies, ledger_by
from gym_enrichment.storage.directory import directory_counts
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.report_rows import (
    failures_by_day,
    newest_evaluations,
    newest_runs,
    runs_by_day,
)
from gym_enrichment.storage.statistics import runs_by_variant

MOST_DAYS = 31
MOST_RUNS = 12
MOST_FAILURES = 50
MOST_EVALUATIONS = 60
OLD_VARIANT = "fanout"
"""What the others are compared with: how the old pipeline asked."""


@dataclass(frozen=True, slots=True)
class Headline:
    """Totals of all time. What the cache saved is cache hits times what a gym of the same variant cost on average."""

    gyms: int
    states: Mapping[str, int]
    llm_calls: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost_usd: float
    cache_hits: int
    saved_usd: float
    saved_tokens: int


@dataclass(frozen=True, slots=True)
class DayOfVariant:
    """What one variant's attempts of one day (UTC) took."""

    day: str
    variant: str
    calls: int
    tokens: int
    cost_usd: float


@dataclass(frozen=True, slots=True)
class VariantFigures:
    """One way of asking, over all time; None where there was nothing to measure.

    `gyms` are those paid for or, of what nobody was asked now, those that there is a row of.
    `..._per_gym` are over the gyms that were paid for, failed attempts included. `invalid_share` is of attempts,
    `unverified_share` of the amenities that the model named; latencies are seconds of answered attempts.
    """

    variant: str
    gyms: int
    calls: int
    calls_per_gym: float | None
    tokens_per_gym: float | None
    cost_usd_per_gym: float | None
    latency_p50: float | None
    latency_p95: float | None
    invalid_share: float | None
    unverified_share: float | None


@dataclass(frozen=True, slots=True)
class Throughput:
    """Gyms that runs went through, in a day (`runs` of them) or in one run (`run_id`, `variant`, `ended`)."""

    day: str
    gyms: int
    enriched: int
    failed: int
    skipped: int
    cache_hits: int
    runs: int = 1
    run_id: str = ""
    variant: str = ""
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class FailedGyms:
    """Gyms whose last attempt failed that day, with the id of one."""

    day: str
    kind: str
    variant: str
    gyms: int
    example: str


@dataclass(frozen=True, slots=True)
class FailedAttempts:
    """Attempts of one day that brought no usable answer; most were mended by the next attempt."""

    day: str
    kind: str
    attempts: int


@dataclass(frozen=True, slots=True)
class EvaluationView:
    """The newest evaluation of a variant against some labels, and how it differs from the one before."""

    labels: str
    variant: str
    prompt_version: str
    model: str
    gyms: int
    evaluated_at: datetime
    figures: Mapping[str, Figure]
    changes: Mapping[str, Difference]


@dataclass(frozen=True, slots=True)
class Report:
    """All sections of the page. Days and runs are the newest ones, see MOST_DAYS and MOST_RUNS."""

    generated_at: datetime
    headline: Headline
    days: Sequence[DayOfVariant]
    variants: Sequence[VariantFigures]
    throughput_days: Sequence[Throughput]
    throughput_runs: Sequence[Throughput]
    failed_gyms: Sequence[FailedGyms]
    failed_attempts: Sequence[FailedAttempts]
    evaluations: Sequence[EvaluationView]
    gallery: Gallery
    rollout: RolloutView | None


def gather_report(database: Database, most_gyms: int = DEFAULT_GYMS) -> Report:
    """What the page shows, as the database is now.

    The number of queries depends on how many variants there are, and not on how many gyms, runs or days (the texts
    of reviews are read five thousand at a time).

    Args:
        database: where the gyms are.
        most_gyms: how many gyms the gallery shows at most, those that were enriched last.
    """
    now = datetime.now(UTC)
    rollout = rollout_view(database)
    with database.read() as connection:
        attempts = ledger_by(connection, "day", "variant", "outcome")
        variants = figures_by_variant(attempts, runs_by_variant(connection), found_of_gyms(connection))
        states = directory_counts(connection)
        return Report(
            generated_at=now,
            headline=_headline(attempts, variants, states),
            days=_days(attempts, now.date()),
            variants=_variants(variants, latencies(connection)),
            throughput_days=[_throughput(row) for row in runs_by_day(connection, MOST_DAYS)],
            throughput_runs=[_throughput(row) for row in newest_runs(connection, MOST_RUNS)],
            failed_gyms=[FailedGyms(**row) for row in failures_by_day(connection, MOST_FAILURES)],
            failed_attempts=_failed_attempts(attempts),
            evaluations=_evaluations(newest_evaluations(connection, MOST_EVALUATIONS)),
            gallery=gather_gallery(connection, most_gyms, sum(states.values())),
            rollout=rollout,
        )


def _headline(
    attempts: Sequence[Mapping[str, Any]], variants: Mapping[str, Mapping[str, Any]], states: Mapping[str, int]
) -> Headline:
    total = {name: sum(row[name] for row in attempts) for name in ("prompt_tokens", "cached_tokens", "cost_usd")}
    return Headline(
        gyms=sum(states.values()),
        states=states,
        llm_calls=sum(row["attempts"] for row in attempts),
        completion_tokens=sum(row["completion_tokens"] for row in attempts),
        cache_hits=sum(row["cache_hits"] for row in variants.values()),
        saved_usd=sum(row["saved_usd"] for row in variants.values()),
        saved_tokens=sum(row["saved_tokens"] for row in variants.values()),
        **total,
    )


def _days(attempts: Sequence[Mapping[str, Any]], today: date) -> list[DayOfVariant]:
    since = (today - timedelta(days=MOST_DAYS - 1)).isoformat()
    return [
        DayOfVariant(row["day"], row["variant"], row["attempts"], _tokens(row), float(row["cost_usd"]))
        for row in rolled_up(attempts, "day", "variant")
        if row["day"] >= since
    ]


def _variants(variants: Mapping[str, Mapping[str, Any]], taken: Sequence[Mapping[str, Any]]) -> list[VariantFigures]:
    """Each variant that was asked with, the old one first, then the one with the most calls."""
    seconds = {row["variant"]: row for row in taken}
    return [
        VariantFigures(
            variant=name,
            gyms=row["gyms_paid"] or row["gyms_found"],
            calls=row["llm_calls"],
            calls_per_gym=row["calls_per_gym"],
            tokens_per_gym=row["tokens_per_gym"],
            cost_usd_per_gym=row["cost_usd_per_gym"],
            latency_p50=seconds.get(name, {}).get("p50"),
            latency_p95=seconds.get(name, {}).get("p95"),
            invalid_share=row["invalid_share"],
            unverified_share=row["unverified_share"],
        )
        for name, row in sorted(variants.items(), key=lambda item: (item[0] != OLD_VARIANT, -item[1]["llm_calls"]))
    ]


def _throughput(row: Mapping[str, Any]) -> Throughput:
    ended = row.get("ended")
    day = row["day"] if ended is None else ended.date().isoformat()
    return Throughput(**{**row, "day": day})


def _failed_attempts(attempts: Sequence[Mapping[str, Any]]) -> list[FailedAttempts]:
    failed = rolled_up([row for row in attempts if row["outcome"] != "ok"], "day", "outcome")
    newest = sorted(failed, key=lambda row: row["day"], reverse=True)[:MOST_FAILURES]
    return [FailedAttempts(row["day"], row["outcome"], row["attempts"]) for row in newest]


def _evaluations(rows: Sequence[Mapping[str, Any]]) -> list[EvaluationView]:
    """The newest of each variant and labels among rows that begin with the newest."""
    series: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        series.setdefault((row["labels"], row["variant"]), []).append(row)
    views = []
    for newest, *before in series.values():
        figures = restored(newest["figures"])
        known = {name: value for name, value in newest.items() if name not in {"id", "figures"}}
        changes = changes_since(before[0]["figures"], figures) if before else {}
        views.append(EvaluationView(**known, figures=figures, changes=changes))
    return views


def _tokens(row: Mapping[str, Any]) -> int:
    return int(row["prompt_tokens"] + row["completion_tokens"])
