"""How a bundle was built, so that one that would be built alike is taken as it is stored."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column: without a setup hash a bundle is built anew."""
    op.add_column("bundles", sa.Column("setup_hash", sa.String(length=32), nullable=True))
