"""All statistics in one place, and as what Prometheus reads.

What must not live here: queries (storage/statistics.py, storage/breakdowns.py), tables for people (showing.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from gym_enrichment.storage.breakdowns import (
    ASKED_WITH,
    FOUND,
    QUANTILES,
    SUMS,
    failures_by_kind,
    found_of_gyms,
    latencies,
    ledger_by,
)
from gym_enrichment.storage.directory import directory_counts
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.statistics import budget_figures, last_run, run_figures, runs_by_variant
from gym_enrichment.storage.variant_counts import INVALID

_TOKENS = {"prompt": "prompt_tokens", "cached": "cached_tokens", "completion": "completion_tokens"}
_ASKED = ("variant", "model")
_DIMENSIONS = ("day", *_ASKED, "outcome")


def statistics(database: Database) -> dict[str, Any]:
    """Everything that `stats --json` says, from one state of the database.

    `days`, `variants` and `attempts` each hold every attempt of the ledger once. `last_run` is None before the first.
    """
    with database.read() as connection:
        run_id = last_run(connection)
        attempts = ledger_by(connection, *_DIMENSIONS)
        found = found_of_gyms(connection)
        return {
            "last_run": run_figures(connection, run_id) if run_id else None,
            "all_time": run_figures(connection),
            "variants": figures_by_variant(attempts, runs_by_variant(connection), found),
            "days": rolled_up(attempts, "day", *_ASKED),
            "attempts": {row["outcome"]: row["attempts"] for row in rolled_up(attempts, "outcome")},
            "latency": latencies(connection),
            "found": found,
            "failures": failures_by_kind(connection),
            "directory": directory_counts(connection),
            "budgets": budget_figures(connection, run_id, datetime.now(UTC)),
        }


def figures_by_variant(
    attempts: Sequence[Mapping[str, Any]], runs: Mapping[str, Mapping[str, int]], found: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Per variant its sums, and what they mean for one gym.

    Gyms found are those that there is a row of. A gym is paid for when it was enriched by asking; what the cache saved
    is what its hits would have cost at the mean of those. Shares and means are None where there is nothing to divide
    by.

    Args:
        attempts: rows of `ledger_by` with `variant` and `outcome` among the dimensions.
        runs: `runs_by_variant`.
        found: `found_of_gyms`.
    """
    invalid = rolled_up([row for row in attempts if row["outcome"] in INVALID], "variant")
    invalid_answers = {row["variant"]: row["attempts"] for row in invalid}
    asked = {row["variant"]: row for row in rolled_up(attempts, "variant")}
    nothing = dict.fromkeys(("attempts", *SUMS), 0)
    figures = {}
    for name in sorted({*asked, *(group["variant"] for group in found)}):
        row = asked.get(name, nothing)
        ran = runs.get(name, {"enriched": 0, "cache_hits": 0})
        paid = max(0, ran["enriched"] - ran["cache_hits"])
        tokens = row["prompt_tokens"] + row["completion_tokens"]
        groups = [group for group in found if group["variant"] == name]
        unsupported, named = _claims(groups)
        figures[name] = {
            "llm_calls": row["attempts"],
            **{column: row[column] for column in SUMS},
            "gyms_found": sum(group["gyms"] for group in groups),
            "gyms_paid": paid,
            "cache_hits": ran["cache_hits"],
            "cost_usd_per_gym": _over(row["cost_usd"], paid),
            "tokens_per_gym": _over(tokens, paid),
            "calls_per_gym": _over(row["attempts"], paid),
            "saved_usd": ran["cache_hits"] * (_over(row["cost_usd"], paid) or 0.0),
            "saved_tokens": round(ran["cache_hits"] * (_over(tokens, paid) or 0.0)),
            "invalid_share": _over(invalid_answers.get(name, 0), row["attempts"]),
            "unverified_share": _over(unsupported, named),
        }
    return figures


def _over(part: float, whole: float) -> float | None:
    """A quotient; None of nothing."""
    return part / whole if whole else None


def _claims(found: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """Amenities named that nothing supports, and all that were named."""
    unsupported = sum(row["amenities_unverified"] + row["amenities_kept_back"] for row in found)
    return unsupported, unsupported + sum(row["amenities_verified"] + row["amenities_repaired"] for row in found)


def prometheus_text(database: Database) -> str:
    """The same in Prometheus' text format 0.0.4: for the textfile collector, or behind any web server."""
    with database.read() as connection:
        outcomes = ledger_by(connection, *_ASKED, "outcome")
        taken, found = latencies(connection), found_of_gyms(connection)
        states, failed = directory_counts(connection), failures_by_kind(connection)
    asked = rolled_up(outcomes, *_ASKED)
    samples = {
        ("llm_attempts_total", "counter", "Attempts at the LLM by outcome; ok is an answer."): [
            (_labels(row, *_ASKED, "outcome"), row["attempts"]) for row in outcomes
        ],
        ("llm_tokens_total", "counter", "Tokens paid for; the cached ones are among the prompt's."): [
            (_labels(row, *_ASKED) | {"kind": kind}, row[name]) for row in asked for kind, name in _TOKENS.items()
        ],
        ("llm_cost_usd_total", "counter", "Dollars spent at the LLM."): [
            (_labels(row, *_ASKED), row["cost_usd"]) for row in asked
        ],
        ("llm_latency_seconds", "gauge", "Seconds that an answer took, over all time, by quantile."): [
            (_labels(row, "variant") | {"quantile": str(quantile)}, row[name])
            for row in taken
            for name, quantile in QUANTILES.items()
        ],
        ("gyms", "gauge", "Gyms of the directory by state."): [
            ({"state": state}, gyms) for state, gyms in states.items()
        ],
        ("failed_gyms", "gauge", "Gyms whose last attempt failed, by kind of error."): [
            (_labels(row, "variant", "kind"), row["gyms"]) for row in failed
        ],
        ("found", "gauge", "What enriched rows hold; counts gyms, and claims where it begins with amenities."): [
            (_labels(row, *ASKED_WITH) | {"what": name}, row[name]) for row in found for name in FOUND
        ],
    }
    return "".join(line for family, rows in samples.items() for line in _family(*family, rows))


def rolled_up(rows: Sequence[Mapping[str, Any]], *dimensions: str) -> list[dict[str, Any]]:
    """Rows of `ledger_by` by fewer of its dimensions: the ledger is read once, however many ways it is shown."""
    sums: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in dimensions)
        total = sums.setdefault(key, dict.fromkeys(("attempts", *SUMS), 0))
        for name in total:
            total[name] += row[name]
    return [dict(zip(dimensions, key, strict=True)) | sums[key] for key in sorted(sums)]


def _labels(row: Mapping[str, Any], *names: str) -> dict[str, str]:
    return {name: "" if row[name] is None else str(row[name]) for name in names}


def _family(name: str, kind: str, meaning: str, rows: Sequence[tuple[dict[str, str], float]]) -> Iterator[str]:
    full = f"gym_enrichment_{name}"
    yield f"# HELP {full} {meaning}\n# TYPE {full} {kind}\n"
    for labels, value in rows:
        named = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        yield f"{full}{{{named}}} {value}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
