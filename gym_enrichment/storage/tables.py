"""The one schema, for SQLite and Postgres. Rules that must hold are keys and constraints here.

What must not live here: queries (the modules beside this one) and migrations (`migrations/`).
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

PLACE_ID_LENGTH = 256
"""Longest place_id that is stored. Google's are 27 to a few hundred characters; longer ones are quarantined."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC on both databases; SQLite itself would forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive datetimes, store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a datetime without a time zone cannot be stored: {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read back as aware UTC."""
        if value is None:
            return None
        stored: datetime = value
        return stored.replace(tzinfo=UTC) if stored.tzinfo is None else stored.astimezone(UTC)


Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
# SQLite only auto-increments a primary key that is spelled INTEGER.
Serial = BigInteger().with_variant(Integer, "sqlite")

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

llm_cache = Table(
    "llm_cache",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("model", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("cost_usd", Float, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index(None, "expires_at"),
)

llm_leases = Table(
    "llm_leases",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("holder", String(64), nullable=False),
    # Seconds since 1970 by the database's clock, see storage/clock.py.
    Column("expires_at", Float, nullable=False),
    Index(None, "holder"),
)

llm_batches = Table(
    "llm_batches",
    metadata,
    # Our own name for what was sent together; the API's metadata holds it too.
    Column("submission", String(64), primary_key=True),
    Column("endpoint", String(512), nullable=False),
    Column("requests", Integer, nullable=False),
    # Both unknown: nothing was created yet. File known, batch not: it may have been.
    Column("file_id", String(256)),
    Column("batch_id", String(256)),
    # Until then the process that submits is alive; seconds since 1970 by the database's clock.
    Column("submitting_until", Float, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "created_at"),
)

llm_batch_requests = Table(
    "llm_batch_requests",
    metadata,
    # A request is in one batch at a time; its row goes when its answer is in the ledger.
    Column("custom_id", String(64), primary_key=True),
    Column("submission", ForeignKey("llm_batches.submission", ondelete="CASCADE"), nullable=False),
    Index(None, "submission"),
)

llm_usage = Table(
    "llm_usage",
    metadata,
    Column("endpoint", String(512), primary_key=True),
    Column("second", BigInteger, primary_key=True, autoincrement=False),
    Column("requests", Integer, nullable=False),
    Column("tokens", BigInteger, nullable=False),
)

budgets = Table(
    "budgets",
    metadata,
    # "run:<id>" or "month:2026-11"
    Column("scope", String(128), primary_key=True),
    # Billionths of a dollar, see storage/llm_admission.py.
    Column("spent", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    CheckConstraint("spent >= 0 AND reserved >= 0", name="nothing_negative"),
)

budget_holds = Table(
    "budget_holds",
    metadata,
    # The custom_id that the request has, or will have, in a batch.
    Column("request", String(64), primary_key=True),
    Column("scope", String(128), primary_key=True),
    # The gateway that may settle it: the last one that asked the request.
    Column("holder", String(64), nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("reserved >= 0", name="nothing_negative"),
    Index(None, "created_at"),
)

ledger = Table(
    "ledger",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("run_id", String(64), nullable=False),
    Column("place_id", String(PLACE_ID_LENGTH), nullable=False),
    Column("variant", String(64), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("model", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    # 'ok', or the kind of error as llm/errors.py names it
    Column("outcome", String(32), nullable=False),
    Column("http_status", Integer),
    Column("prompt_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("cost_usd", Float, nullable=False),
    Column("latency_seconds", Float, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    CheckConstraint("prompt_tokens >= 0 AND completion_tokens >= 0 AND cost_usd >= 0", name="nothing_negative"),
    Index(None, "run_id"),
    Index(None, "started_at"),
)

batch_runs = Table(
    "batch_runs",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("batch_id", ForeignKey("batches.batch_id"), primary_key=True),
    Column("variant", String(64), primary_key=True),
    Column("gyms", Integer, nullable=False),
    Column("enriched", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    # Of the skipped ones: those that a budget kept from being asked about.
    Column("skipped_budget", Integer, nullable=False),
    Column("llm_calls", Integer, nullable=False),
    Column("cache_hits", Integer, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("cost_usd", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("finished_at", UtcDateTime, nullable=False),
    CheckConstraint("gyms = enriched + failed + skipped", name="gyms_add_up"),
    Index(None, "finished_at"),
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    # What it was measured against: the golden set, or a file of labels.
    Column("labels", String(256), nullable=False),
    Column("variant", String(64), nullable=False),
    Column("prompt_version", String(32), nullable=False),
    Column("model", Text, nullable=False),
    Column("gyms", Integer, nullable=False),
    Column("figures", Json, nullable=False),
    Column("evaluated_at", UtcDateTime, nullable=False),
    Index(None, "labels", "id"),
)

experiments = Table(
    "experiments",
    metadata,
    # The newest version is in force, unless it says ended. Of two who add one at once, the key lets one through.
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("name", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    # Lists and objects as domain/experiments.py has them.
    Column("variants", Json, nullable=False),
    Column("segments", Json, nullable=False),
    Column("shadow", Json),
    # Of a rollout: domain/rollout.py.
    Column("plan", Json),
    Column("step", Integer),
    Column("step_began_at", UtcDateTime),
    # What led to this version: the guardrails as they were measured.
    Column("guardrails", Json),
    Column("action", String(16), nullable=False),
    Column("changed_by", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    CheckConstraint("state IN ('running', 'paused', 'done', 'ended')", name="state_known"),
)

alerts = Table(
    "alerts",
    metadata,
    # Names the incident: it is told once.
    Column("incident", String(256), primary_key=True),
    Column("message", Text, nullable=False),
    Column("raised_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
    Index(None, "sent_at"),
)

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
