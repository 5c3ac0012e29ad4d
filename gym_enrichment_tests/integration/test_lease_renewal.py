"""Leases while the database fails: the heartbeat goes on, and nobody pays for what fell to somebody else."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select, text, update

from gym_enrichment.domain.answer_rules import AnswerRejected
from gym_enrichment.llm import books as llm_books
from gym_enrichment.llm.books import Books, Claim
from gym_enrichment.llm.gateway import Gateway
from gym_enrichment.llm.openai_transport import OpenAITransport
from gym_enrichment.llm.requests import LlmRequest
from gym_enrichment.storage.clock import now_seconds
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_admission import NANO, Terms
from gym_enrichment.storage.llm_calls import CachedAnswer, save_calls
from gym_enrichment.storage.llm_leases import find_or_claim
from gym_enrichment.storage.tables import budgets, llm_leases
from gym_enrichment_tests.integration import fleet_member
from gym_enrichment_tests.llm_server import LlmServer, Reply

LEASE_SECONDS = 1.0
FREE = Terms("fleet", None, None, {})


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with LlmServer(lambda _: Reply("fine", delay=0.05)) as running:
        yield running


@pytest.fixture(autouse=True)
def _short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a minute would be long to wait for."""
    monkeypatch.setattr(llm_books, "LEASE_SECONDS", LEASE_SECONDS)


@pytest.fixture(params=["sqlite_database", "postgres_owner"])
def database(request: pytest.FixtureRequest) -> Database:
    """As its owner sees it: these tests take a table away for a while."""
    found: Database = request.getfixturevalue(request.param)
    return found


def seconds_left(database: Database) -> float:
    with database.read() as connection:
        (expires_at,) = connection.execute(select(llm_leases.c.expires_at)).scalars()
        return float(expires_at) - now_seconds(connection)


def rename_leases(database: Database, old: str, new: str) -> None:
    with database.write() as connection:
        connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))


@asynccontextmanager
async def heartbeat(books: Books) -> AsyncIterator[None]:
    beating = asyncio.create_task(books.keep_leases())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


def test_the_heartbeat_outlives_a_database_that_fails_for_a_while_and_counts_it(database: Database) -> None:
    async def work() -> None:
        books = Books(database, "one", FREE)
        async with heartbeat(books):
            assert await books.find_or_claim("a") is Claim.OURS
            rename_leases(database, "llm_leases", "elsewhere")
            await asyncio.sleep(2 * LEASE_SECONDS)
            assert books.errors["lease_renewal"] > 1
            rename_leases(database, "elsewhere", "llm_leases")
            await asyncio.sleep(LEASE_SECONDS)
            failed = books.errors["lease_renewal"]
            assert seconds_left(database) > 0
            assert not await books.lease_is_lost("a")
            await asyncio.sleep(LEASE_SECONDS)
            assert seconds_left(database) > 0
            assert books.errors["lease_renewal"] == failed

    database.migrate()
    asyncio.run(work())


def test_a_gateway_counts_renewals_that_failed_and_finishes(database: Database, server: LlmServer) -> None:
    server.script = lambda _: Reply("fine", delay=3 * LEASE_SECONDS)

    async def work() -> None:
        gateway = open_gateway(database, server)
        asked = asyncio.ensure_future(gateway.ask(fleet_member.question(1), str))
        while not server.asks:
            await asyncio.sleep(0.01)
        rename_leases(database, "llm_leases", "elsewhere")
        await asyncio.sleep(1.5 * LEASE_SECONDS)
        rename_leases(database, "elsewhere", "llm_leases")
        assert (await asked).value == "fine"
        await gateway.close()
        assert gateway.stats.errors["lease_renewal"] >= 1

    database.migrate()
    asyncio.run(work())
    assert len(server.asks) == 1


def open_gateway(database: Database, server: LlmServer, terms: Terms = FREE, concurrency: int = 20) -> Gateway:
    transport = OpenAITransport("test", server.base_url, 30.0)
    return Gateway(
        transport,
        database,
        run_id="run-1",
        terms=terms,
        concurrency=concurrency,
        prices=lambda _: fleet_member.PRICE,
    )


def take_leases_over(database: Database, *, of: int) -> None:
    """What another process does once leases ran out: those of questions from 0 to `of`."""
    fingerprints = [fleet_member.question(number).fingerprint for number in range(of)]
    with database.write() as connection:
        taken = llm_leases.c.fingerprint.in_(fingerprints)
        connection.execute(update(llm_leases).where(taken).values(expires_at=0.0))
    assert find_or_claim(database, fingerprints, "other").claimed == set(fingerprints)


