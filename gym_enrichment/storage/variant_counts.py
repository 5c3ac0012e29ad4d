"""Queries that count what variants did, for guardrails and comparisons; and rows of two variants side by side.

What must not live here: what the counts mean (domain/comparing.py, domain/rollout.py).
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, and_, case, func, select

from gym_enrichment.domain.comparing import VariantCounts
from gym_enrichment.domain.experiments import LEGACY, Experiment
from gym_enrichment.storage.breakdowns import QUANTILES, latency_at_rank
from gym_enrichment.storage.experiments import assigned_variant
from gym_enrichment.storage.tables import enrichments, evaluations, failures, gyms, ledger

INVALID = ("invalid_answer", "truncated", "empty")
"""Outcomes of the ledger that are an answer, though none that could be used."""
_SAMPLE = 5_000
"""Rows whose claims are looked at: enough for intervals of a percent, read in a second."""


def variant_counts(connection: Connection, variant: str, since: datetime) -> VariantCounts:
    """What a variant did from `since` on, LEGACY at any time. Gyms kept and those without any text do not count."""
    if variant == LEGACY:
        since = datetime.fromtimestamp(0, UTC)
    row_is_new = (
        enrichments.c.variant == variant,
        enrichments.c.state == "enriched",
        enrichments.c.enriched_at >= since,
    )
    enriched = connection.execute(select(func.count()).select_from(enrichments).where(*row_is_new)).scalar_one()
    failed = connection.execute(
        select(func.count()).select_from(failures).where(failures.c.variant == variant, failures.c.failed_at >= since)
    ).scalar_one()
    called = (ledger.c.variant == variant, ledger.c.started_at >= since)
    invalid, good, cost = connection.execute(
        select(
            func.coalesce(func.sum(case((ledger.c.outcome.in_(INVALID), 1), else_=0)), 0),
            func.coalesce(func.sum(case((ledger.c.outcome == "ok", 1), else_=0)), 0),
            func.coalesce(func.sum(ledger.c.cost_usd), 0.0),
        ).where(*called)
    ).one()
    answered = and_(*called, ledger.c.outcome == "ok")
    latency = latency_at_rank(connection, answered, int(good), QUANTILES["p95"]) if good else None
    sample = connection.execute(
        select(*(enrichments.c[name] for name in _LOOKED_AT))
        .where(*row_is_new)
        .order_by(enrichments.c.enriched_at.desc(), enrichments.c.place_id)
        .limit(_SAMPLE)
    ).all()
    return VariantCounts(
        variant=variant,
        enriched=int(enriched),
        failed=int(failed),
        answers=int(good) + int(invalid),
        invalid=int(invalid),
        claims=[_claims(row) for row in sample],
        repaired=sum(row.statuses.get("description") == "repaired" for row in sample),
        tokens=[row.prompt_tokens + row.completion_tokens for row in sample],
        cost_usd=float(cost),
        latency_p95=latency,
        evaluation_loss=_evaluation_loss(connection, variant),
    )


def shadow_pairs(
    connection: Connection, experiment: Experiment
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """The row of each gym's own variant, and that of the shadow's, where there are both of the same bundle."""
    assert experiment.shadow is not None
    own, shadow = enrichments.alias("own"), enrichments.alias("shadow")
    compared = ("amenities", "has_women_hours", "hours_french", "statuses")
    query = (
        select(*(table.c[name].label(f"{table.name}_{name}") for table in (own, shadow) for name in compared))
        .select_from(own)
        .join(gyms, gyms.c.place_id == own.c.place_id)
        .join(shadow, shadow.c.place_id == own.c.place_id)
        .where(
            own.c.variant == assigned_variant(experiment),
            shadow.c.variant == experiment.shadow.variant,
            own.c.variant != shadow.c.variant,
            own.c.state == "enriched",
            shadow.c.state == "enriched",
            own.c.bundle_hash == shadow.c.bundle_hash,
        )
    )
    for row in connection.execution_options(yield_per=1_000).execute(query):
        found = row._mapping
        one, other = ({name: found[f"{table}_{name}"] for name in compared} for table in ("own", "shadow"))
        yield one, other


_LOOKED_AT = ("statuses", "unpublished", "prompt_tokens", "completion_tokens")


def _claims(row: Any) -> tuple[int, int]:
    """How many amenities of a row nothing supports, and how many were named."""
    statuses = row.statuses.get("amenities", {})
    unsupported = len(row.unpublished.get("amenities", ())) + sum(s == "unverified" for s in statuses.values())
    return unsupported, len(row.unpublished.get("amenities", ())) + len(statuses)


def _evaluation_loss(connection: Connection, variant: str) -> float | None:
    newest = select(evaluations.c.figures).where(evaluations.c.variant == variant)
    figures = connection.execute(newest.order_by(evaluations.c.id.desc()).limit(1)).scalar()
    precision, recall = (
        float(((figures or {}).get(f"amenity_{name}") or {}).get("share") or 0.0) for name in ("precision", "recall")
    )
    return 1 - 2 * precision * recall / (precision + recall) if precision + recall else None
