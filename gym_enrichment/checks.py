"""Asset checks: what must hold of what is found and published."""

from collections import Counter
from collections.abc import Sequence

import dagster as dg

from gym_enrichment.assets.directory import gym_directory
from gym_enrichment.assets.enrichments import gym_enrichments
from gym_enrichment.domain.experiments import LEGACY
from gym_enrichment.domain.findings import broken_promises
from gym_enrichment.resources import GymPipeline
from gym_enrichment.storage.directory import directory_counts, unpublished_gyms
from gym_enrichment.storage.enrichments import stream_enriched

_MOST_REPAIRED = 0.2
"""Above this share of mended descriptions or unsupported amenities somebody should look at the prompt or the model."""


@dg.asset_check(asset=gym_enrichments, blocking=True)
def every_published_claim_is_shown(
    context: dg.AssetCheckExecutionContext, gym_pipeline: dg.ResourceParam[GymPipeline]
) -> dg.AssetCheckResult:
    """In the run's batches, or in all: no amenity without a review, no unverified women-only hours or opening hours."""
    broken: Counter[str] = Counter()
    gyms = 0
    unverified = gym_pipeline.settings.publish_unverified
    with gym_pipeline.database.read() as connection:
        for row in stream_enriched(connection, _batches_of(context)):
            gyms += 1
            broken.update(broken_promises(row))
    if unverified:
        del broken["an amenity without a review"]
    return dg.AssetCheckResult(passed=not broken, metadata={"gyms": gyms, **broken})


@dg.asset_check(asset=gym_enrichments)
def most_claims_are_supported(
    context: dg.AssetCheckExecutionContext, gym_pipeline: dg.ResourceParam[GymPipeline]
) -> dg.AssetCheckResult:
    """In the run's batches, or in all: few descriptions were mended, and few amenities had no review behind them."""
    gyms = repaired = named = unsupported = 0
    with gym_pipeline.database.read() as connection:
        for row in stream_enriched(connection, _batches_of(context)):
            if row["variant"] == LEGACY:
                continue
            left_out = row["unpublished"].get("amenities", [])
            gyms += 1
            repaired += row["statuses"].get("description") == "repaired"
            named += len(row["amenities"]) + len(left_out)
            unsupported += len(left_out)
    shares = {"descriptions_repaired": repaired / max(1, gyms), "amenities_unsupported": unsupported / max(1, named)}
    passed = all(share <= _MOST_REPAIRED for share in shares.values())
    return dg.AssetCheckResult(passed=passed, severity=dg.AssetCheckSeverity.WARN, metadata={"gyms": gyms, **shares})


@dg.asset_check(asset=gym_directory)
def every_gym_is_published_once(gym_pipeline: dg.ResourceParam[GymPipeline]) -> dg.AssetCheckResult:
    """The published table has a row for each raw gym (its key and foreign key allow no other rows)."""
    with gym_pipeline.database.read() as connection:
        missing = unpublished_gyms(connection)
    return dg.AssetCheckResult(passed=missing == 0, metadata={"missing": missing})


@dg.asset_check(asset=gym_directory)
def no_gym_failed(gym_pipeline: dg.ResourceParam[GymPipeline]) -> dg.AssetCheckResult:
    """No gym is without an enrichment because its last run failed."""
    with gym_pipeline.database.read() as connection:
        failed = directory_counts(connection).get("failed", 0)
    return dg.AssetCheckResult(passed=failed == 0, severity=dg.AssetCheckSeverity.WARN, metadata={"failed": failed})


def _batches_of(context: dg.AssetCheckExecutionContext) -> Sequence[str] | None:
    """The batches of the run; None, for all there are, when a check is executed by itself.

    Not those of `run_id_of`: a backfill in a thousand runs would read everything a thousand times.
    """
    if context.has_partition_key or context.has_partition_key_range:
        return list(context.partition_keys)
    return None
