"""The sensor that notices new gyms."""

import dagster as dg

from gym_enrichment.jobs import enrich_batches
from gym_enrichment.partitions import KEYS_PER_CALL, gym_batches, missing_keys
from gym_enrichment.resources import GymPipeline
from gym_enrichment.storage.batches import assign_batches, unstarted_batches


@dg.sensor(job=enrich_batches, minimum_interval_seconds=30)
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
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=f"new:{batch}", partition_key=batch) for batch in batches],
        dynamic_partitions_requests=[gym_batches.build_add_request(new_keys)] if new_keys else [],
        cursor=batches[-1] if batches else context.cursor,
    )
