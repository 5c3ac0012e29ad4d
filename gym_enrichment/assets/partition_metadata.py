"""Gives each partition of a run its own figures.

What must not live here: which figures.
"""

from collections.abc import Mapping

import dagster as dg


def add_partition_metadata(context: dg.AssetExecutionContext, figures: Mapping[str, int | float], key: str) -> None:
    """`context.add_asset_metadata(figures, partition_key=key)` for a key that is known to be one of the run's.

    Dagster's own reads every partition key that there is, for each call, to make sure of that: with a hundred
    thousand batches a run of a hundred would read ten million rows.
    """
    step = context.get_step_execution_context()
    step._metadata_accumulator = step._metadata_accumulator.with_additional_asset_metadata(
        asset_key=context.asset_key, metadata=figures, partition_key=key
    )
