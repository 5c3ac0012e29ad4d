"""What is known of each published field: statuses, women's hours, hours as a sentence and for OSM; evaluations."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Rows from before have no statuses; `run` takes their gyms again, since the prompt changed as well."""
    # In SQL, because SQLite adds a constraint only together with its column.
    op.execute(
        "ALTER TABLE enrichments ADD COLUMN women_only VARCHAR(8)"
        " CONSTRAINT ck_enrichments_women_only_known CHECK (women_only IN ('yes', 'no', 'unknown'))"
    )
    for table in ("enrichments", "gym_directory"):
        for name in ("women_hours", "hours_sentence", "hours_osm"):
            op.add_column(table, sa.Column(name, sa.Text(), nullable=True))
    op.add_column("bundles", sa.Column("left_out", JSON, nullable=False, server_default="{}"))
    op.add_column("enrichments", sa.Column("statuses", JSON, nullable=False, server_default="{}"))
    op.add_column("enrichments", sa.Column("unpublished", JSON, nullable=False, server_default="{}"))
    op.create_table(
        "evaluations",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("labels", sa.String(length=256), nullable=False),
        sa.Column("variant", sa.String(length=64), nullable=False),
        sa.Column("prompt_version", sa.String(length=32), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("gyms", sa.Integer(), nullable=False),
        sa.Column("figures", JSON, nullable=False),
        sa.Column("evaluated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluations")),
    )
    op.create_index(op.f("ix_evaluations_labels_id"), "evaluations", ["labels", "id"], unique=False)
