"""Shows a table's columns, and what they mean, in Dagster's UI."""

import dagster as dg
from sqlalchemy import Table

COLUMNS = {
    "address": "As the source writes it",
    "amenities": "At most ten filters of the vocabulary, in French",
    "answer": "Details that are paid for and not ingested yet",
    "area": "Where it was found; null for gyms of other sources",
    "asked_at": "When Google last answered, for good or ill (UTC)",
    "batch_id": "The partition that the gym belongs to",
    "built_at": "When the bundle was built (UTC)",
    "bundle_hash": "Of the bundle that the answer is about: when it changes, the gym is asked again",
    "city": "As the source writes it",
    "claimed_until": "Until then a process asks; seconds since 1970 by the database's clock",
    "completion_tokens": "Tokens of the answer; 0 for a skipped gym",
    "content_hash": "Of everything that was taken over: equal rows are not written again",
    "cost_usd": "Dollars paid for this answer",
    "country": "As the source writes it",
    "created_at": "When the row was first written (UTC)",
    "description": "Three or four sentences, in French",
    "enriched_at": "When the answer was saved (UTC)",
    "evidence": "The ids of the reviews that show each claim",
    "experiment": "The experiment that gave the gym its variant; null when there was none",
    "extra": "What the source had beyond these columns",
    "fingerprint": "Names the exact request: server, model, parameters, prompt, schema",
    "found_at": "When it was found (UTC)",
    "from_cache": "Whether the answer was in the cache, so that nothing was paid",
    "google_id": "The id at Google Places, which may change",
    "gym": "Name, city and hours, as the prompt gives them",
    "has_women_hours": "Whether there are women-only hours or spaces; false also when nothing is known",
    "hours": "Opening hours as the source writes them, a line a day",
    "hours_french": "Opening hours, in French, a line a day",
    "hours_osm": "Opening hours in the notation of OpenStreetMap",
    "hours_sentence": "Opening hours as one French sentence",
    "language": "Of the text, where the source tells it",
    "left_out": "How many reviews are not in the bundle, by reason",
    "model": "The model that answered",
    "name": "As the source writes it",
    "phone": "As the source writes it",
    "place_id": "Which gym: its id in the source, such as Google Places",
    "places.state": "found, answered, current, failed, set_aside or gone",
    "prompt_tokens": "Tokens of the question; 0 for a skipped gym",
    "prompt_version": "Which wording of the prompt was used",
    "published_at": "When it was published (UTC)",
    "published_raw": "The date as the source writes it",
    "rating": "Stars, 0 to 5",
    "reason": "Why it is in this state",
    "review_id": "The source's, or one made of place, text and date",
    "review_tokens": "Tokens of the selected reviews",
    "reviews": "The selected reviews, cleaned",
    "reviews_total": "Reviews that the gym has",
    "reviews_with_text": "Of them, those that say something",
    "revision": "Rises with every change of the gym or of its reviews",
    "run_id": "The run or backfill that asked",
    "setup_hash": "Of how it was asked: when it changes, the gym is asked again",
    "state": "enriched, skipped (no review says anything), failed or pending",
    "statuses": "Of each field and amenity, whether it was verified, repaired or left out",
    "text": "As the customer wrote it",
    "tried_at": "When a process last set out to ask (UTC)",
    "unpublished": "What the LLM said that no review shows, or that is no filter",
    "updated_at": "When the row last changed (UTC)",
    "variant": "The way of asking: combined, fanout or packed",
    "website": "As the source writes it",
    "women_hours": "The women-only hours, where reviews tell them",
    "women_only": "yes, no or unknown",
}
"""What columns mean: a name means the same in all tables that assets show, unless its table is in front of it."""


def column_schema(table: Table) -> dict[str, dg.TableSchema]:
    """The metadata entry that the UI shows as the asset's columns."""
    key = list(table.primary_key.columns)
    columns = [
        dg.TableColumn(
            column.name,
            type=str(column.type),
            description=COLUMNS.get(f"{table.name}.{column.name}", COLUMNS.get(column.name)),
            constraints=dg.TableColumnConstraints(
                nullable=bool(column.nullable),
                # Of a key of several columns none is unique by itself.
                unique=key == [column],
                other=["primary key"] if column.primary_key else [],
            ),
        )
        for column in table.columns
    ]
    return {"dagster/column_schema": dg.TableSchema(columns=columns)}
