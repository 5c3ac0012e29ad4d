"""INSERT ... ON CONFLICT DO UPDATE for both databases: the one difference between their dialects."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

ROWS_PER_STATEMENT = 500
"""Rows in one statement: SQLite binds at most 32,766 values, our widest table has under 30 columns."""


def upsert(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, only_if_changed: str | None = None
) -> int:
    """Insert `rows`, or replace the rows that have their primary keys. All rows have the same columns.

    Args:
        connection: in a writing transaction.
        table: where to.
        rows: column name to value; no primary key twice.
        only_if_changed: a column; a stored row in which it is equal is left as it is.

    Returns:
        how many rows were inserted or replaced.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    keys = [column.name for column in table.primary_key]
    written = 0
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        statement = dialect.insert(table).values(list(rows[start : start + ROWS_PER_STATEMENT]))
        replaced = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        changed = (
            table.c[only_if_changed].is_distinct_from(statement.excluded[only_if_changed]) if only_if_changed else None
        )
        written += connection.execute(
            statement.on_conflict_do_update(index_elements=keys, set_=replaced, where=changed)
        ).rowcount
    return written
