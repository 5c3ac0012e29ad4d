"""The rows of the error table in docs/gateway.md that test_gateway.py leaves out, against a real HTTP server."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.domain.models import Bundle, BundleReview
from gym_enrichment.llm.endpoint import Endpoint
from gym_enrichment.llm.errors import REACTIONS, ErrorKind, Reaction, RunStopped
from gym_enrichment.llm.gateway import Backoff, Gateway
from gym_enrichment.llm.openai_transport import OpenAITransport
from gym_enrichment.llm.requests import AskFailed
from gym_enrichment.pipeline.enriching.combined import CombinedVariant
from gym_enrichment.pipeline.enriching.judging import Judge
from gym_enrichment.prompts import combined as prompt
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_admission import Terms
from gym_enrichment.storage.tables import ledger, llm_cache, llm_leases
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good, good_content

JUDGE = Judge(Vocabulary.default())

VARIANT = CombinedVariant(Endpoint("test", None, SecretStr("test"), "gpt-4o-mini"), JUDGE)


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with LlmServer() as running:
        yield running


def bundle(number: int = 1, reviews: int = 6) -> Bundle:
    return Bundle(
        place_id=f"gym-{number}",
        gym={"name": f"Salle {number}", "city": "Oran"},
        reviews=[
            BundleReview(f"review-{number}-{r}", f"Avis {r} : vestiaires propres.") for r in range(1, reviews + 1)
        ],
        content_hash="hash",
        reviews_total=reviews,
        reviews_with_text=reviews,
        review_tokens=10 * reviews,
        revision=1,
    )


def open_gateway(server: LlmServer, database: Database, **options: Any) -> Gateway:
    usual: dict[str, Any] = {"run_id": "run-1", "backoff": Backoff(base=0.01, cap=0.05)}
    return Gateway(OpenAITransport("test", server.base_url, 10.0), database, **usual | options)


def enrich(server: LlmServer, database: Database, *bundles: Bundle, **options: Any) -> list[Any]:
    """Each gym's enrichment, or what was raised instead."""

    async def work() -> list[Any]:
        gateway = open_gateway(server, database, **options)

        async def one(found: Bundle) -> Any:
            request = VARIANT.alone(found)
            return await gateway.ask(request, JUDGE.check(prompt.parse, found))

        try:
            return await asyncio.gather(*map(one, bundles), return_exceptions=True)
        finally:
            await gateway.close()

    return asyncio.run(work())


def outcomes(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(select(ledger.c.outcome).order_by(ledger.c.id)).scalars())


def test_every_kind_of_error_has_a_reaction() -> None:
    assert set(REACTIONS) == set(ErrorKind)


# --- too long --------------------------------------------------------------------------------------------

TOO_LONG = {
    "context_length_exceeded": (Reply(status=400, error_code="context_length_exceeded"), ErrorKind.CONTEXT_OVERFLOW),
    "413": (Reply(status=413), ErrorKind.TOO_LARGE),
}


FAULTS = (
    (0.10, Reply(status=429)),
    (0.05, Reply(status=500)),
    (0.05, Reply("{'description': no JSON")),
    (0.05, Reply(good_content()[:80], finish_reason="length")),
)


def with_faults(seed: int) -> Callable[[Ask], Reply]:
    """A server that does by chance to one call in four what servers do."""
    chance = random.Random(seed)

    def script(_: Ask) -> Reply:
        drawn = chance.random()
        for share, reply in FAULTS:
            if drawn < share:
                return reply
            drawn -= share
        return Reply(good_content())

    return script


@pytest.mark.parametrize("seed", range(5))
def test_a_server_that_fails_one_call_in_four_by_chance_loses_no_gym(
    server: LlmServer, sqlite_database: Database, seed: int
) -> None:
    server.script = with_faults(seed)
    results = enrich(server, sqlite_database, *(bundle(number) for number in range(200)))

    assert [result for result in results if isinstance(result, BaseException)] == []
    assert len(server.asks) < 200 * 1.6


