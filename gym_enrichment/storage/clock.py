"""The database's own clock: the one clock that all processes of a deployment share."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, literal_column, select

_SECONDS = {
    "postgresql": "extract(epoch FROM clock_timestamp())",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
}


def clock(dialect: str) -> ColumnElement[Any]:
    """Seconds since 1970 by the database's clock, to the millisecond: an expression for statements."""
    return literal_column(_SECONDS[dialect], Float)


def now_seconds(connection: Connection) -> float:
    """What `clock` says now."""
    return float(connection.execute(select(clock(connection.dialect.name))).scalar_one())
