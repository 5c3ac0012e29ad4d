"""The schedules: changed reviews, Google Places, statistics, and the next step of the rollout."""

import dagster as dg

from gym_enrichment.jobs import enrich_batches, refresh_places, take_statistics, watch_rollout
from gym_enrichment.partitions import add_missing_keys
from gym_enrichment.resources import GymPipeline
from gym_enrichment.storage.batches import batches_changed


@dg.schedule(job=enrich_batches, cron_schedule="0 * * * *")
def changed_reviews_schedule(
    context: dg.ScheduleEvaluationContext, gym_pipeline: dg.ResourceParam[GymPipeline]
) -> list[dg.RunRequest] | dg.SkipReason:
    """Every hour, materializes again the batches whose gyms or reviews changed since their bundles were built.

    Only gyms whose prompt changed are asked again: the others' answers come from the cache. A batch is requested
    until its bundles are built anew; the run key names the state of the sources that it was requested for.
    """
    add_missing_keys(context.instance, gym_pipeline.database)
    with gym_pipeline.database.read() as connection:
        changed = batches_changed(connection)[: gym_pipeline.settings.batches_per_tick]
    if not changed:
        return dg.SkipReason("no batch has changed reviews")
    tags = gym_pipeline.queue_tags()
    return [
        dg.RunRequest(run_key=f"changed:{batch}:{state}", partition_key=batch, tags=tags) for batch, state in changed
    ]


@dg.schedule(job=refresh_places, cron_schedule="30 2 * * *")
def places_schedule(gym_pipeline: dg.ResourceParam[GymPipeline]) -> dg.RunRequest | dg.SkipReason:
    """Every night, searches GYM_PLACES_AREAS and fetches details that are new or stale, within the limits of Google
    Places in the settings. What was asked within 30 days is not asked again, so that most nights ask little.
    """
    if gym_pipeline.settings.places_key is None:
        return dg.SkipReason("GOOGLE_PLACES_API_KEY is not set")
    return dg.RunRequest()


statistics_schedule = dg.ScheduleDefinition(
    name="statistics_schedule", job=take_statistics, cron_schedule="0 5 * * *", description="Once a day, before work."
)

rollout_schedule = dg.ScheduleDefinition(
    name="rollout_schedule",
    job=watch_rollout,
    cron_schedule="15 * * * *",
    description="Every hour looks at the guardrails of the rollout in force, and goes to its next step when it is due.",
)
