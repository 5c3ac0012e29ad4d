"""Asset checks: what must hold of the published table."""

import dagster as dg

from gym_enrichment.assets.directory import gym_directory
from gym_enrichment.resources import GymPipeline
from gym_enrichment.storage.directory import directory_counts
from gym_enrichment.storage.raw import raw_counts


@dg.asset_check(asset=gym_directory)
def every_gym_is_published_once(gym_pipeline: dg.ResourceParam[GymPipeline]) -> dg.AssetCheckResult:
    """The published table has exactly one row for each raw gym."""
    with gym_pipeline.database.read() as connection:
        gyms, published = raw_counts(connection)["gyms"], sum(directory_counts(connection).values())
    return dg.AssetCheckResult(passed=gyms == published, metadata={"gyms": gyms, "published": published})


@dg.asset_check(asset=gym_directory)
def no_gym_failed(gym_pipeline: dg.ResourceParam[GymPipeline]) -> dg.AssetCheckResult:
    """No gym is without an enrichment because its last run failed."""
    with gym_pipeline.database.read() as connection:
        failed = directory_counts(connection).get("failed", 0)
    return dg.AssetCheckResult(passed=failed == 0, severity=dg.AssetCheckSeverity.WARN, metadata={"failed": failed})
