"""review_bundles: what the LLM will read, a partition a batch."""

from collections import Counter
from collections.abc import Iterator, Sequence

import dagster as dg

from gym_enrichment.assets.column_schema import column_schema
from gym_enrichment.assets.partition_metadata import add_partition_metadata
from gym_enrichment.assets.raw import raw_gyms, raw_reviews
from gym_enrichment.domain.models import Bundle
from gym_enrichment.partitions import backfill_policy, gym_batches
from gym_enrichment.pipeline.bundling import build_bundles
from gym_enrichment.resources import GymPipeline
from gym_enrichment.storage import tables


def left_out(bundles: Sequence[Bundle]) -> Counter[str]:
    """How many reviews of some bundles were left out, by reason."""
    counts: Counter[str] = Counter()
    for bundle in bundles:
        counts.update(bundle.left_out)
    return counts


class BuiltBundles:
    """Bundles that are built while the IO manager writes them, so that memory holds one batch."""

    def __init__(self, context: dg.AssetExecutionContext, batches: Iterator[tuple[str, list[Bundle]]]) -> None:
        self._context = context
        self._batches = batches

    def __iter__(self) -> Iterator[tuple[str, list[Bundle]]]:
        for batch_id, bundles in self._batches:
            yield batch_id, bundles
            figures = {
                "dagster/row_count": len(bundles),
                "reviews": sum(bundle.reviews_total for bundle in bundles),
                "reviews_with_text": sum(bundle.reviews_with_text for bundle in bundles),
                "reviews_selected": sum(len(bundle.reviews) for bundle in bundles),
                "review_tokens": sum(bundle.review_tokens for bundle in bundles),
                **{f"left_out_{reason}": count for reason, count in left_out(bundles).items()},
            }
            add_partition_metadata(self._context, figures, batch_id)


@dg.asset(
    deps=[raw_gyms, raw_reviews],
    partitions_def=gym_batches,
    backfill_policy=backfill_policy(),
    io_manager_key="bundle_io",
    group_name="enrichment",
    kinds={"table"},
    owners=["team:directory"],
    metadata=column_schema(tables.bundles),
)
def review_bundles(context: dg.AssetExecutionContext, gym_pipeline: dg.ResourceParam[GymPipeline]) -> BuiltBundles:
    """Each gym's facts and selected reviews, ready for a prompt; one reviews query at most for all batches of a run."""
    settings = gym_pipeline.settings
    # A worker outlives many runs, and may be older than the schema by now.
    settings.database.check_schema()
    return BuiltBundles(
        context, build_bundles(settings.database, context.partition_keys, settings.token_budget, settings.vocabulary)
    )
