"""The database's own clock: the one clock that all processes of a deployment share."""

from sqlalchemy import Connection, text

_SECONDS = {
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())",
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
}


def now_seconds(connection: Connection) -> float:
    """Seconds since 1970 by the database's clock, to the millisecond."""
    return float(connection.execute(text(_SECONDS[connection.dialect.name])).scalar_one())
