"""Queries that add up what runs did: gyms from batch_runs, calls, tokens and cost from the ledger.

What must not live here: how figures are shown.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from gym_enrichment.storage.llm_admission import find_budgets, month_scope, run_scope
from gym_enrichment.storage.tables import batch_runs, ledger

_GYM_FIGURES = ("gyms", "enriched", "failed", "skipped", "skipped_budget", "cache_hits")
_TOKEN_FIGURES = ("prompt_tokens", "cached_tokens", "completion_tokens")


def run_figures(connection: Connection, run_id: str | None = None) -> dict[str, int | float]:
    """The figures of one run, or of all time. A gym that was in two runs counts in both."""
    gyms = select(*(func.coalesce(func.sum(batch_runs.c[name]), 0).label(name) for name in _GYM_FIGURES))
    calls = select(
        func.count().label("llm_calls"),
        *(func.coalesce(func.sum(ledger.c[name]), 0).label(name) for name in _TOKEN_FIGURES),
        func.coalesce(func.sum(ledger.c.cost_usd), 0.0).label("cost_usd"),
    )
    if run_id is not None:
        gyms = gyms.where(batch_runs.c.run_id == run_id)
        calls = calls.where(ledger.c.run_id == run_id)
    found = dict(connection.execute(gyms).one()._mapping) | dict(connection.execute(calls).one()._mapping)
    return {name: round(float(value), 9) if name == "cost_usd" else int(value) for name, value in found.items()}


def runs_by_variant(connection: Connection) -> dict[str, dict[str, int]]:
    """Gyms by outcome and cache hits of all runs, per variant. A gym in two runs counts in both."""
    sums = (func.sum(batch_runs.c[name]).label(name) for name in _GYM_FIGURES)
    query = select(batch_runs.c.variant, *sums).group_by(batch_runs.c.variant).order_by(batch_runs.c.variant)
    return {row.variant: {name: int(getattr(row, name)) for name in _GYM_FIGURES} for row in connection.execute(query)}


def last_run(connection: Connection) -> str | None:
    """The run whose newest batch or call is the newest of all; None before the first."""
    newest = connection.execute(
        select(ledger.c.run_id, ledger.c.started_at).order_by(ledger.c.started_at.desc()).limit(1)
    ).first()
    finished = connection.execute(
        select(batch_runs.c.run_id, batch_runs.c.finished_at).order_by(batch_runs.c.finished_at.desc()).limit(1)
    ).first()
    if newest is None or finished is None:
        found = newest or finished
        return str(found[0]) if found else None
    return str(finished[0] if finished[1] >= newest[1] else newest[0])


def budget_figures(connection: Connection, run_id: str | None, now: datetime) -> dict[str, dict[str, float]]:
    """Dollars spent and reserved in the budgets of the month of `now` and of a run, as far as there are any."""
    scopes = [month_scope(now), *([run_scope(run_id)] if run_id is not None else [])]
    return {
        scope: {"spent_usd": spent, "reserved_usd": reserved}
        for scope, (spent, reserved) in find_budgets(connection, scopes).items()
    }


@dataclass(frozen=True, slots=True)
class CallHabits:
    """What calls of a variant have been like so far."""

    completion_tokens_per_gym: float
    latency_seconds: float


def call_habits(connection: Connection, variant: str) -> CallHabits | None:
    """The means over all time; None before the first gym was paid for."""
    paid = func.sum(batch_runs.c.enriched - batch_runs.c.cache_hits)
    tokens = func.sum(batch_runs.c.completion_tokens)
    gyms, completion = connection.execute(select(paid, tokens).where(batch_runs.c.variant == variant)).one()
    latency = connection.execute(
        select(func.avg(ledger.c.latency_seconds)).where(ledger.c.variant == variant, ledger.c.outcome == "ok")
    ).scalar()
    if not gyms or gyms < 0 or latency is None:
        return None
    return CallHabits(float(completion) / gyms, float(latency))
