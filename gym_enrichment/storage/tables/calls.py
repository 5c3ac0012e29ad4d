"""Calls of the LLM: answers, leases, batches of the Batch API, limits, budgets, and the ledger of every attempt."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Float, ForeignKey, Index, Integer, String, Table, Text

from gym_enrichment.storage.tables.base import PLACE_ID_LENGTH, Serial, UtcDateTime, metadata

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