@pytest.mark.parametrize(("reply", "kind"), TOO_LONG.values(), ids=TOO_LONG)
def test_what_is_too_long_is_asked_once_more_with_half_of_the_reviews_under_their_own_numbers(
    server: LlmServer, database: Database, reply: Reply, kind: ErrorKind
) -> None:
    cites_the_third = good_content().replace('"reviews": [1]', '"reviews": [3]')
    server.script = lambda ask: reply if ask.number == 1 else Reply(cites_the_third)
    (answer,) = enrich(server, database, bundle(reviews=6))

    whole, half = (ask.reviews for ask in server.asks)
    assert list(whole) == ["1", "2", "3", "4", "5", "6"]
    assert half == {number: whole[number] for number in ("1", "2", "3")}
    (changing_rooms,) = (found for found in answer.value.amenities.amenities if found.id == "vestiaires")
    assert (changing_rooms.status, changing_rooms.reviews[0]) == ("verified", 3)
    assert answer.usage.llm_calls == 2
    assert outcomes(database) == [kind, "ok"]
    # The short way is what the question costs from now on: it is known under the question's own name.
    (again,) = enrich(server, database, bundle(reviews=6))
    assert again.from_cache


@pytest.mark.parametrize(("reply", "kind"), TOO_LONG.values(), ids=TOO_LONG)
def test_what_stays_too_long_fails_its_gym_after_two_calls(
    server: LlmServer, sqlite_database: Database, reply: Reply, kind: ErrorKind
) -> None:
    server.script = lambda ask: reply if ask.name == "Salle 1" else good(ask)
    failed, neighbour = enrich(server, sqlite_database, bundle(1), bundle(2))

    assert isinstance(failed, AskFailed)
    assert failed.kind == kind
    assert failed.usage.llm_calls == 2
    assert neighbour.usage.llm_calls == 1


def test_a_question_with_one_review_cannot_be_shortened(server: LlmServer, sqlite_database: Database) -> None:
    server.script = lambda _: Reply(status=413)
    (failed,) = enrich(server, sqlite_database, bundle(reviews=1))

    assert isinstance(failed, AskFailed)
    assert len(server.asks) == 1


# --- the run stops ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_wait_for_more_than_ten_minutes_stops_the_run_at_once(
    server: LlmServer, database: Database, status: int
) -> None:
    server.script = lambda _: Reply(status=status, headers={"Retry-After": "601"})
    began = time.monotonic()
    results = enrich(server, database, *map(bundle, range(1, 13)), concurrency=2)

    assert time.monotonic() - began < 60
    assert {type(result) for result in results} == {RunStopped}
    assert {"601 seconds" in str(result) for result in results} == {True}
    assert len(server.asks) <= 2


def test_a_wait_of_minutes_that_is_not_too_long_does_not_stop_the_run(
    server: LlmServer, sqlite_database: Database
) -> None:
    server.script = lambda _: Reply(status=429, headers={"Retry-After": "599"})

    async def work() -> bool:
        gateway = open_gateway(server, sqlite_database)
        asking = asyncio.create_task(gateway.ask(VARIANT.alone(bundle()), str))
        async with asyncio.timeout(60):
            while not outcomes(sqlite_database):
                await asyncio.sleep(0.05)
        _, pending = await asyncio.wait([asking], timeout=0.5)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await gateway.close()
        return bool(pending)

    assert asyncio.run(work())
    assert outcomes(sqlite_database) == [ErrorKind.RATE_LIMITED]


def test_a_provider_that_goes_down_stops_the_run_in_a_bounded_time_with_everything_finished_saved(
    server: LlmServer, database: Database
) -> None:
    server.script = lambda ask: good(ask) if len(server.asks) <= 10 else Reply(status=500)
    began = time.monotonic()
    results = enrich(server, database, *map(bundle, range(1, 101)), patience=1.0, max_attempts=1_000)

    assert time.monotonic() - began < 60
    stopped = [result for result in results if isinstance(result, RunStopped)]
    assert len(stopped) == 90
    assert len({str(result) for result in stopped}) == 1
    assert "has not answered" in str(stopped[0])
    with database.read() as connection:
        assert len(connection.execute(select(llm_cache.c.fingerprint)).all()) == 10
    assert outcomes(database).count("ok") == 10
    assert len(outcomes(database)) == len(server.asks)


