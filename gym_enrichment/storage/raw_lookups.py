"""Queries that look up raw rows for people: what `show` quotes."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from gym_enrichment.storage.tables import quarantine, reviews

_IDS_PER_STATEMENT = 5_000


def find_quarantined(connection: Connection, most: int = 10_000) -> list[Mapping[str, Any]]:
    """The rows that could not be used, by source and line; the newest sources may be cut off at `most`."""
    query = select(quarantine).order_by(quarantine.c.source, quarantine.c.line, quarantine.c.id).limit(most)
    return [dict(row._mapping) for row in connection.execute(query)]


def find_review_texts(connection: Connection, review_ids: Sequence[str]) -> dict[str, str]:
    """The texts of some reviews, as they came."""
    query = select(reviews.c.review_id, reviews.c.text)
    parts = (review_ids[at : at + _IDS_PER_STATEMENT] for at in range(0, len(review_ids), _IDS_PER_STATEMENT))
    return {
        row.review_id: row.text or ""
        for ids in parts
        for row in connection.execute(query.where(reviews.c.review_id.in_(ids)))
    }
