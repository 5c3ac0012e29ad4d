"""INSERT ... ON CONFLICT DO UPDATE for both databases: the one difference between their dialects."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

ROWS_PER_STATEMENT = 500
"""Rows in one statement: SQLite binds at most 32,766 values, our widest table has under 30 columns."""


def dialect_insert(connection: Connection, table: Table) -> Any:
    """An INSERT into `table` that knows ON CONFLICT, in the dialect of `connection`."""
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert `rows`, or replace the rows that have their primary keys.

    Args:
        connection: in a writing transaction.
        table: where to.
        rows: column name to value, all with the same columns; no primary key twice.
    """
    keys = [column.name for column in table.primary_key]
    for start in range(0, len(rows), ROWS_PER_STATEMENT):
        statement = dialect_insert(connection, table).values(list(rows[start : start + ROWS_PER_STATEMENT]))
        replaced = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=replaced))
