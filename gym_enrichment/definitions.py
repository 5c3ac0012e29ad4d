"""The one place where everything is wired. Importing it connects to nothing and creates nothing."""

import dagster as dg

from gym_enrichment import checks
from gym_enrichment.alerts_sensor import alerts_sensor
from gym_enrichment.assets import bundles, directory, enrichments, evaluation, places, raw, report, rollout, statistics
from gym_enrichment.io_managers import BundleIOManager, EnrichmentIOManager
from gym_enrichment.jobs import (
    enrich_batches,
    ingest_sources,
    publish_directory,
    refresh_places,
    take_statistics,
    watch_rollout,
)
from gym_enrichment.resources import GymPipeline
from gym_enrichment.schedules import changed_reviews_schedule, places_schedule, rollout_schedule, statistics_schedule
from gym_enrichment.sensors import moved_gyms_sensor, new_gyms_sensor


def build_definitions(pipeline: GymPipeline) -> dg.Definitions:
    """The code location for a pipeline: the environment's below, the CLI's own with its progress bar."""
    return dg.Definitions(
        assets=dg.load_assets_from_modules(
            [places, raw, bundles, enrichments, directory, evaluation, statistics, rollout, report]
        ),
        asset_checks=dg.load_asset_checks_from_modules([checks]),
        jobs=[enrich_batches, publish_directory, ingest_sources, refresh_places, take_statistics, watch_rollout],
        sensors=[new_gyms_sensor, moved_gyms_sensor, alerts_sensor],
        schedules=[changed_reviews_schedule, places_schedule, statistics_schedule, rollout_schedule],
        resources={
            "gym_pipeline": pipeline,
            "bundle_io": BundleIOManager(pipeline),
            "enrichment_io": EnrichmentIOManager(pipeline),
        },
        executor=dg.in_process_executor,
    )


defs = build_definitions(GymPipeline())
