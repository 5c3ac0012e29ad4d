"""Google Places: what is known of each place, which rectangles were searched, and what was asked on each day."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "places",
        sa.Column("place_id", sa.String(length=256), nullable=False),
        sa.Column("google_id", sa.String(length=256), nullable=False),
        sa.Column("area", sa.String(length=256), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("answer", JSON, nullable=True),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_until", sa.Float(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "state IN ('found', 'answered', 'current', 'failed', 'set_aside', 'gone')",
            name=op.f("ck_places_state_known"),
        ),
        sa.CheckConstraint(
            "(state = 'answered') = (answer IS NOT NULL)", name=op.f("ck_places_answers_are_ingested_once")
        ),
        sa.PrimaryKeyConstraint("place_id", name=op.f("pk_places")),
        sa.UniqueConstraint("google_id", name=op.f("uq_places_google_id")),
    )
    op.create_index(op.f("ix_places_state_asked_at"), "places", ["state", "asked_at"], unique=False)
    op.create_table(
        "place_tiles",
        sa.Column("area", sa.String(length=256), nullable=False),
        sa.Column("query", sa.String(length=256), nullable=False),
        sa.Column("tile", sa.String(length=64), nullable=False),
        sa.Column("south", sa.Float(), nullable=True),
        sa.Column("west", sa.Float(), nullable=True),
        sa.Column("north", sa.Float(), nullable=True),
        sa.Column("east", sa.Float(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("page_token", sa.Text(), nullable=True),
        sa.Column("pages", sa.Integer(), nullable=False),
        sa.Column("results", sa.Integer(), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_until", sa.Float(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "state IN ('open', 'done', 'split', 'full', 'failed')", name=op.f("ck_place_tiles_state_known")
        ),
        sa.PrimaryKeyConstraint("area", "query", "tile", name=op.f("pk_place_tiles")),
    )
    op.create_table(
        "place_requests",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("sku", sa.String(length=64), nullable=False),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("charged", sa.Integer(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "charged >= 0 AND charged <= requests AND cost >= 0", name=op.f("ck_place_requests_nothing_negative")
        ),
        sa.PrimaryKeyConstraint("day", "sku", name=op.f("pk_place_requests")),
    )
