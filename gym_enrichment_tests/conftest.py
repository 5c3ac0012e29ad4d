"""Fixtures of all tests: a real Postgres server, and a database of each kind.

What must not live here: data of one test.
"""

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.servers import Postgres, free_port
from gym_enrichment.storage.engine import Database

_schemas = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a real Postgres server that lives as long as the session (one a worker under xdist)."""
    # Not pytest's tmp_path: its parents are closed to other users, and the server may run as another.
    home = Path(tempfile.mkdtemp(prefix="gym-postgres-"))
    home.chmod(0o755)
    server = Postgres(home, free_port())
    try:
        server.start()
        yield server.url()
    finally:
        # SIGINT is Postgres's fast shutdown.
        server.stop(signal.SIGINT)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[Database]:
    """An empty Postgres database with our schema, in a schema of its own that is dropped after the test."""
    schema = f"test_{os.getpid()}_{next(_schemas)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        database = Database(postgres_url, create=True, search_path=schema)
        try:
            yield database
        finally:
            database.unchecked_engine.dispose()
            connection.execute("SET lock_timeout = '10s'")
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database with our schema."""
    database = Database(f"sqlite:///{tmp_path / 'gym.db'}", create=True)
    yield database
    database.unchecked_engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Database:
    """An empty database with our schema, of both kinds in turn."""
    found: Database = request.getfixturevalue(f"{request.param}_database")
    return found


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With GYM_TESTS_FORBID_SKIPS (CI sets it), a skipped test fails the run: its part must be there."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("GYM_TESTS_FORBID_SKIPS") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