def test_a_budget_for_a_model_of_unknown_price_stops_the_run_before_the_first_call(
    server: LlmServer, database: Database
) -> None:
    terms = Terms("test", None, None, {"run:run-1": 1.0})
    results = enrich(server, database, *map(bundle, range(5)), terms=terms, prices=lambda _: None)

    assert {type(result) for result in results} == {RunStopped}
    assert {result.kind for result in results} == {ErrorKind.UNPRICED}
    assert {"GYM_LLM_PRICE_PROMPT" in str(result) for result in results} == {True}
    assert server.asks == []
    assert outcomes(database) == []
    assert REACTIONS[ErrorKind.UNPRICED] is Reaction.RUN_STOPS


# --- the whole gateway slows down ------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503, 529])
def test_an_overloaded_server_is_left_alone_by_the_whole_gateway(
    server: LlmServer, sqlite_database: Database, status: int
) -> None:
    server.script = lambda ask: Reply(status=status) if len(server.asks) <= 5 else good(ask)
    enrich(server, sqlite_database, *map(bundle, range(1, 13)), concurrency=5)

    moments = [ask.at for ask in server.asks]
    # Five calls refused are a flood: those that were on their way come with it, then nothing for a second.
    before_the_pause = next(n for n, (one, other) in enumerate(pairwise(moments), start=1) if other - one >= 0.9)
    assert before_the_pause <= 5 + 5


def test_an_error_that_is_no_overload_slows_nobody_down(server: LlmServer, sqlite_database: Database) -> None:
    server.script = lambda ask: Reply(status=500) if ask.number == 1 else good(ask)
    enrich(server, sqlite_database, *map(bundle, range(1, 31)), concurrency=5)

    moments = [ask.at for ask in server.asks]
    assert max(after - before for before, after in pairwise(moments)) < 0.9


# --- cancelled -------------------------------------------------------------------------------------------


def test_a_call_that_the_end_of_the_run_cuts_off_is_in_the_ledger(server: LlmServer, database: Database) -> None:
    server.script = lambda _: Reply(good_content(), delay=60.0)

    async def work() -> None:
        gateway = open_gateway(server, database)
        asks = [asyncio.create_task(gateway.ask(VARIANT.alone(bundle(n)), str)) for n in (1, 2, 3)]
        while len(server.asks) < 3:
            await asyncio.sleep(0.01)
        for task in asks:
            task.cancel()
        await asyncio.gather(*asks, return_exceptions=True)
        await gateway.close()

    asyncio.run(work())
    assert outcomes(database) == [ErrorKind.CANCELLED] * 3


def test_one_asker_that_gives_up_does_not_take_its_equals_along(server: LlmServer, sqlite_database: Database) -> None:
    server.script = lambda _: Reply(good_content(), delay=0.3)

    async def work() -> Any:
        gateway = open_gateway(server, sqlite_database)
        first = asyncio.create_task(gateway.ask(VARIANT.alone(bundle()), str))
        while not server.asks:
            await asyncio.sleep(0.01)
        second = asyncio.create_task(gateway.ask(VARIANT.alone(bundle()), str))
        await asyncio.sleep(0.05)
        first.cancel()
        try:
            return await second
        finally:
            await gateway.close()

    assert asyncio.run(work()).value == good_content()


def test_a_run_that_was_stopped_leaves_no_lease_behind(server: LlmServer, database: Database) -> None:
    """Else the next run would wait for half a minute for nobody."""

    async def work(pause: float) -> None:
        gateway = open_gateway(server, database)
        asks = [asyncio.create_task(gateway.ask(VARIANT.alone(bundle(n)), str)) for n in range(50)]
        await asyncio.sleep(pause)
        for task in asks:
            task.cancel()
        await asyncio.gather(*asks, return_exceptions=True)
        await gateway.close()

    server.script = lambda _: Reply(good_content(), delay=1.0)
    for pause in (0.0, 0.001, 0.005, 0.02, 0.1, 0.3):
        asyncio.run(work(pause))
        with database.read() as connection:
            assert connection.execute(select(llm_leases.c.holder)).all() == []
