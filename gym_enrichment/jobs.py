"""Jobs: the selections that sensors, schedules and people launch."""

import dagster as dg

enrich_batches = dg.define_asset_job(
    "enrich_batches",
    selection=dg.AssetSelection.assets("review_bundles", "gym_enrichments"),
    description="Builds the bundles of some batches and enriches their gyms.",
    executor_def=dg.in_process_executor,
)

publish_directory = dg.define_asset_job(
    "publish_directory",
    selection=dg.AssetSelection.assets("gym_directory"),
    description="Brings the published table up to date.",
    executor_def=dg.in_process_executor,
)

ingest_sources = dg.define_asset_job(
    "ingest_sources",
    selection=dg.AssetSelection.assets("raw_gyms", "raw_reviews"),
    description="Ingests what GYM_SOURCES names.",
    executor_def=dg.in_process_executor,
)

refresh_places = dg.define_asset_job(
    "refresh_places",
    selection=dg.AssetSelection.assets("google_places"),
    description="Finds gyms in GYM_PLACES_AREAS at Google Places, and fetches details that are new or 30 days old.",
    executor_def=dg.in_process_executor,
)

take_statistics = dg.define_asset_job(
    "take_statistics",
    selection=dg.AssetSelection.assets("enrichment_statistics"),
    description="Adds today's figures to the plots of enrichment_statistics.",
    executor_def=dg.in_process_executor,
)

watch_rollout = dg.define_asset_job(
    "watch_rollout",
    selection=dg.AssetSelection.assets("rollout_status"),
    description="Moves the rollout on if it is due and its guardrails hold; pauses it, or goes back, if not.",
    executor_def=dg.in_process_executor,
)
