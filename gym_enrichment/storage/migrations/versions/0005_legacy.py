"""What the old pipeline found: rows of enrichments without a model, and bad rows of it in quarantine."""

import re

from alembic import op

revision = "0005"
down_revision = "0004"

_CHECKS = (
    (
        "enrichments",
        "ck_enrichments_enriched_is_whole",
        "state = 'skipped' OR (description IS NOT NULL AND has_women_hours IS NOT NULL"
        " AND model IS NOT NULL AND fingerprint IS NOT NULL)",
        "state = 'skipped' OR (description IS NOT NULL AND has_women_hours IS NOT NULL"
        " AND (model IS NOT NULL OR variant = 'legacy') AND fingerprint IS NOT NULL)",
    ),
    (
        "quarantine",
        "ck_quarantine_kind_known",
        "kind IN ('gyms', 'reviews')",
        "kind IN ('gyms', 'reviews', 'enrichments')",
    ),
)


def upgrade() -> None:
    """Widen two checks."""
    for table, name, old, new in _CHECKS:
        if op.get_bind().dialect.name == "sqlite":
            _replace_in_sqlite(table, old, new)
        else:
            op.drop_constraint(op.f(name), table)
            op.create_check_constraint(op.f(name), table, new)


def _replace_in_sqlite(table: str, old: str, new: str) -> None:
    """SQLite cannot change a check: the table is made anew, as its documentation says (lang_altertable, 7)."""
    connection = op.get_bind()
    stored = "SELECT sql FROM sqlite_master WHERE type = ? AND tbl_name = ? AND sql IS NOT NULL"
    (created,) = connection.exec_driver_sql(stored, ("table", table)).scalars()
    indexes = connection.exec_driver_sql(stored, ("index", table)).scalars().all()
    assert old in created
    renamed = re.sub(rf'^CREATE TABLE "?{table}"?', f"CREATE TABLE new_{table}", created.replace(old, new))
    connection.exec_driver_sql(renamed)
    connection.exec_driver_sql(f"INSERT INTO new_{table} SELECT * FROM {table}")  # noqa: S608 - names of our own
    connection.exec_driver_sql(f"DROP TABLE {table}")
    connection.exec_driver_sql(f"ALTER TABLE new_{table} RENAME TO {table}")
    for index in indexes:
        connection.exec_driver_sql(index)
