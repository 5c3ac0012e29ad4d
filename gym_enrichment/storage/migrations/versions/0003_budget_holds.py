"""What requests that may be in an API batch hold of budgets."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "budget_holds",
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=128), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("reserved >= 0", name=op.f("ck_budget_holds_nothing_negative")),
        sa.PrimaryKeyConstraint("request", "scope", name=op.f("pk_budget_holds")),
    )
    op.create_index(op.f("ix_budget_holds_created_at"), "budget_holds", ["created_at"], unique=False)
