"""Asset checks: what must hold of the published table."""

import dagster as dg

from gym_enrichment.assets.directory import gym_directory
from gym_enrichment.resources import GymPipeline
from gym_enrichment.storage.directory import directory_counts, unpublished_gyms


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
