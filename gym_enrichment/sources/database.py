"""Databases as sources: tables `gyms` and `reviews`, also as the pipeline before this one left them.

What must not live here: writing to a source; it is opened read-only.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, Select, column, create_engine, func, inspect, select, table
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from gym_enrichment.domain.private import is_private
from gym_enrichment.domain.raw_rows import REVIEW_COLUMNS, storable
from gym_enrichment.sources.errors import SourceError
from gym_enrichment.sources.rows import Kind, RawRow, missing_columns
from gym_enrichment.sources.streams import LONGEST_LINE, check_file
from gym_enrichment.storage.engine import DatabaseError, normalise_url

_FILE_ENDINGS = (".db", ".sqlite", ".sqlite3")
_ROWS_AT_ONCE = 1_000
# Our own bookkeeping, when the source is another database of this package: not what a source said.
_BOOKKEEPING = frozenset({"content_hash", "revision", "created_at", "updated_at"})


def is_database(spec: str) -> bool:
    """Whether a source's name is a database URL or a database file."""
    return "://" in spec or spec.lower().startswith("sqlite:") or spec.lower().endswith(_FILE_ENDINGS)


class DatabaseSource:
    """A database with tables `gyms`, `reviews` or both."""

    def __init__(self, engine: Engine, name: str, secrets: tuple[str, ...]) -> None:
        self._engine = engine
        self.name = name
        self._secrets = secrets

    def rows(self, kind: Kind) -> Iterator[RawRow]:
        """As `Source.rows`; a row's line is its number in the order of the table's primary key."""
        number = 0
        try:
            with self._reading() as connection:
                statement = self._statement(connection, kind)
                if statement is None:
                    return
                streamed = connection.execution_options(stream_results=True, yield_per=_ROWS_AT_ONCE)
                for number, row in enumerate(streamed.execute(statement).mappings(), start=1):
                    size = sum(len(value) for value in row.values() if isinstance(value, str | bytes))
                    yield RawRow(number, _prepared(dict(row)), size=size)
        except SQLAlchemyError as error:
            raise self._failed(error, number + 1) from error

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                if self._engine.dialect.name == "postgresql":
                    connection = connection.execution_options(postgresql_readonly=True)
                yield connection
        finally:
            self._engine.dispose()

    def _statement(self, connection: Connection, kind: Kind) -> Select[Any] | None:
        inspector = inspect(connection)
        tables = {*inspector.get_table_names(), *inspector.get_view_names()}
        if tables.isdisjoint({"gyms", "reviews"}):
            found = ", ".join(sorted(tables)[:30]) or "none"
            raise SourceError(f"{self.name}: has neither a table gyms nor reviews. Tables found: {found}")
        if kind not in tables:
            return None
        names = [found["name"] for found in inspector.get_columns(kind)]
        if "place_id" not in names:
            raise SourceError(missing_columns(f"{self.name}, table {kind}", names))
        wanted = [name for name in names if _is_wanted(name, names, kind)]
        source = table(kind, *(column(name) for name in names))
        statement = select(*(source.c[name] for name in wanted))
        # Without an order the line of a row could be another next time.
        key = inspector.get_pk_constraint(kind)["constrained_columns"] if kind in inspector.get_table_names() else []
        statement = statement.order_by(*(source.c[name] for name in key))
        if kind == "gyms" and "places" in tables and "source_city" not in names:
            return _with_city(statement, source, {found["name"] for found in inspector.get_columns("places")})
        return statement

    def _failed(self, error: SQLAlchemyError, row: int) -> SourceError:
        reason = (str(getattr(error, "orig", None) or error).strip().splitlines() or ["unknown"])[0]
        for secret in self._secrets:
            reason = reason.replace(secret, "***")
        return SourceError(f"{self.name}: cannot be read at row {row}: {storable(reason)[:300]}")


def open_database(spec: str) -> DatabaseSource:
    """The source behind a database URL or the path of an SQLite file. Connects when its rows are asked for.

    Raises:
        SourceError: not a URL we can use, or no such file.
    """
    if "://" not in spec and not spec.lower().startswith("sqlite:"):
        return _sqlite_source(spec, storable(spec))
    try:
        url = normalise_url(spec)
    except (DatabaseError, ValueError) as error:
        hidden = re.sub(r"//.*@", "//***@", spec)
        why = str(error) if "not supported" in str(error) else "is not a database URL"
        raise SourceError(
            f"{storable(hidden)}: {why}; expected postgresql://user@host/name or sqlite:///path"
        ) from None
    if url.get_backend_name() == "sqlite":
        return _sqlite_source(url.database or "", storable(spec))
    # The driver turns a stuck host into an error instead of a wait for minutes.
    engine = create_engine(url, connect_args={"connect_timeout": 10})
    return DatabaseSource(engine, storable(_shown(url)), _secrets(url))


def _secrets(url: URL) -> tuple[str, ...]:
    found = [url.password, *(value for key, value in url.query.items() if "password" in key)]
    return tuple(str(secret) for secret in found if secret)


def _shown(url: URL) -> str:
    """The URL without its passwords; libpq also takes them as parameters."""
    hidden = {key: "***" for key in url.query if "password" in key}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def _sqlite_source(path: str, name: str) -> DatabaseSource:
    check_file(Path(path), name)
    address = f"file:{quote(str(Path(path).absolute()))}?mode=ro"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        # A file from a stranger: no value of a gigabyte, and none of its triggers and views may call functions.
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_LINE)
        connection.execute("PRAGMA trusted_schema=OFF")
        # Text that is not UTF-8 becomes a value that the row's check refuses, instead of the end of the table.
        connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        return connection

    return DatabaseSource(create_engine("sqlite://", creator=connect), name, ())


def _is_wanted(name: str, names: list[str], kind: Kind) -> bool:
    if kind == "reviews":
        return name in REVIEW_COLUMNS
    return not is_private(name) and not (name in _BOOKKEEPING and {"content_hash", "revision"} <= set(names))


def _with_city(statement: Select[Any], gyms: Any, columns: set[str]) -> Select[Any]:
    """The city that the earlier pipeline searched in, for gyms whose address gave none."""
    if not {"place_id", "source_city"} <= columns:
        return statement
    places = table("places", column("place_id"), column("source_city"))
    cities = (
        select(places.c.place_id, func.max(places.c.source_city).label("source_city"))
        .group_by(places.c.place_id)
        .subquery()
    )
    return statement.add_columns(cities.c.source_city).join_from(
        gyms, cities, gyms.c.place_id == cities.c.place_id, isouter=True
    )


def _prepared(row: dict[str, Any]) -> dict[str, Any]:
    city = row.pop("source_city", None)
    if city and not row.get("city"):
        row["city"] = city
    return row
