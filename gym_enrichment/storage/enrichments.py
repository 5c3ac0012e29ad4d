"""Queries for enrichments and failures, written batch by batch and published in the same transaction.

What must not live here: what makes an answer good (domain/, prompts/).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, delete, select

from gym_enrichment.domain.experiments import Experiment
from gym_enrichment.domain.models import EnrichedBatch, Enrichment
from gym_enrichment.storage.bundles import MissingPartition, lock_batch
from gym_enrichment.storage.directory import publish
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.experiments import assigned_variant, experiment_in_force
from gym_enrichment.storage.outages import again_after_outage
from gym_enrichment.storage.tables import batch_runs, enrichments, failures, gyms
from gym_enrichment.storage.upsert import upsert

_HISTORY = ("enriched_at", "run_id", "prompt_tokens", "completion_tokens", "cost_usd", "from_cache")


@again_after_outage
def write_enriched_batch(database: Database, batch: EnrichedBatch) -> None:
    """Save what a run found out of one batch, and publish the batch, in one transaction.

    What is published is up to the experiment in force by then. A gym that failed keeps its previous good row; a gym
    that succeeded loses its old failure.
    """
    now = datetime.now(UTC)
    common = {"batch_id": batch.batch_id, "run_id": batch.run_id}
    asked_for = {"experiment": batch.experiment, "enriched_at": now}
    good = [asdict(item) | common | asked_for for item in sorted(batch.enrichments, key=attrgetter("place_id"))]
    bad = [asdict(item) | common | {"failed_at": now} for item in sorted(batch.failures, key=attrgetter("place_id"))]
    run = batch.figures | common | {"variant": batch.variant, "finished_at": now}
    with database.write() as connection:
        lock_batch(connection, batch.batch_id)
        upsert(connection, enrichments, _keep_history(connection, batch, good))
        _forget_failures(connection, batch)
        upsert(connection, failures, bad)
        upsert(connection, batch_runs, [run])
        experiment = experiment_in_force(connection, otherwise=batch.variant)
        # After its experiment ended, a batch does not know which variant the settings name: the next publication does.
        if experiment.name or batch.experiment is None:
            publish(connection, experiment, batch.batch_id)


def hashes_of_good_rows(
    database: Database, batch_id: str, variant: str, setup_hash: str, since: datetime
) -> Mapping[str, str]:
    """The bundle hash of each gym of a batch that was enriched by this very setup, `since` then."""
    query = select(enrichments.c.place_id, enrichments.c.bundle_hash).where(
        enrichments.c.batch_id == batch_id,
        enrichments.c.variant == variant,
        enrichments.c.state == "enriched",
        enrichments.c.setup_hash == setup_hash,
        enrichments.c.enriched_at > since,
    )
    with database.read() as connection:
        return {row.place_id: row.bundle_hash for row in connection.execute(query)}


def read_enrichments(database: Database, batch_id: str, experiment: Experiment) -> list[Enrichment]:
    """The good rows of one batch, each gym's of its variant.

    Raises:
        MissingPartition: the batch has none.
    """
    query = (
        select(*(enrichments.c[name] for name in Enrichment.__dataclass_fields__))
        .join(gyms)
        .where(enrichments.c.batch_id == batch_id, enrichments.c.variant == assigned_variant(experiment))
        .order_by(enrichments.c.place_id)
    )
    with database.read() as connection:
        rows = connection.execute(query).all()
    if not rows:
        raise MissingPartition(f"gym_enrichments has no partition {batch_id}: materialize gym_enrichments for it first")
    return [Enrichment(**row._mapping) for row in rows]


def find_enrichments(connection: Connection, place_id: str) -> Sequence[Mapping[str, Any]]:
    """Everything known of one gym's enrichments, a row a variant."""
    query = select(enrichments).where(enrichments.c.place_id == place_id).order_by(enrichments.c.variant)
    return [dict(row._mapping) for row in connection.execute(query)]


def stream_enriched(connection: Connection, batch_ids: Iterable[str] | None = None) -> Iterator[Mapping[str, Any]]:
    """The enriched rows of some batches, or of all, a thousand in memory at a time."""
    query = select(enrichments).where(enrichments.c.state == "enriched")
    queries = [query] if batch_ids is None else (query.where(enrichments.c.batch_id == key) for key in batch_ids)
    for each in queries:
        for row in connection.execution_options(yield_per=1_000).execute(each):
            yield dict(row._mapping)


def find_failures(
    connection: Connection, *, place_id: str | None = None, run_id: str | None = None
) -> Sequence[Mapping[str, Any]]:
    """Gyms whose last run failed: of one gym, of one run, or all."""
    query = select(failures).order_by(failures.c.batch_id, failures.c.place_id)
    if place_id is not None:
        query = query.where(failures.c.place_id == place_id)
    if run_id is not None:
        query = query.where(failures.c.run_id == run_id)
    return [dict(row._mapping) for row in connection.execute(query)]


def _keep_history(
    connection: Connection, batch: EnrichedBatch, rows: Sequence[dict[str, Any]]
) -> Sequence[dict[str, Any]]:
    """A row that only repeats what is stored keeps when it was found out, by which run, and what it cost."""
    stored = connection.execute(
        select(enrichments).where(enrichments.c.batch_id == batch.batch_id, enrichments.c.variant == batch.variant)
    )
    known = {(row.place_id, row.state, row.fingerprint): row._mapping for row in stored}
    for row in rows:
        same = known.get((row["place_id"], row["state"], row["fingerprint"]))
        if same is not None and (row["from_cache"] or row["state"] == "skipped"):
            row |= {name: same[name] for name in _HISTORY}
    return rows


def _forget_failures(connection: Connection, batch: EnrichedBatch) -> None:
    connection.execute(
        delete(failures).where(
            failures.c.variant == batch.variant,
            failures.c.place_id.in_([*(item.place_id for item in batch.enrichments), *batch.kept]),
        )
    )
