"""raw_gyms and raw_reviews: what ingestion wrote."""

import dagster as dg

from gym_enrichment.assets.column_schema import column_schema
from gym_enrichment.pipeline.ingesting import IngestReport, ingest
from gym_enrichment.pipeline.taking_over import take_over
from gym_enrichment.resources import GymPipeline
from gym_enrichment.sources import Kind
from gym_enrichment.storage import tables
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.places import count_places
from gym_enrichment.storage.raw import quarantine_counts, raw_counts


@dg.asset(
    deps=["google_places"],
    group_name="sources",
    kinds={"table"},
    owners=["team:directory"],
    metadata=column_schema(tables.gyms),
)
def raw_gyms(
    context: dg.AssetExecutionContext, gym_pipeline: dg.ResourceParam[GymPipeline]
) -> dg.MaterializeResult[None]:
    """Gyms as their sources give them, one row per place_id. Materializing ingests GYM_SOURCES, if set."""
    return _ingest_configured(context, gym_pipeline, "gyms")


@dg.asset(
    deps=[raw_gyms],
    group_name="sources",
    kinds={"table"},
    owners=["team:directory"],
    metadata=column_schema(tables.reviews),
)
def raw_reviews(
    context: dg.AssetExecutionContext, gym_pipeline: dg.ResourceParam[GymPipeline]
) -> dg.MaterializeResult[None]:
    """Customers' reviews, text as it came, authors left behind. Materializing ingests GYM_SOURCES, if set."""
    return _ingest_configured(context, gym_pipeline, "reviews")


def _ingest_configured(
    context: dg.AssetExecutionContext, gym_pipeline: GymPipeline, kind: Kind
) -> dg.MaterializeResult[None]:
    settings = gym_pipeline.settings
    report = ingest(gym_pipeline.database, settings.sources, kinds=(kind,))
    if kind == "reviews":
        take_over(settings, settings.sources, report)
    for error in report.errors:
        context.log.error(error)
    if report.errors:
        raise dg.Failure(f"GYM_SOURCES: {'; '.join(report.errors)}", allow_retries=False)
    return dg.MaterializeResult(metadata=ingest_metadata(gym_pipeline.database, report, kind))


def ingest_metadata(database: Database, report: IngestReport, kind: Kind) -> dict[str, int]:
    """What the events of raw_gyms and raw_reviews say: rows stored and quarantined, rows new and updated now.

    Where gyms come from Google Places, also how many places there are of each state.
    """
    with database.read() as connection:
        rows, quarantined = raw_counts(connection)[kind], quarantine_counts(connection)[kind]
        places = {f"google_places_{state}": number for state, number in count_places(connection).items()}
    written = report.as_dict()[kind]
    stored = {"dagster/row_count": rows, "quarantined": quarantined}
    return stored | {"new": written["new"], "updated": written["updated"]} | places
