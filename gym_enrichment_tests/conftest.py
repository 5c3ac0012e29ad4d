"""Fixtures of all tests: a real Postgres server, and a database of each kind.

What must not live here: data of one test.
"""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest

import gym_enrichment
from deploy.servers import Postgres, free_port
from gym_enrichment.storage.engine import Database

REPOSITORY = Path(gym_enrichment.__file__).parents[1]
# Property-based tests: the same few hundred examples everywhere, or a new corpus of any size (`make fuzz`). A slow
# machine is no failure.
_FUZZ_EXAMPLES = os.environ.get("FUZZ_EXAMPLES")
hypothesis.settings.register_profile(
    "tests",
    deadline=None,
    max_examples=int(_FUZZ_EXAMPLES or 100),
    derandomize=not _FUZZ_EXAMPLES,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tests")

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
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def app_role(postgres_url: str) -> str:
    """The URL of the role `gym_app`, which may do what docs/database-roles.sql lets it do, and no more."""
    create, *_ = _role_statements("public")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(create.encode())
    return postgres_url.replace("postgres@", "gym_app@")


@pytest.fixture
def postgres_owner(postgres_url: str, app_role: str) -> Iterator[Database]:
    """An empty Postgres database with our schema as its owner sees it, in a schema of its own."""
    schema = f"test_{os.getpid()}_{next(_schemas)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        _, *grants = _role_statements(schema)
        for grant in grants:
            connection.execute(grant.encode())
        owner = Database(postgres_url, search_path=schema)
        try:
            owner.migrate()
            yield owner
        finally:
            owner.unchecked_engine.dispose()
            connection.execute("SET lock_timeout = '10s'")
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def postgres_database(postgres_owner: Database, app_role: str) -> Iterator[Database]:
    """An empty Postgres database with our schema, as the role sees it that production runs with."""
    database = Database(app_role, search_path=postgres_owner.search_path)
    yield database
    database.unchecked_engine.dispose()


def _role_statements(schema: str) -> list[str]:
    """docs/database-roles.sql for a schema: the role first, then what it may do."""
    lines = (REPOSITORY / "docs" / "database-roles.sql").read_text(encoding="utf-8").splitlines()
    script = " ".join(line for line in lines if not line.startswith("--"))
    return [part.strip() for part in script.replace("SCHEMA public", f"SCHEMA {schema}").split(";") if part.strip()]


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
