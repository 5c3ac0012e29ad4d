"""A connection to Postgres that is lost in the middle of a transaction. Whole outages: acceptance/faults/."""

import psycopg
import pytest
from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.exc import ProgrammingError

from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.outages import again_after_outage
from gym_enrichment.storage.tables import llm_leases

LEASE = {"fingerprint": "f", "holder": "h", "expires_at": 0.0}


def cut(connection: Connection, postgres_url: str) -> None:
    """As an administrator does, or a server that shuts down."""
    pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_what_was_not_committed_is_done_again_and_only_once(postgres_database: Database, postgres_url: str) -> None:
    times = 0

    @again_after_outage
    def work() -> None:
        nonlocal times
        times += 1
        with postgres_database.write() as connection:
            connection.execute(insert(llm_leases).values(LEASE))
            if times == 1:
                cut(connection, postgres_url)
            connection.execute(select(func.count()).select_from(llm_leases))

    work()
    assert times == 2
    with postgres_database.read() as connection:
        assert connection.execute(select(func.count()).select_from(llm_leases)).scalar_one() == 1


def test_what_may_have_been_committed_is_not_done_again(postgres_database: Database, postgres_url: str) -> None:
    times = 0

    @again_after_outage
    def work() -> None:
        nonlocal times
        times += 1
        with postgres_database.write() as connection:
            connection.execute(insert(llm_leases).values(LEASE))
            cut(connection, postgres_url)

    with pytest.raises(Exception, match=r"terminating connection|closed"):
        work()
    assert times == 1


def test_a_wrong_statement_is_not_repeated(postgres_database: Database) -> None:
    times = 0

    @again_after_outage
    def work() -> None:
        nonlocal times
        times += 1
        with postgres_database.write() as connection:
            connection.execute(text("SELECT wrong"))

    with pytest.raises(ProgrammingError):
        work()
    assert times == 1
