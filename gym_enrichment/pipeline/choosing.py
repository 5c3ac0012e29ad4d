"""Which batches a run takes."""

from collections.abc import Sequence
from dataclasses import dataclass

from gym_enrichment.llm.endpoint import describe_endpoint
from gym_enrichment.pipeline.enriching.variants import variants_of
from gym_enrichment.settings import Settings
from gym_enrichment.storage.batches import assign_batches, batch_sizes, batches_to_enrich
from gym_enrichment.storage.experiments import experiment_in_force


@dataclass(frozen=True)
class Chosen:
    """Batches in their order, and how many gyms they hold."""

    batch_ids: Sequence[str]
    gyms: int


def choose_batches(settings: Settings, limit: int | None = None, wanted: Sequence[str] | None = None) -> Chosen:
    """The batches named in `wanted`, or else all that have work to do after new gyms got batches.

    Args:
        settings: batch size, and whom to ask: a batch asked of another model has work to do.
        limit: most gyms. Batches stay whole: those that exist are taken while they fit, and new ones are cut
            to what is left.
        wanted: exactly these batches.

    Raises:
        UnknownBatch: one of `wanted` does not exist.
    """
    database = settings.database
    if wanted is not None:
        with database.read() as connection:
            sizes = batch_sizes(connection, wanted)
        return Chosen(list(sizes), sum(sizes.values()))
    if limit is None:
        assign_batches(database, settings.batch_size)
    with database.read() as connection:
        experiment = experiment_in_force(connection, settings.variant)
        variants = variants_of(experiment, settings, describe_endpoint(settings))
        setup_hashes = {name: variant.setup_hash for name, variant in variants.items()}
        waiting = batches_to_enrich(connection, experiment, setup_hashes)
    chosen: dict[str, int] = {}
    for batch_id, gyms in waiting:
        if limit is None or sum(chosen.values()) + gyms <= limit:
            chosen[batch_id] = gyms
    if limit is not None and (room := limit - sum(chosen.values())) > 0:
        created = assign_batches(database, settings.batch_size, most=room)
        with database.read() as connection:
            chosen |= batch_sizes(connection, created)
    return Chosen(list(chosen), sum(chosen.values()))
