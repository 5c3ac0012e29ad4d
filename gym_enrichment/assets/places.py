"""google_places: what is known of gyms at Google Places, and how fresh it is."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from gym_enrichment.assets.column_schema import column_schema
from gym_enrichment.assets.raw import ingest_metadata
from gym_enrichment.pipeline.places.discovering import discover
from gym_enrichment.pipeline.places.refreshing import refresh
from gym_enrichment.pipeline.places.reporting import requests_by_sku
from gym_enrichment.resources import GymPipeline
from gym_enrichment.storage import tables
from gym_enrichment.storage.place_requests import PlacesUsage, month_of, requests_since
from gym_enrichment.storage.places import count_places


@dg.asset(group_name="sources", kinds={"table"}, owners=["team:directory"], metadata=column_schema(tables.places))
def google_places(
    context: dg.AssetExecutionContext, gym_pipeline: dg.ResourceParam[GymPipeline]
) -> dg.MaterializeResult[None]:
    """Places that Google knows. Materializing searches GYM_PLACES_AREAS and ingests details that are new or stale.

    The gyms and reviews that come of it are events of raw_gyms and raw_reviews.
    """
    settings = gym_pipeline.settings
    found = discover(settings, settings.place_areas)
    done = refresh(settings)
    for kind in ("gyms", "reviews"):
        metadata = ingest_metadata(gym_pipeline.database, done.ingested, kind)
        context.log_event(dg.AssetMaterialization(f"raw_{kind}", metadata=metadata))
    for stopped in dict.fromkeys((found.stopped, done.stopped)):
        if stopped is not None:
            context.log.warning(f"stopped before the end: {stopped}")
    with gym_pipeline.database.read() as connection:
        states = count_places(connection)
        month = requests_since(connection, month_of(datetime.now(UTC)))
    figures: dict[str, Any] = {
        "new": found.new,
        "fetched": done.fetched,
        "gone": done.gone,
        "set_aside": done.set_aside,
        "failed": done.failed,
        "due": done.due,
        "cost_usd": sum(used.cost_usd for used in (*found.usage, *done.usage)),
        "stopped": done.stopped or found.stopped or "no",
    }
    by_state = {f"state_{state}": number for state, number in states.items()}
    return dg.MaterializeResult(metadata={**figures, **by_state, "requests_this_month": _table(month)})


def _table(usage: Sequence[PlacesUsage]) -> dg.TableMetadataValue:
    records = [dg.TableRecord({"sku": sku, **figures}) for sku, figures in requests_by_sku(usage).items()]
    types = {"sku": "string", "requests": "int", "charged": "int", "cost_usd": "float"}
    return dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(*column) for column in types.items()]))
