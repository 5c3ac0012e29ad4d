"""Opens the database and keeps its schema at the version that this code knows.

SQLite gets write-ahead logging, a busy timeout and foreign keys; Postgres its driver's name.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import ArgumentError, DBAPIError, ProgrammingError

from gym_enrichment.storage.interrupts import interrupts_wait
from gym_enrichment.storage.private_files import make_private_file, make_private_folder

_NOT_ALLOWED = "42501"  # Postgres' docs, "Error Codes": insufficient_privilege
SQLITE_BUSY_SECONDS = 60
"""How long a writer waits for another writer of the same SQLite file before it gives up."""


# Parameters are reviews and answers: no error message and no log may show them.
_ENGINE: dict[str, Any] = {"hide_parameters": True}


class DatabaseError(Exception):
    """The database cannot be used; the message says why and what to do."""


class DatabaseUnreachable(DatabaseError):
    """No connection: wrong URL, server down, wrong password, folder not writable."""


class SchemaMismatch(DatabaseError):
    """The schema is missing, behind or ahead of this version of the package."""


class StatementCount:
    """Counts the statements of an engine that match a pattern. Listens to `before_cursor_execute`."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.value = 0
        self._pattern = pattern

    def __call__(self, _connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        """SQLAlchemy's call before a statement."""
        self.value += bool(self._pattern.match(statement))


def normalise_url(url: str) -> URL:
    """The SQLAlchemy URL for what users paste: `postgresql://` and `postgres://` get our driver.

    Raises:
        DatabaseUnreachable: not a URL, or neither SQLite nor Postgres.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise DatabaseUnreachable(
            "GYM_DATABASE_URL is not a database URL. Give postgresql://user@host/name or sqlite:////absolute/path.db"
        ) from error
    backend = parsed.drivername.partition("+")[0]
    if backend in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        return parsed.set(drivername="sqlite")
    raise DatabaseUnreachable(f"{backend!r} databases are not supported: use sqlite:// or postgresql://")


@dataclass(frozen=True)
class Database:
    """A database of this package: hand it around, it opens its connections when first used.

    Args:
        url: any `sqlite:` or `postgresql:` URL.
        create: create and migrate the schema on first use (the embedded default); otherwise a schema
            that is not current is refused.
        search_path: Postgres schema to use instead of the role's default (tests use one each).
    """

    url: str
    create: bool = False
    search_path: str | None = None

    @property
    def is_sqlite(self) -> bool:
        """Whether this is an SQLite file."""
        return normalise_url(self.url).get_backend_name() == "sqlite"

    @property
    def shown(self) -> str:
        """The URL without its password and options, for people and logs."""
        return normalise_url(self.url).set(query={}).render_as_string(hide_password=True)

    @cached_property
    def review_queries(self) -> "StatementCount":
        """How often this process has queried the reviews table."""
        return StatementCount(re.compile(r"\s*SELECT\b.*?\b(?:FROM|JOIN)\s+reviews\b", re.DOTALL))

    @cached_property
    def unchecked_engine(self) -> Engine:
        """The engine without a look at the schema: for migrating and diagnosing only."""
        url = normalise_url(self.url)
        if not self.is_sqlite:
            options = {"options": f"-c search_path={self.search_path}"} if self.search_path else {}
            engine = create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 10, **options}, **_ENGINE)
            event.listen(engine, "before_cursor_execute", self.review_queries)
            event.listen(engine, "handle_error", _keep_first_line)
            return engine
        if url.database and url.database != ":memory:":
            _make_private(Path(url.database))
        engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_SECONDS}, **_ENGINE)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        event.listen(engine, "before_cursor_execute", self.review_queries)
        return engine

    @cached_property
    def engine(self) -> Engine:
        """The engine, its schema checked (or created, with `create`).

        Raises:
            DatabaseUnreachable: no connection.
            SchemaMismatch: the schema is not the one of this version.
        """
        current = self.schema_revision()
        if current != head_revision():
            if not self.create:
                raise SchemaMismatch(_mismatch_message(current))
            self.migrate()
        return self.unchecked_engine

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database from its first to its last query."""
        isolation = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        with self.engine.connect().execution_options(**isolation) as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is committed at the end and rolled back on any error. Ctrl-C waits for its end."""
        engine = self.engine
        with (
            interrupts_wait(),
            engine.connect().execution_options(gym_writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    def schema_revision(self) -> str | None:
        """The revision that the database says it has; None when it has no schema of ours.

        Raises:
            DatabaseUnreachable: no connection.
        """
        try:
            with self.unchecked_engine.connect() as connection:
                return MigrationContext.configure(connection).get_current_revision()
        except DBAPIError as error:
            reason = str(error.orig).strip().splitlines()[0]
            raise DatabaseUnreachable(
                f"cannot open the database {self.shown}: {reason}. Check GYM_DATABASE_URL, that the server"
                " runs, and that you may write there"
            ) from error

    def migrate(self) -> str:
        """Bring the schema to this version; returns its revision. Safe when two processes do it at once.

        Raises:
            SchemaMismatch: the database is ahead of this version.
            DatabaseUnreachable: no connection.
            DatabaseError: this role may not.
        """
        current = self.schema_revision()
        known = {script.revision for script in _scripts().walk_revisions()}
        if current is not None and current not in known:
            raise SchemaMismatch(_mismatch_message(current))
        config = _alembic_config()
        with (
            self.unchecked_engine.connect().execution_options(gym_writes=True) as connection,
            connection.begin(),
        ):
            if not self.is_sqlite:
                # Two processes that migrate at once queue here; SQLite queues at BEGIN IMMEDIATE.
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7203115)")
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except ProgrammingError as error:
                if getattr(error.orig, "sqlstate", None) != _NOT_ALLOWED:
                    raise
                raise DatabaseError(
                    f"{self.shown}: this role may not change the schema: run `gym-enrichment doctor --migrate` as the"
                    " database's owner (docs/database-roles.sql)"
                ) from error
        return head_revision()


def head_revision() -> str:
    """The schema revision that this version of the package works with."""
    head = _scripts().get_current_head()
    assert head is not None
    return head


def _mismatch_message(current: str | None) -> str:
    head = head_revision()
    if current is None:
        return f"the database has no gym_enrichment schema (needs {head}): run `gym-enrichment doctor --migrate`"
    if current in {script.revision for script in _scripts().walk_revisions()}:
        return f"the database schema {current} is behind {head}: run `gym-enrichment doctor --migrate`"
    return f"the database schema {current} is ahead of this version ({head}): upgrade gym-enrichment"


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_alembic_config())


def _alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _make_private(database: Path) -> None:
    """The folder of an SQLite database, and its file: SQLite gives its write-ahead log the same mode."""
    try:
        make_private_folder(database.parent)
    except OSError as error:
        raise DatabaseUnreachable(
            f"cannot create the folder {database.parent} for the database: {error.strerror or error}."
            " Set GYM_HOME to a folder you may write to"
        ) from error
    with suppress(OSError):  # SQLite says better what is wrong with the file
        make_private_file(database)


def _keep_first_line(context: ExceptionContext) -> None:
    """Leave out what Postgres adds to its errors: `DETAIL` and `CONTEXT` repeat rows, and rows are reviews."""
    for error in (context.original_exception, context.sqlalchemy_exception):
        if error is not None and error.args:
            error.args = (str(error.args[0]).partition("\n")[0],)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver must not open transactions by itself: it would start them deferred, and two deferred
    # writers fail with "database is locked" at once instead of waiting (SQLite's docs on BUSY).
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    # Postgres has it; storage/experiments.py needs it on both.
    connection.create_function("md5", 1, _md5, deterministic=True)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("gym_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
