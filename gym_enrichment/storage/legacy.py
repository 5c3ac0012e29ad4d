"""Queries for what the old pipeline found: rows of the variant LEGACY, and the gyms that stay with them.

What must not live here: judging it (pipeline/taking_over.py); who stays with it in SQL (experiments.py).
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import Connection, select

from gym_enrichment.domain.experiments import LEGACY, Experiment
from gym_enrichment.domain.models import Enrichment
from gym_enrichment.storage.bundles import lock_batch
from gym_enrichment.storage.directory import publish
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.experiments import experiment_in_force, keeps_legacy
from gym_enrichment.storage.tables import batch_members, enrichments, gyms
from gym_enrichment.storage.upsert import upsert

_RUN = "ingest"
"""No run found these rows."""


def legacy_hashes(connection: Connection, place_ids: Sequence[str]) -> dict[str, str | None]:
    """Of those of the gyms that are stored: the hash of what is known to be claimed of each, None without a claim.

    Args:
        connection: to read with.
        place_ids: some thousands at most.
    """
    query = (
        select(gyms.c.place_id, enrichments.c.fingerprint)
        .outerjoin(enrichments, (enrichments.c.place_id == gyms.c.place_id) & (enrichments.c.variant == LEGACY))
        .where(gyms.c.place_id.in_(place_ids))
    )
    return {row.place_id: row.fingerprint for row in connection.execute(query)}


def kept_legacy(connection: Connection, experiment: Experiment, place_ids: Sequence[str]) -> dict[str, str]:
    """Those of the gyms that stay with what the old pipeline found if their bundle has the hash given here.

    Args:
        connection: to read with.
        experiment: which decides if it names LEGACY.
        place_ids: ten thousand at most.
    """
    query = (
        select(enrichments.c.place_id, enrichments.c.bundle_hash)
        .join(gyms, gyms.c.place_id == enrichments.c.place_id)
        .where(enrichments.c.place_id.in_(place_ids), enrichments.c.variant == LEGACY, keeps_legacy(experiment))
    )
    return {row.place_id: row.bundle_hash for row in connection.execute(query)}


def write_legacy(database: Database, found: Sequence[Enrichment], variant: str) -> None:
    """Save what the old pipeline found of some gyms, each in a batch, and publish their batches, in one transaction.

    Rows of other variants are not touched, and published before these. `variant` is what the settings say.
    """
    now = datetime.now(UTC)
    common = {"run_id": _RUN, "experiment": None, "enriched_at": now}
    with database.write() as connection:
        members = select(batch_members).where(batch_members.c.place_id.in_([item.place_id for item in found]))
        batch_of = {row.place_id: row.batch_id for row in connection.execute(members)}
        batch_ids = sorted(set(batch_of.values()))
        for batch_id in batch_ids:
            lock_batch(connection, batch_id)
        rows = [asdict(item) | common | {"batch_id": batch_of[item.place_id]} for item in found]
        upsert(connection, enrichments, sorted(rows, key=lambda row: row["place_id"]))
        experiment = experiment_in_force(connection, variant)
        for batch_id in batch_ids:
            publish(connection, experiment, batch_id)
