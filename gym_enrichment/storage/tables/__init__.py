"""The one schema, for SQLite and Postgres. Rules that must hold are keys and constraints here.

What must not live here: queries (the modules beside this package) and migrations (`migrations/`).
"""

from gym_enrichment.storage.tables.base import PLACE_ID_LENGTH, Json, UtcDateTime, metadata
from gym_enrichment.storage.tables.calls import (
    batch_runs,
    budget_holds,
    budgets,
    ledger,
    llm_batch_requests,
    llm_batches,
    llm_cache,
    llm_leases,
    llm_usage,
)
from gym_enrichment.storage.tables.directory import (
    batch_members,
    batches,
    bundles,
    enrichments,
    failures,
    gym_directory,
    gyms,
    quarantine,
    reviews,
)
from gym_enrichment.storage.tables.google_places import place_requests, place_tiles, places
from gym_enrichment.storage.tables.rollouts import alerts, evaluations, experiments

__all__ = [
    "PLACE_ID_LENGTH",
    "Json",
    "UtcDateTime",
    "alerts",
    "batch_members",
    "batch_runs",
    "batches",
    "budget_holds",
    "budgets",
    "bundles",
    "enrichments",
    "evaluations",
    "experiments",
    "failures",
    "gym_directory",
    "gyms",
    "ledger",
    "llm_batch_requests",
    "llm_batches",
    "llm_cache",
    "llm_leases",
    "llm_usage",
    "metadata",
    "place_requests",
    "place_tiles",
    "places",
    "quarantine",
    "reviews",
]
