"""The directory: what sources gave, what the LLM reads of it, what was found, and what is published."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from gym_enrichment.storage.tables.base import PLACE_ID_LENGTH, Json, Serial, UtcDateTime, metadata

gyms = Table(
    "gyms",
    metadata,
    Column("place_id", String(PLACE_ID_LENGTH), primary_key=True),
    Column("name", Text),
    Column("address", Text),
    Column("city", Text),
    Column("country", Text),
    Column("hours", Json),
    Column("phone", Text),
    Column("website", Text),
    Column("rating", Float),
    Column("extra", Json),
    Column("content_hash", String(32), nullable=False),
    # Rises by one with every change of the gym or of one of its reviews; a bundle remembers the revision
    # it was built from. A counter, not a clock: clocks of several machines do not agree.
    Column("revision", Integer, nullable=False, server_default="1"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    CheckConstraint("rating IS NULL OR (rating >= 0 AND rating <= 5)", name="rating_in_range"),
    CheckConstraint("place_id <> ''", name="place_id_not_empty"),
)

reviews = Table(
    "reviews",
    metadata,
    Column("review_id", String(512), primary_key=True),
    Column("place_id", ForeignKey("gyms.place_id", ondelete="CASCADE"), nullable=False),
    Column("text", Text),
    Column("rating", Float),
    Column("published_at", UtcDateTime),
    Column("published_raw", Text),
    Column("language", String(35)),
    Column("content_hash", String(32), nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    CheckConstraint("rating IS NULL OR (rating >= 0 AND rating <= 5)", name="rating_in_range"),
    CheckConstraint("review_id <> ''", name="review_id_not_empty"),
    # The one reviews query of a run reads by place; the order makes it a range scan.
    Index(None, "place_id", "review_id"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("source", Text, nullable=False),
    Column("line", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("row_text", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # One gym detail of Google Places is one line and may hold several bad reviews.
    UniqueConstraint("source", "line", "kind", "reason"),
    CheckConstraint("kind IN ('gyms', 'reviews', 'enrichments')", name="kind_known"),
)

batches = Table(
    "batches",
    metadata,
    Column("batch_id", String(32), primary_key=True),
    Column("number", Integer, nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
)

batch_members = Table(
    "batch_members",
    metadata,
    # The key is the gym alone: no gym can be in two batches.
    Column("place_id", ForeignKey("gyms.place_id", ondelete="CASCADE"), primary_key=True),
    Column("batch_id", ForeignKey("batches.batch_id"), nullable=False),
    Index(None, "batch_id", "place_id"),
)

bundles = Table(
    "bundles",
    metadata,
    Column("place_id", ForeignKey("gyms.place_id", ondelete="CASCADE"), primary_key=True),
    Column("batch_id", ForeignKey("batches.batch_id"), nullable=False),
    Column("gym", Json, nullable=False),
    Column("reviews", Json, nullable=False),
    Column("content_hash", String(32), nullable=False),
    Column("reviews_total", Integer, nullable=False),
    Column("reviews_with_text", Integer, nullable=False),
    Column("review_tokens", Integer, nullable=False),
    Column("left_out", Json, nullable=False, server_default="{}"),
    Column("revision", Integer, nullable=False),
    Column("built_at", UtcDateTime, nullable=False),
    Column("setup_hash", String(32)),
    Index(None, "batch_id", "place_id"),
)

enrichments = Table(
    "enrichments",
    metadata,
    Column("place_id", ForeignKey("gyms.place_id", ondelete="CASCADE"), primary_key=True),
    Column("variant", String(64), primary_key=True),
    Column("batch_id", ForeignKey("batches.batch_id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("description", Text),
    Column("amenities", Json, nullable=False),
    Column("has_women_hours", Boolean),
    # What has_women_hours knows of no: whether nothing is known.
    Column("women_only", String(8)),
    Column("women_hours", Text),
    Column("hours_french", Text, nullable=False),
    Column("hours_sentence", Text),
    Column("hours_osm", Text),
    Column("evidence", Json, nullable=False),
    # Per field (and amenity) verified, repaired, unverified ...: domain/findings.py.
    Column("statuses", Json, nullable=False, server_default="{}"),
    # What the LLM said that nothing supports, or that the vocabulary does not know.
    Column("unpublished", Json, nullable=False, server_default="{}"),
    # Both null where nobody was asked: skipped gyms, and what the old pipeline found.
    Column("model", Text),
    Column("prompt_version", String(32)),
    # The request; of what the old pipeline found, a hash of that.
    Column("fingerprint", String(64)),
    # Hash of everything of the request but the gym: server, model, parameters, instructions, schema.
    Column("setup_hash", String(32)),
    Column("bundle_hash", String(32), nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("cost_usd", Float, nullable=False),
    Column("from_cache", Boolean, nullable=False),
    # The experiment that gave the gym its variant; null when there was none.
    Column("experiment", String(64)),
    Column("run_id", String(64), nullable=False),
    Column("enriched_at", UtcDateTime, nullable=False),
    CheckConstraint("state IN ('enriched', 'skipped')", name="state_known"),
    CheckConstraint("women_only IN ('yes', 'no', 'unknown')", name="women_only_known"),
    CheckConstraint(
        "state = 'skipped' OR (description IS NOT NULL AND has_women_hours IS NOT NULL"
        " AND (model IS NOT NULL OR variant = 'legacy') AND fingerprint IS NOT NULL)",
        name="enriched_is_whole",
    ),
    Index(None, "batch_id", "variant"),
)

failures = Table(
    "failures",
    metadata,
    Column("place_id", ForeignKey("gyms.place_id", ondelete="CASCADE"), primary_key=True),
    Column("variant", String(64), primary_key=True),
    Column("batch_id", ForeignKey("batches.batch_id"), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("message", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("failed_at", UtcDateTime, nullable=False),
    Index(None, "batch_id", "variant"),
)

gym_directory = Table(
    "gym_directory",
    metadata,
    Column("place_id", ForeignKey("gyms.place_id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text),
    Column("address", Text),
    Column("city", Text),
    Column("country", Text),
    Column("phone", Text),
    Column("website", Text),
    Column("rating", Float),
    Column("state", String(16), nullable=False),
    Column("description", Text),
    Column("amenities", Json, nullable=False),
    Column("has_women_hours", Boolean),
    Column("women_hours", Text),
    Column("hours_french", Text),
    Column("hours_sentence", Text),
    Column("hours_osm", Text),
    Column("variant", String(64)),
    Column("model", Text),
    Column("enriched_at", UtcDateTime),
    Column("published_at", UtcDateTime, nullable=False),
    CheckConstraint("state IN ('enriched', 'skipped', 'failed', 'pending')", name="state_known"),
)