def test_what_fell_to_another_process_before_it_was_sent_is_waited_for_and_not_paid_again(
    database: Database, server: LlmServer
) -> None:
    """Ours stands still for longer than its leases last, with one call in flight and five that wait for its place."""
    server.script = lambda _: Reply("fine", delay=2 * LEASE_SECONDS if len(server.asks) == 1 else 0.02)
    budget = Terms("fleet", None, None, {"month:1": 1.0})

    async def work() -> None:
        ours = open_gateway(database, server, budget, concurrency=1)
        asks = [asyncio.ensure_future(ours.ask(fleet_member.question(n), str)) for n in range(6)]
        while not server.asks:
            await asyncio.sleep(0.01)
        rename_leases(database, "llm_leases", "elsewhere")
        await asyncio.sleep(1.2 * LEASE_SECONDS)
        rename_leases(database, "elsewhere", "llm_leases")
        take_leases_over(database, of=6)
        while len(server.asks) == 1 and not asks[0].done():
            await asyncio.sleep(0.01)
        await asyncio.sleep(LEASE_SECONDS)
        assert len(server.asks) == 1
        # The other process fails without an answer: what it held is asked by us.
        with database.write() as connection:
            connection.execute(update(llm_leases).where(llm_leases.c.holder == "other").values(expires_at=0.0))
        assert {answer.value for answer in await asyncio.gather(*asks)} == {"fine"}
        await ours.close()

    database.migrate()
    asyncio.run(work())
    assert len(server.asks) == 6
    with database.read() as connection:
        row = connection.execute(select(budgets)).one()
    cost = round(fleet_member.PRICE.cost(1000, 0, 100) * NANO)
    assert (row.spent, row.reserved) == (6 * cost, 0)


def test_the_answer_of_the_process_that_took_over_is_ours_too(database: Database, server: LlmServer) -> None:
    server.script = lambda _: Reply("fine", delay=2 * LEASE_SECONDS if len(server.asks) == 1 else 0.02)

    async def work() -> None:
        ours, other = open_gateway(database, server, concurrency=1), open_gateway(database, server)
        asks = [asyncio.ensure_future(ours.ask(fleet_member.question(n), str)) for n in range(6)]
        while not server.asks:
            await asyncio.sleep(0.01)
        rename_leases(database, "llm_leases", "elsewhere")
        await asyncio.sleep(1.2 * LEASE_SECONDS)
        rename_leases(database, "elsewhere", "llm_leases")
        with database.write() as connection:
            connection.execute(update(llm_leases).values(expires_at=0.0))
        # All but the one in flight.
        await asyncio.gather(*(other.ask(fleet_member.question(n), str) for n in range(1, 6)))
        assert {answer.value for answer in await asyncio.gather(*asks)} == {"fine"}
        await ours.close()
        await other.close()

    database.migrate()
    asyncio.run(work())
    assert len(server.asks) == 6


def too_much(text: str) -> str:
    """Every answer claims too much, and something can be made of each."""
    raise AnswerRejected(["claims too much"], usable=f"mended {text}")


def answer_elsewhere(database: Database, question: LlmRequest) -> None:
    """At the moment at which the leases are back, another process has paid for this question and gone."""
    now = datetime.now(UTC)
    answer = CachedAnswer(question.fingerprint, "other", "fine", 1, 1, 0.0, now, now + timedelta(days=1))
    with database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO llm_leases")
        connection.execute(delete(llm_leases).where(llm_leases.c.fingerprint == question.fingerprint))
        save_calls(connection, [], [answer])


def test_an_answer_of_which_the_other_process_took_what_can_be_used_is_not_paid_for_again(
    database: Database, server: LlmServer
) -> None:
    server.script = lambda _: Reply("fine", delay=2 * LEASE_SECONDS)

    async def work() -> None:
        ours = open_gateway(database, server, concurrency=1)
        first = asyncio.ensure_future(ours.ask(fleet_member.question(0), str))
        while not server.asks:
            await asyncio.sleep(0.01)
        second = asyncio.ensure_future(ours.ask(fleet_member.question(1), too_much))
        await asyncio.sleep(0.1)
        rename_leases(database, "llm_leases", "elsewhere")
        await asyncio.sleep(1.2 * LEASE_SECONDS)
        answer_elsewhere(database, fleet_member.question(1))
        assert ((await first).value, (await second).value) == ("fine", "mended fine")
        await ours.close()

    database.migrate()
    asyncio.run(work())
    assert len(server.asks) == 1


def test_a_locked_sqlite_delays_renewals_and_nothing_is_lost_when_nobody_took_over(
    sqlite_database: Database, server: LlmServer
) -> None:
    server.script = lambda _: Reply("fine", delay=0.3)

    async def work() -> None:
        gateway = open_gateway(sqlite_database, server, concurrency=2)
        asks = [asyncio.ensure_future(gateway.ask(fleet_member.question(n), str)) for n in range(6)]
        while not server.asks:
            await asyncio.sleep(0.01)
        with sqlite_database.write():
            await asyncio.sleep(2 * LEASE_SECONDS)
        assert {answer.value for answer in await asyncio.gather(*asks)} == {"fine"}
        await gateway.close()

    sqlite_database.migrate()
    asyncio.run(work())
    assert len(server.asks) == 6
