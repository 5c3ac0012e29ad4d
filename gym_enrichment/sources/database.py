"""Databases as sources: tables `gyms` and `reviews`, also as the pipeline before this one left them, and what it found.

What must not live here: writing to a source; it is opened read-only.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, Select, column, create_engine, func, inspect, select, table
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from gym_enrichment.domain.legacy import LEGACY_COLUMNS
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
        columns = _columns(connection)
        if columns.keys().isdisjoint({"gyms", "reviews"}):
            found = ", ".join(sorted(columns)[:30]) or "none"
            raise SourceError(f"{self.name}: has neither a table gyms nor reviews. Tables found: {found}")
        name = legacy_table(columns) if kind == "enrichments" else kind
        if name is None or name not in columns:
            return None
        names = columns[name]
        if "place_id" not in names:
            raise SourceError(missing_columns(f"{self.name}, table {name}", names))
        source = table(name, *(column(found) for found in names))
        is_wanted = _wanted(kind, names, is_legacy=legacy_table(columns) is not None)
        statement = select(*(source.c[found] for found in names if is_wanted(found)))
        # Without an order the line of a row could be another next time. A view has no key.
        key = inspect(connection).get_pk_constraint(name)["constrained_columns"]
        statement = statement.order_by(*(source.c[found] for found in key))
        if kind == "gyms" and "source_city" not in names:
            return _with_city(statement, source, set(columns.get("places", ())))
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
    address = f"file:{quote(str(Path(path).absolute()))}?mode=ro" + ("&immutable=1" if _rests(path) else "")

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        # A file from a stranger: no value of a gigabyte, and none of its triggers and views may call functions.
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST_LINE)
        connection.execute("PRAGMA trusted_schema=OFF")
        # Text that is not UTF-8 becomes a value that the row's check refuses, instead of the end of the table.
        connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        return connection

    return DatabaseSource(create_engine("sqlite://", creator=connect), name, ())


def _rests(path: str) -> bool:
    """Whether a file in WAL mode is open nowhere: even to read it, SQLite would else leave files beside it.

    The 19th byte tells the mode (sqlite.org/fileformat2.html); whoever has the database open has its log there.
    """
    with Path(path).open("rb") as file:
        return file.read(19)[18:] == b"\x02" and not Path(f"{path}-wal").exists()


def legacy_table(columns: Mapping[str, list[str]]) -> str | None:
    """Which of the tables with these columns holds what the old pipeline found; None if that has left nothing here.

    Its own table `enrichments` before `gyms`. A `description` of a gym alone is no mark of it, unless there is its
    table `places`; and our own `enrichments` are none of it.
    """
    own, gyms = columns.get("enrichments", []), columns.get("gyms", [])
    if "place_id" in own and "bundle_hash" not in own and not set(own).isdisjoint(LEGACY_COLUMNS):
        return "enrichments"
    marks = LEGACY_COLUMNS if {"place_id", "status"} <= set(columns.get("places", ())) else LEGACY_COLUMNS[-2:]
    return "gyms" if not set(gyms).isdisjoint(marks) else None


def _columns(connection: Connection) -> dict[str, list[str]]:
    """The columns of those tables and views that are looked at, and no columns of others."""
    inspector = inspect(connection)
    names = [*inspector.get_table_names(), *inspector.get_view_names()]
    looked_at = {"gyms", "reviews", "places", "enrichments"}
    return {
        name: [found["name"] for found in inspector.get_columns(name)] if name in looked_at else [] for name in names
    }


def _wanted(kind: Kind, names: list[str], *, is_legacy: bool) -> Callable[[str], bool]:
    """Which columns of a table are read: what persons are named in is not, and of gyms not what was found of them."""
    if kind == "reviews":
        return frozenset(REVIEW_COLUMNS).__contains__
    if kind == "enrichments":
        return frozenset({"place_id", *LEGACY_COLUMNS}).__contains__
    ours = _BOOKKEEPING if {"content_hash", "revision"} <= set(names) else frozenset[str]()
    found = frozenset(LEGACY_COLUMNS) if is_legacy else frozenset[str]()
    return lambda name: not is_private(name) and name not in ours | found


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
