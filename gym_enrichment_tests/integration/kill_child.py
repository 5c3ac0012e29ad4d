"""A program to be killed: enriches the batches of a database and saves them. Without Dagster, which starts slowly."""

import os
from collections.abc import Mapping

from gym_enrichment.llm.endpoint import describe_endpoint
from gym_enrichment.llm.openai_transport import OpenAITransport
from gym_enrichment.pipeline.enriching.enricher import Enricher
from gym_enrichment.settings import load_settings
from gym_enrichment.storage.batches import batches_to_enrich
from gym_enrichment.storage.bundles import read_bundles
from gym_enrichment.storage.enrichments import write_enriched_batch

# What a run imports when it begins, imported before: a second less for each process that is forked from here.
PRELOADED = (OpenAITransport,)


def run(variables: Mapping[str, str], log: str) -> None:
    """What the process does, in an environment of these variables and none of ours besides; says what in `log`."""
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    for name in [name for name in os.environ if name.startswith(("GYM_", "OPENAI_", "DAGSTER_"))]:
        del os.environ[name]
    os.environ.update(variables)
    settings = load_settings(_env_file=None)
    database = settings.database
    enricher = Enricher(settings, describe_endpoint(settings))
    setup_hashes = {name: variant.setup_hash for name, variant in enricher.variants.items()}
    with database.read() as connection:
        to_do = [batch_id for batch_id, _ in batches_to_enrich(connection, enricher.experiment, setup_hashes)]
    for batch in enricher.enrich(((batch_id, read_bundles(database, batch_id)) for batch_id in to_do), "run-1"):
        write_enriched_batch(database, batch)
