"""INSERT ... ON CONFLICT DO UPDATE for both databases: the one difference between their dialects."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def dialect_insert(connection: Connection, table: Table) -> Any:
    """An INSERT into `table` that knows ON CONFLICT, in the dialect of `connection`."""
    return insert_into(connection.dialect.name, table)


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert `rows`, or replace the rows that have their primary keys.

    Args:
        connection: in a writing transaction.
        table: where to.
        rows: column name to value, with all columns of the table; no primary key twice.
    """
    if not rows:
        return
    connection.execute(_upsert_statement(connection.dialect.name, table), rows)


def as_row(record: Any) -> dict[str, Any]:
    """The fields of a dataclass as column values; unlike `asdict` it copies nothing, which is most of its cost."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


@cache
def _upsert_statement(dialect: str, table: Table) -> Any:
    # Executed with many rows instead of rendered with them: built and compiled once, whatever their number.
    statement = insert_into(dialect, table)
    keys = [column.name for column in table.primary_key]
    replaced = {
        name: statement.excluded[name] for name in (column.name for column in table.columns) if name not in keys
    }
    return statement.on_conflict_do_update(index_elements=keys, set_=replaced)


def insert_into(dialect: str, table: Table) -> Any:
    """An INSERT into `table` that knows ON CONFLICT, in the dialect of that name."""
    return (postgresql if dialect == "postgresql" else sqlite).insert(table)
