"""The first schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "batches",
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_batches")),
        sa.UniqueConstraint("number", name=op.f("uq_batches_number")),
    )
    op.create_table(
        "budgets",
        sa.Column("scope", sa.String(length=128), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("spent >= 0 AND reserved >= 0", name=op.f("ck_budgets_nothing_negative")),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_budgets")),
    )
    op.create_table(
        "gyms",
        sa.Column("place_id", sa.String(length=256), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("hours", JSON, nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("website", sa.Text(), nullable=True),
        sa.Column("rating", sa.Float(), nullable=True),
        sa.Column("extra", JSON, nullable=True),
        sa.Column("content_hash", sa.String(length=32), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("place_id <> ''", name=op.f("ck_gyms_place_id_not_empty")),
        sa.CheckConstraint("rating IS NULL OR (rating >= 0 AND rating <= 5)", name=op.f("ck_gyms_rating_in_range")),
        sa.PrimaryKeyConstraint("place_id", name=op.f("pk_gyms")),
    )
    op.create_table(
        "ledger",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("place_id", sa.String(length=256), nullable=False),
        sa.Column("variant", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("cached_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=False),
        sa.Column("latency_seconds", sa.Float(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "prompt_tokens >= 0 AND completion_tokens >= 0 AND cost_usd >= 0", name=op.f("ck_ledger_nothing_negative")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
    )
    op.create_index(op.f("ix_ledger_run_id"), "ledger", ["run_id"], unique=False)
    op.create_index(op.f("ix_ledger_started_at"), "ledger", ["started_at"], unique=False)
    op.create_table(
        "llm_batches",
        sa.Column("submission", sa.String(length=64), nullable=False),
        sa.Column("endpoint", sa.String(length=512), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("file_id", sa.String(length=256), nullable=True),
        sa.Column("batch_id", sa.String(length=256), nullable=True),
        sa.Column("submitting_until", sa.Float(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("submission", name=op.f("pk_llm_batches")),
    )
    op.create_index(op.f("ix_llm_batches_created_at"), "llm_batches", ["created_at"], unique=False)
    op.create_table(
        "llm_cache",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_llm_cache")),
    )
    op.create_index(op.f("ix_llm_cache_expires_at"), "llm_cache", ["expires_at"], unique=False)
    op.create_table(
        "llm_leases",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_llm_leases")),
    )
    op.create_index(op.f("ix_llm_leases_holder"), "llm_leases", ["holder"], unique=False)
    op.create_table(
        "llm_usage",
        sa.Column("endpoint", sa.String(length=512), nullable=False),
        sa.Column("second", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", "second", name=op.f("pk_llm_usage")),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("row_text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('gyms', 'reviews')", name=op.f("ck_quarantine_kind_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        sa.UniqueConstraint("source", "line", "kind", "reason", name=op.f("uq_quarantine_source_line_kind_reason")),
    )
    op.create_table(
        "batch_members",
        sa.Column("place_id", sa.String(length=256), nullable=False),
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.batch_id"], name=op.f("fk_batch_members_batch_id")),
        sa.ForeignKeyConstraint(
            ["place_id"], ["gyms.place_id"], name=op.f("fk_batch_members_place_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("place_id", name=op.f("pk_batch_members")),
    )
    op.create_index(op.f("ix_batch_members_batch_id_place_id"), "batch_members", ["batch_id", "place_id"], unique=False)
    op.create_table(
        "batch_runs",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.Column("variant", sa.String(length=64), nullable=False),
        sa.Column("gyms", sa.Integer(), nullable=False),
        sa.Column("enriched", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("skipped_budget", sa.Integer(), nullable=False),
        sa.Column("llm_calls", sa.Integer(), nullable=False),
        sa.Column("cache_hits", sa.Integer(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("gyms = enriched + failed + skipped", name=op.f("ck_batch_runs_gyms_add_up")),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.batch_id"], name=op.f("fk_batch_runs_batch_id")),
        sa.PrimaryKeyConstraint("run_id", "batch_id", "variant", name=op.f("pk_batch_runs")),
    )
    op.create_index(op.f("ix_batch_runs_finished_at"), "batch_runs", ["finished_at"], unique=False)
    op.create_table(
        "bundles",
        sa.Column("place_id", sa.String(length=256), nullable=False),
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.Column("gym", JSON, nullable=False),
        sa.Column("reviews", JSON, nullable=False),
        sa.Column("content_hash", sa.String(length=32), nullable=False),
        sa.Column("reviews_total", sa.Integer(), nullable=False),
        sa.Column("reviews_with_text", sa.Integer(), nullable=False),
        sa.Column("review_tokens", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("built_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.batch_id"], name=op.f("fk_bundles_batch_id")),
        sa.ForeignKeyConstraint(["place_id"], ["gyms.place_id"], name=op.f("fk_bundles_place_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("place_id", name=op.f("pk_bundles")),
    )
    op.create_index(op.f("ix_bundles_batch_id_place_id"), "bundles", ["batch_id", "place_id"], unique=False)
    op.create_table(
        "enrichments",
        sa.Column("place_id", sa.String(length=256), nullable=False),
        sa.Column("variant", sa.String(length=64), nullable=False),
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("amenities", JSON, nullable=False),
        sa.Column("has_women_hours", sa.Boolean(), nullable=True),
        sa.Column("hours_french", sa.Text(), nullable=False),
        sa.Column("evidence", JSON, nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("prompt_version", sa.String(length=32), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("setup_hash", sa.String(length=32), nullable=True),
        sa.Column("bundle_hash", sa.String(length=32), nullable=False),
        sa.Column("prompt_tokens", sa.Integer(), nullable=False),
        sa.Column("completion_tokens", sa.Integer(), nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=False),
        sa.Column("from_cache", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("enriched_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state = 'skipped' OR (description IS NOT NULL AND has_women_hours IS NOT NULL AND model IS NOT NULL AND fingerprint IS NOT NULL)",
            name=op.f("ck_enrichments_enriched_is_whole"),
        ),
        sa.CheckConstraint("state IN ('enriched', 'skipped')", name=op.f("ck_enrichments_state_known")),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.batch_id"], name=op.f("fk_enrichments_batch_id")),
        sa.ForeignKeyConstraint(
            ["place_id"], ["gyms.place_id"], name=op.f("fk_enrichments_place_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("place_id", "variant", name=op.f("pk_enrichments")),
    )
    op.create_index(op.f("ix_enrichments_batch_id_variant"), "enrichments", ["batch_id", "variant"], unique=False)
    op.create_table(
        "failures",
        sa.Column("place_id", sa.String(length=256), nullable=False),
        sa.Column("variant", sa.String(length=64), nullable=False),
        sa.Column("batch_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.batch_id"], name=op.f("fk_failures_batch_id")),
        sa.ForeignKeyConstraint(["place_id"], ["gyms.place_id"], name=op.f("fk_failures_place_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("place_id", "variant", name=op.f("pk_failures")),
    )
    op.create_index(op.f("ix_failures_batch_id_variant"), "failures", ["batch_id", "variant"], unique=False)
    op.create_table(
        "gym_directory",
        sa.Column("place_id", sa.String(length=256), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("website", sa.Text(), nullable=True),
        sa.Column("rating", sa.Float(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("amenities", JSON, nullable=False),
        sa.Column("has_women_hours", sa.Boolean(), nullable=True),
        sa.Column("hours_french", sa.Text(), nullable=True),
        sa.Column("variant", sa.String(length=64), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("enriched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('enriched', 'skipped', 'failed', 'pending')", name=op.f("ck_gym_directory_state_known")
        ),
        sa.ForeignKeyConstraint(
            ["place_id"], ["gyms.place_id"], name=op.f("fk_gym_directory_place_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("place_id", name=op.f("pk_gym_directory")),
    )
    op.create_table(
        "llm_batch_requests",
        sa.Column("custom_id", sa.String(length=64), nullable=False),
        sa.Column("submission", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["submission"],
            ["llm_batches.submission"],
            name=op.f("fk_llm_batch_requests_submission"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("custom_id", name=op.f("pk_llm_batch_requests")),
    )
    op.create_index(op.f("ix_llm_batch_requests_submission"), "llm_batch_requests", ["submission"], unique=False)
    op.create_table(
        "reviews",
        sa.Column("review_id", sa.String(length=512), nullable=False),
        sa.Column("place_id", sa.String(length=256), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("rating", sa.Float(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_raw", sa.Text(), nullable=True),
        sa.Column("language", sa.String(length=35), nullable=True),
        sa.Column("content_hash", sa.String(length=32), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("review_id <> ''", name=op.f("ck_reviews_review_id_not_empty")),
        sa.CheckConstraint("rating IS NULL OR (rating >= 0 AND rating <= 5)", name=op.f("ck_reviews_rating_in_range")),
        sa.ForeignKeyConstraint(["place_id"], ["gyms.place_id"], name=op.f("fk_reviews_place_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("review_id", name=op.f("pk_reviews")),
    )
    op.create_index(op.f("ix_reviews_place_id_review_id"), "reviews", ["place_id", "review_id"], unique=False)
