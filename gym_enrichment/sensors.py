"""The sensors that notice new gyms, and gyms that an experiment moved to another variant."""

import dagster as dg

from gym_enrichment.jobs import enrich_batches
from gym_enrichment.partitions import KEYS_PER_CALL, add_missing_keys, gym_batches, missing_keys
from gym_enrichment.resources import GymPipeline
from gym_enrichment.storage.batches import assign_batches, batches_moved, unstarted_batches
from gym_enrichment.storage.experiments import version_in_force


@dg.sensor(
    job=enrich_batches,
    minimum_interval_seconds=30,
    description="Gives gyms without a batch one, and enriches each new batch once.",
)
def new_gyms_sensor(
    context: dg.SensorEvaluationContext, gym_pipeline: dg.ResourceParam[GymPipeline]
) -> dg.SensorResult | dg.SkipReason:
    """Gives gyms without a batch one, and requests each new batch once, a bounded number per tick.

    Everything is derived from the database: a tick that dies anywhere is made up for by the next one. Dagster
    itself drops a second request with the same run key; the cursor only keeps the requested batches from
    filling up later ticks. A batch is requested again on purpose from the UI or with `gym-enrichment run`.
    """
    database, settings = gym_pipeline.database, gym_pipeline.settings
    assign_batches(database, settings.batch_size)
    new_keys = missing_keys(context.instance, database)[:KEYS_PER_CALL]
    with database.read() as connection:
        batches = unstarted_batches(connection, after=context.cursor, most=settings.batches_per_tick)
    if not batches and not new_keys:
        return dg.SkipReason("no new gyms")
    tags = gym_pipeline.queue_tags()
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=f"new:{batch}", partition_key=batch, tags=tags) for batch in batches],
        dynamic_partitions_requests=[gym_batches.build_add_request(new_keys)] if new_keys else [],
        cursor=batches[-1] if batches else context.cursor,
    )


@dg.sensor(
    job=enrich_batches,
    minimum_interval_seconds=30,
    description="Enriches the gyms that an experiment or a rollout moved to another variant.",
)
def moved_gyms_sensor(
    context: dg.SensorEvaluationContext, gym_pipeline: dg.ResourceParam[GymPipeline]
) -> dg.SensorResult | dg.SkipReason:
    """Requests the batches with gyms that an experiment moved to another variant, each once per version of it.

    Such a run asks about the moved gyms alone: the rows of their neighbours are kept as they are.
    """
    add_missing_keys(context.instance, gym_pipeline.database)
    with gym_pipeline.database.read() as connection:
        found = version_in_force(connection)
        if found is None:
            return dg.SkipReason("no experiment is in force")
        version, _, after = (context.cursor or "").partition(":")
        behind = after if version == str(found.version) else None
        batches = batches_moved(connection, found.experiment, behind, gym_pipeline.settings.batches_per_tick)
    if not batches:
        return dg.SkipReason(f"version {found.version} of {found.experiment.name} moved no gym that was not requested")
    tags = gym_pipeline.queue_tags()
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(run_key=f"moved:{found.version}:{batch}", partition_key=batch, tags=tags) for batch in batches
        ],
        cursor=f"{found.version}:{batches[-1]}",
    )
