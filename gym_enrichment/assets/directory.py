"""gym_directory: the published table."""

import dagster as dg

from gym_enrichment.assets.column_schema import column_schema
from gym_enrichment.assets.enrichments import gym_enrichments
from gym_enrichment.resources import GymPipeline
from gym_enrichment.storage import tables
from gym_enrichment.storage.directory import directory_counts, publish
from gym_enrichment.storage.experiments import experiment_in_force


@dg.asset(
    deps=[gym_enrichments],
    group_name="publication",
    kinds={"table"},
    owners=["team:directory"],
    metadata=column_schema(tables.gym_directory),
)
def gym_directory(gym_pipeline: dg.ResourceParam[GymPipeline]) -> dg.MaterializeResult[None]:
    """The published table, one row per gym, those that wait for their enrichment included.

    Every batch is published in the transaction that saves it; this brings all rows up to date, in SQL.
    """
    with gym_pipeline.database.write() as connection:
        experiment = experiment_in_force(connection, gym_pipeline.settings.variant)
        changed = publish(connection, experiment)
        counts = directory_counts(connection)
    states = {state: counts.get(state, 0) for state in ("enriched", "skipped", "failed", "pending")}
    return dg.MaterializeResult(metadata={"dagster/row_count": sum(counts.values()), "changed": changed} | states)
