"""Experiments with their rollouts, which of them a row came from, and alerts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables."""
    op.add_column("enrichments", sa.Column("experiment", sa.String(length=64), nullable=True))
    op.create_table(
        "experiments",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("variants", JSON, nullable=False),
        sa.Column("segments", JSON, nullable=False),
        sa.Column("shadow", JSON, nullable=True),
        sa.Column("plan", JSON, nullable=True),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.Column("step_began_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("guardrails", JSON, nullable=True),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("changed_by", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('running', 'paused', 'done', 'ended')", name=op.f("ck_experiments_state_known")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_experiments")),
    )
    op.create_table(
        "alerts",
        sa.Column("incident", sa.String(length=256), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("incident", name=op.f("pk_alerts")),
    )
    op.create_index(op.f("ix_alerts_sent_at"), "alerts", ["sent_at"], unique=False)
