"""What calls reserve of limits and budgets is given back or settled, once, however a run ends; on both databases."""

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

import pytest
from sqlalchemy import func, select

from gym_enrichment.llm.gateway import Gateway
from gym_enrichment.llm.openai_transport import OpenAITransport
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_admission import NANO, Terms, Verdict, Want, admit
from gym_enrichment.storage.llm_batches import KEPT, sweep_batches
from gym_enrichment.storage.llm_holds import budget_holds, lock_budgets
from gym_enrichment.storage.tables import budgets, ledger, llm_batch_requests, llm_usage
from gym_enrichment_tests.batch_server import BatchServer, End
from gym_enrichment_tests.integration import fleet_member
from gym_enrichment_tests.integration.test_batch_api import (
    FULL_COST,
    GYMS,
    MODEL,
    Result,
    ask,
    assert_all_answered,
    count,
    half_price,
    leave_a_batch_open,
    let_half_a_minute_pass,
    open_gateway,
    question,
    start,
)
from gym_enrichment_tests.llm_server import LlmServer, Reply

MONTH = "month:2026-11"


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer() as running:
        yield running


def money(database: Database) -> dict[str, tuple[int, int]]:
    """Spent and reserved, by scope."""
    with database.read() as connection:
        return {row.scope: (row.spent, row.reserved) for row in connection.execute(select(budgets))}


# --- calls that are answered at once ---------------------------------------------------------------------------


def sync_gateway(database: Database, server: LlmServer, **options: Any) -> Gateway:
    terms = Terms("fleet", 1_000_000, 1_000_000_000, {MONTH: 100.0})
    transport = OpenAITransport("test", server.base_url, 30.0)
    return Gateway(transport, database, run_id="run-1", terms=terms, prices=lambda _: fleet_member.PRICE, **options)


def in_this_minute(database: Database) -> tuple[int, int]:
    query = select(func.coalesce(func.sum(llm_usage.c.requests), 0), func.coalesce(func.sum(llm_usage.c.tokens), 0))
    with database.read() as connection:
        requests, tokens = connection.execute(query).one()
    return int(requests), int(tokens)


def test_who_is_cancelled_while_the_database_admits_the_call_has_taken_nothing(database: Database) -> None:
    async def begin_and_cancel(server: LlmServer) -> None:
        gateway = sync_gateway(database, server, cache_ttl_seconds=0)
        with database.write() as connection:
            lock_budgets(connection)
            asks = [asyncio.ensure_future(gateway.ask(fleet_member.question(n), str)) for n in range(5)]
            await asyncio.sleep(0.3)
            for task in asks:
                task.cancel()
            ended = await asyncio.gather(*asks, return_exceptions=True)
        assert {type(error) for error in ended} == {asyncio.CancelledError}
        await gateway.close()

    database.migrate()
    with LlmServer(lambda _: Reply("fine")) as server:
        asyncio.run(begin_and_cancel(server))
        assert server.asks == []
    assert money(database) == {MONTH: (0, 0)}
    assert in_this_minute(database) == (0, 0)
    assert count(database, ledger) == 0


def test_cancelled_at_any_instant_nothing_stays_reserved_and_what_was_sent_is_counted(database: Database) -> None:
    dice = random.Random(20261122)

    async def ask_and_cancel(gateway: Gateway, number: int) -> None:
        task = asyncio.ensure_future(gateway.ask(fleet_member.question(number), str))
        await asyncio.sleep(dice.uniform(0.0, 0.8))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def work(server: LlmServer) -> None:
        gateway = sync_gateway(database, server, concurrency=50)
        await asyncio.gather(*(ask_and_cancel(gateway, number) for number in range(200)))
        await gateway.close()

    database.migrate()
    usage = {"prompt_tokens": 100, "completion_tokens": 50}
    with LlmServer(lambda _: Reply("fine", delay=0.05, usage=usage)) as server:
        asyncio.run(work(server))
    (spent, reserved) = money(database)[MONTH]
    assert reserved == 0
    with database.read() as connection:
        sent = dict(connection.execute(select(ledger.c.outcome, func.count()).group_by(ledger.c.outcome)).all())
    assert set(sent) == {"ok", "cancelled"}
    assert in_this_minute(database)[0] == sum(sent.values()) < 200
    cost = round(fleet_member.PRICE.cost(100, 0, 50) * NANO)
    worst = round(fleet_member.PRICE.cost(len(fleet_member.question(0).payload.content), 0, 100) * NANO)
    assert spent == sent.get("ok", 0) * cost + sent.get("cancelled", 0) * worst


# --- requests in an API batch ----------------------------------------------------------------------------------

COST = ceil(FULL_COST / 2 * NANO) * GYMS


def worst(gyms: int = GYMS) -> int:
    payloads = [question(number).request.payload for number in range(gyms)]
    price = half_price(MODEL)
    return sum(ceil(price.cost(len(p.content), 0, p.completion_limit) * NANO) for p in payloads)


def terms(*scopes: str, cap: int | None = None) -> Terms:
    return Terms("e", None, None, {scope: (cap or worst() + 1) / NANO for scope in scopes})


def fetch(server: BatchServer, database: Database, under: Terms | None) -> list[Result]:
    return ask(server.base_url, database, run_id="run-2", terms=under)


