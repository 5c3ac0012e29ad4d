"""Tells Dagster how each partition of a run ended, so that its UI shows exactly the failed ones as failed.

Dagster itself knows one outcome per run: without this, one bad partition would leave all of them
unmaterialized (dagster-io/dagster#17836).
"""

from typing import Any

import dagster as dg

from gym_enrichment.assets.partition_metadata import add_partition_metadata
from gym_enrichment.domain.models import EnrichedBatch

FAILED_PARTITIONS = "failed_partitions"
STOPPED = "stopped"

_MOST_NAMED = 10
# Digits behind the point, for people: milliseconds, and dollars as the ledger adds them up.
_DIGITS = {"seconds": 3, "cost_usd": 9}


class PartitionOutcomes:
    """Collects the outcome of each partition of one run of one asset, then reports them."""

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self._context = context
        self._failed: dict[str, None] = {}
        self._examples: list[str] = []
        self._stopped: str | None = None
        self._metadata: dict[str, dict[str, int | float]] = {}

    def add(self, batch: EnrichedBatch) -> None:
        """A partition is saved, or the part of it that has one variant; it is good if every gym of it is."""
        known = self._metadata.get(batch.batch_id, {})
        self._metadata[batch.batch_id] = {name: known.get(name, 0) + value for name, value in batch.figures.items()}
        if batch.failures:
            self._failed[batch.batch_id] = None
        room = _MOST_NAMED - len(self._examples)
        self._examples += [f"{gym.place_id}: {gym.kind}: {gym.message}" for gym in batch.failures[:room]]

    def stop(self, reason: str) -> None:
        """The run cannot go on; partitions that were not added stay as they were."""
        self._stopped = reason

    def report(self) -> None:
        """Attach every partition's figures; if any failed, say which and fail the step.

        Raises:
            Failure: not retried by Dagster, since every call was retried where it was made.
        """
        if not self._failed and self._stopped is None:
            for key, figures in self._metadata.items():
                add_partition_metadata(self._context, _rounded(figures), key)
            return
        # A failed step emits nothing for its good partitions, so they are logged one by one.
        good = [key for key in self._metadata if key not in self._failed]
        for key in good:
            self._context.log_event(
                dg.AssetMaterialization(self._context.asset_key, partition=key, metadata=_rounded(self._metadata[key]))
            )
        details: dict[str, dg.MetadataValue[Any]] = {
            FAILED_PARTITIONS: dg.MetadataValue.json(list(self._failed)),
            "good_partitions": dg.MetadataValue.int(len(good)),
            "failures": dg.MetadataValue.json(self._examples),
        }
        if self._stopped is not None:
            details[STOPPED] = dg.MetadataValue.text(self._stopped)
        raise dg.Failure(self._description(), metadata=details, allow_retries=False)

    def _description(self) -> str:
        if self._stopped is not None:
            return f"the run was stopped: {self._stopped}. What was answered before is saved and will not be paid again"
        named = ", ".join(list(self._failed)[:_MOST_NAMED]) + (" ..." if len(self._failed) > _MOST_NAMED else "")
        return (
            f"gyms failed in {len(self._failed)} of {len(self._metadata)} batches ({named});"
            " their other gyms and the other batches are published. Materialize the failed partitions again:"
            " only the gyms that lack an answer are asked"
        )


def _rounded(figures: dict[str, int | float]) -> dict[str, int | float]:
    return {name: round(value, _DIGITS[name]) if name in _DIGITS else value for name, value in figures.items()}
