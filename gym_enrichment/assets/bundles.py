"""review_bundles: what the LLM will read, a partition a batch."""

from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg

from gym_enrichment.assets.column_schema import column_schema
from gym_enrichment.assets.raw import raw_gyms, raw_reviews
from gym_enrichment.domain.models import Bundle
from gym_enrichment.partitions import backfill_policy, gym_batches
from gym_enrichment.pipeline.bundling import build_bundles
from gym_enrichment.resources import GymPipeline
from gym_enrichment.storage import tables

# Read by the IO manager while it writes: memory holds one batch, however many there are.
BundleStream = Iterable[tuple[str, list[Bundle]]]


@dg.asset(
    deps=[raw_gyms, raw_reviews],
    partitions_def=gym_batches,
    backfill_policy=backfill_policy(),
    io_manager_key="bundle_io",
    dagster_type=dg.Any,
    group_name="enrichment",
    kinds={"table"},
    owners=["team:directory"],
    metadata=column_schema(tables.bundles),
)
def review_bundles(context: dg.AssetExecutionContext, gym_pipeline: dg.ResourceParam[GymPipeline]) -> Any:
    """Each gym's facts and selected reviews, ready for a prompt; one reviews query for all batches of a run."""
    built = build_bundles(gym_pipeline.database, context.partition_keys, gym_pipeline.settings.token_budget)
    return _described(context, built)


def _described(context: dg.AssetExecutionContext, built: BundleStream) -> Iterator[tuple[str, list[Bundle]]]:
    for batch_id, bundles in built:
        yield batch_id, bundles
        context.add_asset_metadata(
            {
                "dagster/row_count": len(bundles),
                "reviews": sum(bundle.reviews_total for bundle in bundles),
                "reviews_with_text": sum(bundle.reviews_with_text for bundle in bundles),
                "reviews_selected": sum(len(bundle.reviews) for bundle in bundles),
                "review_tokens": sum(bundle.review_tokens for bundle in bundles),
            },
            partition_key=batch_id,
        )
