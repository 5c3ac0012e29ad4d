"""Google Places: what is known of places and areas there, and the requests that it took."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Float, Index, Integer, String, Table, Text

from gym_enrichment.storage.tables.base import PLACE_ID_LENGTH, Json, UtcDateTime, metadata

places = Table(
    "places",
    metadata,
    # The gym's id here: the one that the place was found under. Google may change its own.
    Column("place_id", String(PLACE_ID_LENGTH), primary_key=True),
    Column("google_id", String(PLACE_ID_LENGTH), nullable=False, unique=True),
    # Where it was found; null for gyms of other sources.
    Column("area", String(256)),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    # Details that are paid for and not ingested yet.
    Column("answer", Json),
    Column("found_at", UtcDateTime, nullable=False),
    # When a process last set out to ask, and when Google last answered for good or ill: what counts for freshness.
    Column("tried_at", UtcDateTime),
    Column("asked_at", UtcDateTime),
    # Until then a living process asks; seconds since 1970 by the database's clock.
    Column("claimed_until", Float, nullable=False, server_default="0"),
    CheckConstraint("state IN ('found', 'answered', 'current', 'failed', 'set_aside', 'gone')", name="state_known"),
    CheckConstraint("(state = 'answered') = (answer IS NOT NULL)", name="answers_are_ingested_once"),
    Index(None, "state", "asked_at"),
)

place_tiles = Table(
    "place_tiles",
    metadata,
    Column("area", String(256), primary_key=True),
    Column("query", String(256), primary_key=True),
    # Empty for the whole area, then a digit from 0 to 3 for each time it was quartered.
    Column("tile", String(64), primary_key=True),
    # Null until Google located the area. Kept no longer than 30 days, as its terms want.
    Column("south", Float),
    Column("west", Float),
    Column("north", Float),
    Column("east", Float),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    # Of the page to ask for next; pages and results are those before it.
    Column("page_token", Text),
    Column("pages", Integer, nullable=False),
    Column("results", Integer, nullable=False),
    Column("tried_at", UtcDateTime),
    # When the round began that this row belongs to.
    Column("opened_at", UtcDateTime, nullable=False),
    Column("claimed_until", Float, nullable=False, server_default="0"),
    CheckConstraint("state IN ('open', 'done', 'split', 'full', 'failed')", name="state_known"),
)

place_requests = Table(
    "place_requests",
    metadata,
    # In UTC: "2026-11-26"
    Column("day", String(10), primary_key=True),
    Column("sku", String(64), primary_key=True),
    Column("requests", Integer, nullable=False),
    # Those that may be on Google's bill, and their price in billionths of a dollar.
    Column("charged", Integer, nullable=False),
    Column("cost", BigInteger, nullable=False),
    CheckConstraint("charged >= 0 AND charged <= requests AND cost >= 0", name="nothing_negative"),
)
