"""A program to be killed: enriches the batches of a database and saves them. Without Dagster, which starts slowly.

python -m gym_enrichment_tests.integration.kill_child
"""

from gym_enrichment.llm.endpoint import describe_endpoint
from gym_enrichment.pipeline.enriching.enricher import Enricher
from gym_enrichment.settings import load_settings
from gym_enrichment.storage.batches import batches_to_enrich
from gym_enrichment.storage.bundles import read_bundles
from gym_enrichment.storage.enrichments import write_enriched_batch


def main() -> None:
    settings = load_settings(_env_file=None)
    database = settings.database
    enricher = Enricher(settings, describe_endpoint(settings))
    with database.read() as connection:
        to_do = [
            batch_id
            for batch_id, _ in batches_to_enrich(connection, enricher.variant.name, enricher.variant.setup_hash)
        ]
    for batch in enricher.enrich(((batch_id, read_bundles(database, batch_id)) for batch_id in to_do), "run-1"):
        write_enriched_batch(database, batch)


if __name__ == "__main__":
    main()
