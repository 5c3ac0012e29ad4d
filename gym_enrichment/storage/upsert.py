"""INSERT ... ON CONFLICT DO UPDATE for both databases: the one difference between their dialects."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


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
    if not rows:
        return
    # Executed with many rows instead of rendered with them: one statement, compiled once whatever their number.
    keys = [column.name for column in table.primary_key]
    statement = dialect_insert(connection, table)
    replaced = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=replaced), rows)