def test_what_a_stopped_run_reserved_is_settled_by_the_run_that_fetches_its_results(
    server: BatchServer, database: Database
) -> None:
    under = terms(MONTH)
    leave_a_batch_open(server, database, terms=under)
    assert money(database) == {MONTH: (0, worst())}

    # The month has no room for a second reservation of the same.
    assert_all_answered(fetch(server, database, under))
    assert money(database) == {MONTH: (COST, 0)}
    assert set(server.paid.values()) == {1}
    assert count(database, budget_holds) == 0


def test_stopped_again_and_again_it_is_reserved_once(server: BatchServer, database: Database) -> None:
    for _ in range(3):
        leave_a_batch_open(server, database, terms=terms(MONTH))
        assert money(database) == {MONTH: (0, worst())}
    assert_all_answered(fetch(server, database, terms(MONTH)))
    assert money(database) == {MONTH: (COST, 0)}


@pytest.mark.parametrize("moment", ["upload", "created", "content"])
def test_what_a_killed_run_reserved_is_settled_by_the_run_that_fetches_its_results(
    server: BatchServer, database: Database, moment: str
) -> None:
    database.migrate()
    under = terms(MONTH)
    server.plan.hold = moment
    process = start(server, database, terms=under)
    assert server.held.wait(60)
    process.kill()
    process.join()
    server.plan.hold = None
    let_half_a_minute_pass(database)
    assert money(database) == {MONTH: (0, worst())}

    assert_all_answered(fetch(server, database, under))
    assert money(database) == {MONTH: (COST, 0)}


def test_while_the_batch_is_open_nobody_spends_what_it_may_cost(server: BatchServer, database: Database) -> None:
    under = terms(MONTH)
    leave_a_batch_open(server, database, terms=under)
    (admission,) = admit(database, under, [Want(1, 2)])
    assert admission.verdict is Verdict.BLOCKED


def test_it_is_charged_to_the_run_that_sent_it_and_to_the_run_that_books_it_and_to_the_month_once(
    server: BatchServer, database: Database
) -> None:
    leave_a_batch_open(server, database, terms=terms("run:run-1", MONTH))
    assert_all_answered(fetch(server, database, terms("run:run-2", MONTH)))
    assert money(database) == {"run:run-1": (COST, 0), "run:run-2": (COST, 0), MONTH: (COST, 0)}


def test_a_run_without_budgets_settles_what_an_earlier_one_reserved(server: BatchServer, database: Database) -> None:
    leave_a_batch_open(server, database, terms=terms(MONTH))
    assert_all_answered(fetch(server, database, None))
    assert money(database) == {MONTH: (COST, 0)}
    assert count(database, budget_holds) == 0


def test_a_month_that_ends_meanwhile_keeps_nothing_reserved(server: BatchServer, database: Database) -> None:
    leave_a_batch_open(server, database, terms=terms(MONTH))
    assert_all_answered(fetch(server, database, terms("month:2026-12")))
    assert money(database) == {MONTH: (COST, 0), "month:2026-12": (COST, 0)}


def test_an_outage_of_the_api_gives_nothing_back_of_a_batch_that_is_open(
    server: BatchServer, database: Database
) -> None:
    server.plan.fail = {"look"}
    ask(server.base_url, database, terms=terms(MONTH), patience=0.1)
    assert money(database) == {MONTH: (0, worst())}
    server.plan.fail = set()
    assert_all_answered(fetch(server, database, terms(MONTH)))
    assert money(database) == {MONTH: (COST, 0)}


def test_a_batch_that_the_api_refused_holds_nothing(server: BatchServer, database: Database) -> None:
    server.plan.end = lambda _: End("failed", ({"code": "unsupported_model", "message": "no"},))
    ask(server.base_url, database, terms=terms(MONTH))
    assert money(database) == {MONTH: (0, 0)}
    assert count(database, llm_batch_requests) == count(database, budget_holds) == 0


def test_equal_requests_at_once_reserve_each_for_itself_where_the_cache_is_off(
    server: BatchServer, database: Database
) -> None:
    server.plan.looks = 1_000_000

    async def work() -> int:
        gateway = open_gateway(server.base_url, database, terms=terms(MONTH), cache_ttl_seconds=0)
        one = question(1)
        asks = [asyncio.ensure_future(gateway.ask(one.request, one.check)) for _ in range(3)]
        while not server.calls["look"]:
            await asyncio.sleep(0.01)
        _, reserved = money(database)[MONTH]
        server.plan.looks = 1
        await asyncio.gather(*asks)
        await gateway.close()
        return reserved

    alone = question(1).request.payload
    assert asyncio.run(work()) == 3 * ceil(half_price(MODEL).cost(len(alone.content), 0, alone.completion_limit) * NANO)
    assert money(database) == {MONTH: (3 * COST // GYMS, 0)}


def test_what_nobody_asked_for_again_before_the_api_forgot_it_counts_as_spent(
    server: BatchServer, database: Database
) -> None:
    leave_a_batch_open(server, database, terms=terms(MONTH))
    now = datetime.now(UTC)
    sweep_batches(database, now)
    assert money(database) == {MONTH: (0, worst())}
    sweep_batches(database, now + KEPT + timedelta(hours=1))
    assert money(database) == {MONTH: (worst(), 0)}
    assert count(database, budget_holds) == 0
