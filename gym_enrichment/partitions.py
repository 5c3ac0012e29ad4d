"""The partition set of batches. The database decides which batches exist; the keys follow it."""

import dagster as dg

from gym_enrichment.settings import load_settings
from gym_enrichment.storage.batches import all_batches
from gym_enrichment.storage.engine import Database

gym_batches = dg.DynamicPartitionsDefinition(name="gym_batch")

KEYS_PER_CALL = 5_000
"""SQLite failed when about 36,000 keys were added in one call."""


def backfill_policy() -> dg.BackfillPolicy:
    """One run for all partitions of a backfill, or runs of GYM_PARTITIONS_PER_RUN partitions."""
    partitions_per_run = load_settings().partitions_per_run
    if partitions_per_run is None:
        return dg.BackfillPolicy.single_run()
    return dg.BackfillPolicy.multi_run(partitions_per_run)


def missing_keys(instance: dg.DagsterInstance, database: Database) -> list[str]:
    """Batches in the database that Dagster does not know yet: new ones, and those a crash left behind."""
    with database.read() as connection:
        batches = all_batches(connection)
    known = set(instance.get_dynamic_partitions(gym_batches.name or ""))
    return [batch for batch in batches if batch not in known]


def add_missing_keys(instance: dg.DagsterInstance, database: Database) -> None:
    """Let Dagster know every batch of the database."""
    keys = missing_keys(instance, database)
    for start in range(0, len(keys), KEYS_PER_CALL):
        instance.add_dynamic_partitions(gym_batches.name or "", keys[start : start + KEYS_PER_CALL])
