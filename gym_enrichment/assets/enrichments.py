"""gym_enrichments: what the LLM found, checked and saved, a partition a batch."""

import time
from collections.abc import Callable
from contextlib import suppress

import dagster as dg

from gym_enrichment.assets.column_schema import column_schema
from gym_enrichment.assets.outcomes import PartitionOutcomes
from gym_enrichment.io_managers import BundlesByBatch, EnrichmentIOManager
from gym_enrichment.llm.errors import RunStopped
from gym_enrichment.partitions import backfill_policy, gym_batches
from gym_enrichment.pipeline.enriching.enricher import Progress
from gym_enrichment.resources import LLM_POOL, GymPipeline, run_id_of
from gym_enrichment.storage import tables

_SECONDS_BETWEEN_LOGS = 10.0


@dg.asset(
    partitions_def=gym_batches,
    backfill_policy=backfill_policy(),
    io_manager_key="enrichment_io",
    group_name="enrichment",
    pool=LLM_POOL,
    kinds={"openai", "table"},
    owners=["team:directory"],
    metadata=column_schema(tables.enrichments),
)
def gym_enrichments(
    context: dg.AssetExecutionContext,
    review_bundles: BundlesByBatch,
    gym_pipeline: dg.ResourceParam[GymPipeline],
    enrichment_io: dg.ResourceParam[EnrichmentIOManager],
) -> None:
    """Description, amenities, women-only hours and French hours of each gym, published as each batch ends.

    All gyms of the run share one pool of calls. A batch with a failed gym fails alone: its good gyms and its
    neighbours are saved and published, and materializing it again asks only for what it lacks.
    """
    outcomes = PartitionOutcomes(context)
    with gym_pipeline.enricher(_log_now_and_then(context)) as enricher:
        try:
            for batch in enricher.enrich(review_bundles, run_id_of(context.run), review_bundles.gyms):
                enrichment_io.write_partition(batch)
                outcomes.add(batch)
        except RunStopped as stopped:
            outcomes.stop(str(stopped))
    outcomes.report()


def _log_now_and_then(context: dg.AssetExecutionContext) -> Callable[[Progress], None]:
    last = 0.0

    def log(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - max(last, progress.started) >= _SECONDS_BETWEEN_LOGS:
            last = now
            # The event log may be away for a moment: a line less is no reason to end a run.
            with suppress(Exception):
                context.log.info(progress.line())

    return log
