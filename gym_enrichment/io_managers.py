"""How partitions are persisted: one transaction a partition, so that a run that dies leaves whole ones.

What must not live here: SQL (storage/) and what the rows mean (domain/).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import dagster as dg

from gym_enrichment.domain.models import Bundle, EnrichedBatch, Enrichment
from gym_enrichment.resources import GymPipeline
from gym_enrichment.storage.batches import batch_sizes
from gym_enrichment.storage.bundles import read_bundles, require_bundles, write_bundles
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.enrichments import read_enrichments, write_enriched_batch


@dataclass(frozen=True)
class BundlesByBatch:
    """The bundles of some batches, read from the database one batch at a time while iterated."""

    database: Database
    batch_ids: Sequence[str]

    @property
    def gyms(self) -> int:
        """How many gyms there are in all."""
        with self.database.read() as connection:
            return sum(batch_sizes(connection, self.batch_ids).values())

    def __iter__(self) -> Iterator[tuple[str, list[Bundle]]]:
        for batch_id in self.batch_ids:
            yield batch_id, read_bundles(self.database, batch_id)


class BundleIOManager(dg.IOManager):
    """Persists review_bundles, one partition a batch."""

    def __init__(self, pipeline: GymPipeline) -> None:
        self._pipeline = pipeline

    def handle_output(self, context: dg.OutputContext, obj: Iterable[tuple[str, list[Bundle]]]) -> None:
        """Write each batch as it comes; the next one is built only then, so memory holds one."""
        for batch_id, bundles in obj:
            write_bundles(self._pipeline.database, batch_id, bundles)

    def load_input(self, context: dg.InputContext) -> BundlesByBatch:
        """The bundles of the partitions asked for, read lazily.

        Raises:
            MissingPartition: some were never materialized; names them before anything is done.
        """
        batch_ids = list(context.asset_partition_keys)
        require_bundles(self._pipeline.database, batch_ids)
        return BundlesByBatch(self._pipeline.database, batch_ids)


class EnrichmentIOManager(dg.IOManager):
    """Persists gym_enrichments, one partition a batch, and publishes it in the same transaction."""

    def __init__(self, pipeline: GymPipeline) -> None:
        self._pipeline = pipeline

    def write_partition(self, batch: EnrichedBatch) -> None:
        """Save one batch. The asset calls this as each batch ends.

        Dagster calls `handle_output` only after the last partition and never after a failure; waiting for it
        would lose the good batches of a run that ends badly.
        """
        write_enriched_batch(self._pipeline.database, batch)

    def handle_output(self, context: dg.OutputContext, obj: EnrichedBatch) -> None:
        """Save the batch that an asset of a single partition returns."""
        self.write_partition(obj)

    def load_input(self, context: dg.InputContext) -> dict[str, list[Enrichment]]:
        """The good rows of the partitions asked for, each gym's of its variant.

        Raises:
            MissingPartition: a partition was never materialized.
        """
        database, experiment = self._pipeline.database, self._pipeline.experiment()
        return {key: read_enrichments(database, key, experiment) for key in context.asset_partition_keys}
