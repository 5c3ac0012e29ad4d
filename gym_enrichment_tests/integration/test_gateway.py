"""The gateway with the real client against a real HTTP server, its cache and ledger in a real database."""

import asyncio
import email.utils
import json
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, text, update

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.domain.answer_rules import AnswerRejected
from gym_enrichment.domain.findings import Findings
from gym_enrichment.domain.models import Bundle, BundleReview
from gym_enrichment.llm.chances import MOST_UNFINISHED, SEND_BACK_NOTE
from gym_enrichment.llm.endpoint import Endpoint
from gym_enrichment.llm.errors import ErrorKind, RunStopped
from gym_enrichment.llm.gateway import Backoff, Gateway
from gym_enrichment.llm.openai_transport import OpenAITransport
from gym_enrichment.llm.requests import Answer, AskFailed, LlmRequest
from gym_enrichment.pipeline.enriching.combined import CombinedVariant
from gym_enrichment.pipeline.enriching.judging import Judge
from gym_enrichment.prompts import combined as prompt
from gym_enrichment.prompts.tokens import count_tokens
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.tables import ledger, llm_cache
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good, good_content

JUDGE = Judge(Vocabulary.default())

API_KEY = "sk-test-never-to-be-seen-0123456789"
REVIEW = "Le sauna du sous-sol est chaud et Dupont-Lajoie y chante"
MODEL = "gpt-4o-mini"
# What gpt-4o-mini costs for the server's usual usage: 1,000 prompt tokens and 100 completion tokens.
COST = 1_000 * 0.15e-6 + 100 * 0.60e-6
FAST = Backoff(base=0.01, cap=0.05)

Result = Answer[Findings] | BaseException
Script = Callable[[Ask], Reply]


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with LlmServer() as running:
        yield running


@dataclass(frozen=True)
class Question:
    """A request and the check of its answer."""

    request: LlmRequest
    check: Callable[[str], Findings]


def question(number: int = 1, **changed: Any) -> Question:
    """What the pipeline would ask about the gym `number`; `changed` replaces fields of the request."""
    bundle = Bundle(
        place_id=f"gym-{number}",
        gym={"name": f"Salle {number}", "city": "Oran"},
        reviews=[BundleReview(f"review-{number}", REVIEW)],
        content_hash="hash",
        reviews_total=1,
        reviews_with_text=1,
        review_tokens=10,
        revision=1,
    )
    variant = CombinedVariant(Endpoint("test", None, SecretStr(API_KEY), MODEL), JUDGE)
    request = variant.alone(bundle)
    return Question(replace(request, **changed), JUDGE.check(prompt.parse, bundle))


def open_gateway(server: LlmServer, database: Database, *, timeout: float = 10.0, **options: Any) -> Gateway:
    transport = OpenAITransport(API_KEY, server.base_url, timeout)
    usual: dict[str, Any] = {"run_id": "run-1", "backoff": FAST}
    return Gateway(transport, database, **usual | options)


def ask(server: LlmServer, database: Database, *questions: Question, **options: Any) -> list[Result]:
    """Ask all at once through one new gateway."""

    async def work() -> list[Result]:
        gateway = open_gateway(server, database, **options)
        try:
            asks = (gateway.ask(question.request, question.check) for question in questions)
            return list(await asyncio.gather(*asks, return_exceptions=True))
        finally:
            await gateway.close()

    return asyncio.run(work())


def answered(result: Result) -> Answer[Findings]:
    if isinstance(result, BaseException):
        raise result
    return result


def failed(result: Result) -> AskFailed:
    assert isinstance(result, AskFailed), result
    return result


def booked(database: Database) -> list[Mapping[str, Any]]:
    with database.read() as connection:
        return [dict(row._mapping) for row in connection.execute(select(ledger).order_by(ledger.c.id))]


def outcomes(database: Database) -> list[str]:
    return [row["outcome"] for row in booked(database)]


def cached_answers(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(llm_cache)).scalar_one()


def first_then_good(reply: Reply) -> Script:
    return lambda ask: reply if ask.number == 1 else good(ask)


# --- cache -----------------------------------------------------------------------------------------------


def test_a_known_answer_makes_no_call_and_costs_nothing(server: LlmServer, database: Database) -> None:
    first = answered(ask(server, database, question())[0])
    again = answered(ask(server, database, question(), run_id="run-2")[0])

    assert len(server.asks) == 1
    assert (first.from_cache, again.from_cache) == (False, True)
    assert again.value == first.value
    assert again.model == first.model == MODEL
    assert first.usage.llm_calls == 1
    assert (again.usage.llm_calls, again.usage.prompt_tokens, again.usage.cost_usd) == (0, 0, 0.0)
    assert [row["run_id"] for row in booked(database)] == ["run-1"]


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": "another server"},
        {"model": "gpt-4o"},
        {"parameters": {"max_completion_tokens": 999}},
        {"parameters": {"max_completion_tokens": prompt.MOST_COMPLETION_TOKENS, "temperature": 0}},
        {"schema": {"type": "object", "description": "changed"}},
        {"schema_name": "another_name"},
        {"messages": [{"role": "system", "content": prompt.INSTRUCTIONS + "."}, *question().request.messages[1:]]},
        {"messages": [*question().request.messages[:1], *question(2).request.messages[1:]]},
    ],
    ids=["endpoint", "model", "parameter value", "parameter", "schema", "schema name", "system prompt", "gym"],
)
def test_whatever_shapes_the_answer_is_part_of_the_cache_key(
    server: LlmServer, sqlite_database: Database, change: Mapping[str, Any]
) -> None:
    ask(server, sqlite_database, question())
    changed = answered(ask(server, sqlite_database, question(**change))[0])

    assert len(server.asks) == 2
    assert not changed.from_cache
    assert cached_answers(sqlite_database) == 2


def test_whom_the_ledger_charges_is_not_part_of_the_cache_key(server: LlmServer, database: Database) -> None:
    ask(server, database, question())
    other = answered(ask(server, database, question(place_id="gym-99", variant="other"))[0])

    assert len(server.asks) == 1
    assert other.from_cache


def test_an_expired_answer_is_asked_for_again_and_replaced(server: LlmServer, database: Database) -> None:
    ask(server, database, question(), cache_ttl_seconds=3600)
    with database.write() as connection:
        created, expires = connection.execute(select(llm_cache.c.created_at, llm_cache.c.expires_at)).one()
        connection.execute(update(llm_cache).values(expires_at=datetime.now(UTC) - timedelta(milliseconds=1)))
    assert expires - created == timedelta(hours=1)

    again = answered(ask(server, database, question(), cache_ttl_seconds=3600)[0])
    third = answered(ask(server, database, question(), cache_ttl_seconds=3600)[0])

    assert (again.from_cache, third.from_cache) == (False, True)
    assert len(server.asks) == 2
    assert cached_answers(database) == 1


def test_a_ttl_of_zero_switches_cache_and_single_flight_off(server: LlmServer, database: Database) -> None:
    results = ask(server, database, question(), question(), cache_ttl_seconds=0)
    results += ask(server, database, question(), cache_ttl_seconds=0)

    assert [answered(result).from_cache for result in results] == [False] * 3
    assert len(server.asks) == 3
    assert cached_answers(database) == 0
    assert outcomes(database) == ["ok"] * 3


def test_a_ttl_of_zero_does_not_serve_what_an_earlier_run_cached(server: LlmServer, sqlite_database: Database) -> None:
    ask(server, sqlite_database, question())
    assert not answered(ask(server, sqlite_database, question(), cache_ttl_seconds=0)[0]).from_cache


@pytest.mark.parametrize(
    ("reply", "calls"),
    [
        (Reply(status=500), 2),
        (Reply(status=400), 1),
        (Reply(good_content(), finish_reason="content_filter"), 1),
        (Reply(good_content(), refusal="No."), 1),
        (Reply(good_content(), finish_reason="length"), 2),
        (Reply("not JSON"), 2),
    ],
    ids=["server error", "bad request", "content filter", "refusal", "cut", "invalid"],
)
def test_a_failure_is_never_cached(server: LlmServer, sqlite_database: Database, reply: Reply, calls: int) -> None:
    server.script = lambda _: reply
    failed(ask(server, sqlite_database, question(), max_attempts=2)[0])
    assert len(server.asks) == calls
    assert cached_answers(sqlite_database) == 0

    server.script = good
    assert not answered(ask(server, sqlite_database, question(), max_attempts=2)[0]).from_cache
    assert len(server.asks) == calls + 1


def test_a_cached_answer_that_a_stricter_rule_refuses_is_asked_for_anew(server: LlmServer, database: Database) -> None:
    server.script = lambda ask: Reply(good_content("Ancienne" if ask.number == 1 else "Nouvelle"))
    ask(server, database, question())

    def stricter(answer: str) -> Findings:
        if "Ancienne" in answer:
            raise AnswerRejected(["too old"])
        return question().check(answer)

    found = answered(ask(server, database, replace(question(), check=stricter))[0])

    assert found.value.description.startswith("Nouvelle")
    assert len(server.asks) == 2
    assert answered(ask(server, database, replace(question(), check=stricter))[0]).from_cache


# --- single flight and concurrency -----------------------------------------------------------------------


def test_equal_requests_at_once_make_one_call(server: LlmServer, database: Database) -> None:
    server.script = lambda _: Reply(good_content(), delay=0.1)
    results = [answered(result) for result in ask(server, database, *[question()] * 20)]

    assert len(server.asks) == 1
    assert sum(result.usage.llm_calls for result in results) == 1
    assert sum(result.from_cache for result in results) == 19
    assert len({result.value.description for result in results}) == 1
    assert len(booked(database)) == 1


def test_equal_requests_at_once_fail_together_after_one_series_of_attempts(
    server: LlmServer, database: Database
) -> None:
    server.script = lambda _: Reply(status=500, delay=0.05)
    results = [failed(result) for result in ask(server, database, *[question()] * 5, max_attempts=2)]

    assert len(server.asks) == 2
    assert {result.kind for result in results} == {ErrorKind.SERVER_ERROR}


def test_those_who_waited_for_a_failure_are_not_charged_for_it_again(server: LlmServer, database: Database) -> None:
    server.script = lambda _: Reply(good_content(), refusal="No.", delay=0.05)
    results = [failed(result) for result in ask(server, database, *[question()] * 5)]

    assert len(server.asks) == 1
    assert sum(result.usage.llm_calls for result in results) == 1
    assert sum(result.usage.cost_usd for result in results) == pytest.approx(COST)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_never_more_calls_in_flight_than_allowed_and_never_fewer_while_there_is_work(
    server: LlmServer, database: Database, concurrency: int
) -> None:
    server.script = lambda _: Reply(good_content(), delay=0.15)
    results = ask(server, database, *map(question, range(12)), concurrency=concurrency)

    assert len([answered(result) for result in results]) == len(server.asks) == 12
    assert server.most_in_flight == concurrency


def test_who_waits_for_a_retry_leaves_its_place_to_others(server: LlmServer, database: Database) -> None:
    retry = Reply(status=429, headers={"retry-after-ms": "3000"})
    server.script = lambda ask: retry if (ask.name, ask.number) == ("Salle 1", 1) else good(ask)
    ask(server, database, *map(question, range(1, 9)), concurrency=1)

    assert server.names() == ["Salle 1", *(f"Salle {n}" for n in range(2, 9)), "Salle 1"]


@contextmanager
def writes_held_up(database: Database) -> Iterator[None]:
    """While this lasts, no other transaction can book a call."""
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("LOCK TABLE ledger, llm_cache IN SHARE ROW EXCLUSIVE MODE"))
        yield


def test_what_a_crash_could_lose_is_never_more_than_the_calls_allowed_at_once(
    server: LlmServer, database: Database
) -> None:
    """Answers that are paid for and not durable yet count as in flight: else `kill -9` loses more than that."""
    fourth = threading.Event()

    def script(ask: Ask) -> Reply:
        if len(server.asks) == 4:
            fourth.set()
        return good(ask)

    server.script = script
    results: list[Result] = []
    asking = threading.Thread(
        target=lambda: results.extend(ask(server, database, *map(question, range(12)), concurrency=3))
    )
    with writes_held_up(database):
        asking.start()
        too_many = fourth.wait(1.0)
    asking.join()

    assert len([answered(result) for result in results]) == 12
    assert not too_many, "a fourth call was made while the first three answers were in memory only"


# --- every error condition -------------------------------------------------------------------------------

RETRIED = {
    "connection dropped": (Reply(drop=True), ErrorKind.CONNECTION),
    "no answer in time": (Reply(good_content(), delay=30.0), ErrorKind.TIMEOUT),
    "408": (Reply(status=408), ErrorKind.TIMEOUT),
    "409": (Reply(status=409), ErrorKind.CONFLICT),
    "429": (Reply(status=429, error_code="rate_limit_exceeded"), ErrorKind.RATE_LIMITED),
    "500": (Reply(status=500), ErrorKind.SERVER_ERROR),
    "502 with a page": (Reply(status=502, raw=b"<html>Bad gateway</html>"), ErrorKind.SERVER_ERROR),
    "503": (Reply(status=503), ErrorKind.SERVER_ERROR),
    "empty content": (Reply(""), ErrorKind.EMPTY),
    "blank content": (Reply(" \n"), ErrorKind.EMPTY),
    "a page instead of JSON": (Reply(raw=b"<html>Please log in</html>"), ErrorKind.SERVER_ERROR),
    "JSON of another kind": (Reply(raw=b'{"detail": "hello"}'), ErrorKind.SERVER_ERROR),
    "no choices": (Reply(raw=b'{"choices": []}'), ErrorKind.SERVER_ERROR),
    "null": (Reply(raw=b"null"), ErrorKind.SERVER_ERROR),
}


@pytest.mark.parametrize(("reply", "kind"), RETRIED.values(), ids=RETRIED)
def test_a_transient_error_is_retried(server: LlmServer, database: Database, reply: Reply, kind: ErrorKind) -> None:
    server.script = first_then_good(reply)
    found = answered(ask(server, database, question(), timeout=1.0)[0])

    assert len(server.asks) == found.usage.llm_calls == 2
    assert server.asks[0].body == server.asks[1].body
    assert outcomes(database) == [kind, "ok"]
    assert [row["attempt"] for row in booked(database)] == [1, 2]


@pytest.mark.parametrize(("reply", "kind"), RETRIED.values(), ids=RETRIED)
def test_a_transient_error_that_stays_fails_the_gym_after_the_last_attempt(
    server: LlmServer, sqlite_database: Database, reply: Reply, kind: ErrorKind
) -> None:
    server.script = lambda ask: reply if ask.name == "Salle 1" else good(ask)
    result, neighbour = ask(server, sqlite_database, question(1), question(2), max_attempts=2, timeout=1.0)

    assert failed(result).kind == kind
    assert failed(result).usage.llm_calls == 2
    assert server.names().count("Salle 1") == 2
    assert answered(neighbour).usage.llm_calls == 1


GYM_FAILS = {
    "400": (Reply(status=400), ErrorKind.BAD_REQUEST),
    "422": (Reply(status=422), ErrorKind.BAD_REQUEST),
    "400 context_length_exceeded": (
        Reply(status=400, error_code="context_length_exceeded"),
        ErrorKind.CONTEXT_OVERFLOW,
    ),
    "400 content_filter": (Reply(status=400, error_code="content_filter"), ErrorKind.CONTENT_FILTER),
    "413": (Reply(status=413), ErrorKind.TOO_LARGE),
    "finish_reason content_filter": (Reply("{", finish_reason="content_filter"), ErrorKind.CONTENT_FILTER),
    "refusal": (Reply("", refusal="I cannot help with that."), ErrorKind.REFUSAL),
}


@pytest.mark.parametrize(("reply", "kind"), GYM_FAILS.values(), ids=GYM_FAILS)
def test_an_error_that_no_repetition_mends_fails_its_gym_at_once_and_no_other(
    server: LlmServer, database: Database, reply: Reply, kind: ErrorKind
) -> None:
    server.script = lambda ask: reply if ask.name == "Salle 1" else good(ask)
    result, neighbour = ask(server, database, question(1), question(2))

    assert failed(result).kind == kind
    assert sorted(server.names()) == ["Salle 1", "Salle 2"]
    assert answered(neighbour).usage.llm_calls == 1
    assert sorted(outcomes(database)) == sorted([kind, "ok"])


RUN_STOPS = {
    "401": (Reply(status=401), ErrorKind.UNAUTHORIZED, "OPENAI_API_KEY"),
    "403": (Reply(status=403), ErrorKind.FORBIDDEN, "GYM_LLM_MODEL"),
    "404": (Reply(status=404), ErrorKind.MODEL_NOT_FOUND, "OPENAI_BASE_URL"),
    "404 model_not_found": (
        Reply(status=404, error_code="model_not_found"),
        ErrorKind.MODEL_NOT_FOUND,
        "GYM_LLM_MODEL",
    ),
    "429 insufficient_quota": (
        Reply(status=429, error_code="insufficient_quota", headers={"retry-after": "60"}),
        ErrorKind.QUOTA_EXHAUSTED,
        "billing",
    ),
}


@pytest.mark.parametrize(("reply", "kind", "advice"), RUN_STOPS.values(), ids=RUN_STOPS)
def test_an_error_of_the_configuration_stops_the_run_and_says_what_to_mend(
    server: LlmServer, database: Database, reply: Reply, kind: ErrorKind, advice: str
) -> None:
    server.script = lambda _: reply
    (result,) = ask(server, database, question())

    assert isinstance(result, RunStopped)
    assert result.kind == kind
    assert advice in str(result)
    assert len(server.asks) == 1
    assert outcomes(database) == [kind]


def test_nobody_listening_is_a_connection_error(database: Database) -> None:
    with LlmServer() as gone:
        pass
    assert failed(ask(gone, database, question(), max_attempts=2)[0]).kind == ErrorKind.CONNECTION
    assert outcomes(database) == [ErrorKind.CONNECTION] * 2


def test_an_answer_that_breaks_off_is_retried(database: Database) -> None:
    """The header promises more than comes before the connection closes."""

    async def half_an_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"
        writer.write(head + b'{"choices": [{"message"')
        await writer.drain()
        writer.close()

    async def work() -> Result:
        listener = await asyncio.start_server(half_an_answer, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        transport = OpenAITransport(API_KEY, f"http://127.0.0.1:{port}/v1", 5.0)
        gateway = Gateway(transport, database, run_id="run-1", max_attempts=2, backoff=FAST)
        try:
            (result,) = await asyncio.gather(gateway.ask(question().request, question().check), return_exceptions=True)
            return result
        finally:
            await gateway.close()
            listener.close()

    assert failed(asyncio.run(work())).kind == ErrorKind.CONNECTION
    assert outcomes(database) == [ErrorKind.CONNECTION] * 2


# --- send back -------------------------------------------------------------------------------------------

BROKEN = {
    "not JSON": ("no JSON at all", "not valid JSON"),
    "JSON of another shape": ('{"description": 5}', "description"),
    "a list": ("[]", "the answer"),
    "two sentences": (good_content().replace(" La salle se trouve au rez-de-chaussée.", ""), "2 sentences"),
    "a price": (good_content().replace("ouverte à tous", "à 30 €"), "price"),
    "eleven amenities": (
        json.dumps(
            json.loads(good_content()) | {"amenities": [{"name": f"Amenity {n}", "reviews": []} for n in range(11)]}
        ),
        "at most 10",
    ),
}
MALFORMED = ("no JSON at all", '{"description": 5}', "[]")


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN)
def test_an_answer_against_a_rule_is_sent_back_once_with_the_reason(
    server: LlmServer, sqlite_database: Database, content: str, reason: str
) -> None:
    server.script = first_then_good(Reply(content))
    found = answered(ask(server, sqlite_database, question())[0])

    first, second = (ask.body["messages"] for ask in server.asks)
    assert second[: len(first)] == first
    assistant, user = second[len(first) :]
    assert assistant == {"role": "assistant", "content": content}
    assert user["role"] == "user"
    assert user["content"].startswith(SEND_BACK_NOTE)
    assert reason in user["content"]
    assert found.usage.llm_calls == 2
    assert outcomes(sqlite_database) == [ErrorKind.INVALID_ANSWER, "ok"]


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN)
def test_an_answer_that_stays_against_a_rule_fails_the_gym_with_the_reason(
    server: LlmServer, sqlite_database: Database, content: str, reason: str
) -> None:
    server.script = lambda _: Reply(content)
    result = failed(ask(server, sqlite_database, question())[0])

    assert result.kind == ErrorKind.INVALID_ANSWER
    assert reason in str(result)
    calls = MOST_UNFINISHED if content in MALFORMED else 2
    assert outcomes(sqlite_database) == [ErrorKind.INVALID_ANSWER] * calls
    assert len(server.asks) == calls


def test_an_answer_that_only_claims_too_much_is_sent_back_once_and_then_taken_without_the_claim(
    server: LlmServer, database: Database
) -> None:
    claims = good_content().replace('"has_women_hours": false', '"has_women_hours": true')
    server.script = lambda _: Reply(claims.replace("de vestiaires.", "de vestiaires. Une piscine s'y trouve."))
    found = answered(ask(server, database, question())[0])

    reasons = server.asks[1].body["messages"][-1]["content"]
    assert "women_hours_reviews" in reasons
    assert "'Piscine', which the reviews do not show" in reasons
    assert (found.value.women.verdict, found.value.description_status) == ("unknown", "repaired")
    assert "piscine" not in found.value.description
    assert outcomes(database) == [ErrorKind.INVALID_ANSWER, "ok"]

    assert answered(ask(server, database, question())[0]).value == found.value
    assert len(server.asks) == 2


def test_what_is_no_json_after_its_reasons_were_named_is_asked_anew_from_the_beginning(
    server: LlmServer, database: Database
) -> None:
    script = {1: Reply("no JSON"), 2: Reply("no JSON either"), 3: Reply(good_content())}
    server.script = lambda ask: script[ask.number]
    answered(ask(server, database, question())[0])

    assert server.asks[2].body == server.asks[0].body


def test_an_accident_of_each_kind_has_its_own_chances(server: LlmServer, database: Database) -> None:
    cut = Reply('{"descr', finish_reason="length")
    script = {1: cut, 2: Reply("no JSON"), 3: Reply(status=500), 4: cut, 5: Reply(good_content())}
    server.script = lambda ask: script[ask.number]
    answered(ask(server, database, question())[0])

    limits = [ask.body["max_completion_tokens"] for ask in server.asks]
    assert limits == [prompt.MOST_COMPLETION_TOKENS] + [2 * prompt.MOST_COMPLETION_TOKENS] * 4


def test_a_mended_answer_is_what_the_cache_serves(server: LlmServer, database: Database) -> None:
    server.script = first_then_good(Reply("no JSON"))
    ask(server, database, question())

    assert answered(ask(server, database, question())[0]).from_cache
    assert len(server.asks) == 2


def test_a_cut_answer_is_asked_for_once_more_with_twice_the_limit(server: LlmServer, database: Database) -> None:
    server.script = first_then_good(Reply('{"descr', finish_reason="length"))
    answered(ask(server, database, question())[0])

    limits = [ask.body["max_completion_tokens"] for ask in server.asks]
    assert limits == [prompt.MOST_COMPLETION_TOKENS, 2 * prompt.MOST_COMPLETION_TOKENS]
    assert server.asks[0].body["messages"] == server.asks[1].body["messages"]
    assert outcomes(database) == [ErrorKind.TRUNCATED, "ok"]


def test_an_answer_that_fills_twice_the_limit_too_fails_the_gym(server: LlmServer, database: Database) -> None:
    full = {"prompt_tokens": 1000, "completion_tokens": 2 * prompt.MOST_COMPLETION_TOKENS}
    server.script = lambda _: Reply('{"descr', finish_reason="length", usage=full)

    assert failed(ask(server, database, question())[0]).kind == ErrorKind.TRUNCATED
    assert len(server.asks) == 2


def test_an_answer_that_is_cut_before_its_limit_is_asked_for_a_few_times(server: LlmServer, database: Database) -> None:
    server.script = lambda _: Reply('{"descr', finish_reason="length")

    assert failed(ask(server, database, question())[0]).kind == ErrorKind.TRUNCATED
    assert len(server.asks) == MOST_UNFINISHED


def test_a_transient_error_after_a_send_back_is_retried_with_the_reasons_still_named(
    server: LlmServer, database: Database
) -> None:
    script = {1: Reply("no JSON"), 2: Reply(status=503), 3: Reply(good_content())}
    server.script = lambda ask: script[ask.number]
    answered(ask(server, database, question())[0])

    assert server.asks[1].body == server.asks[2].body
    assert len(server.asks[2].body["messages"]) == 4


# --- answers that no honest server gives -----------------------------------------------------------------


def _raw(**message: Any) -> bytes:
    return json.dumps({"model": "m", "choices": [{"message": message, "finish_reason": "stop"}]}).encode()


HOSTILE = {
    "code with nul": Reply(status=400, error_code="a\x00b"),
    "code of half a character": Reply(status=400, error_code="\ud800"),
    "content is a list": Reply(raw=_raw(content=[{"type": "text", "text": good_content()}])),
    "content is a number": Reply(raw=_raw(content=5)),
    "content has half a character": Reply("\ud800"),
    "content has NUL": Reply("\x00"),
    "negative usage": Reply(good_content(), usage={"prompt_tokens": -5, "completion_tokens": 1}),
    "endless usage": Reply(good_content(), usage={"prompt_tokens": 10**12, "completion_tokens": 1}),
    "infinite usage": Reply(
        raw=_raw(content=good_content()).replace(b'"model"', b'"usage": {"prompt_tokens": Infinity}, "model"')
    ),
    "usage is a list": Reply(raw=_raw(content=good_content()).replace(b'"model"', b'"usage": [1], "model"')),
    "model has NUL": Reply(raw=_raw(content=good_content()).replace(b'"m"', b'"m\\u0000"')),
    "nested without end": Reply(raw=b"[" * 100_000),
    "retry after infinity": Reply(status=429, headers={"retry-after": "inf"}),
    "retry after nothing": Reply(status=429, headers={"retry-after": "nan"}),
    "retry after a riddle": Reply(status=429, headers={"retry-after": "soon", "retry-after-ms": "?"}),
    "an endless error code": Reply(status=400, error_code="x" * 10_000),
}


@pytest.mark.parametrize("reply", HOSTILE.values(), ids=HOSTILE)
def test_whatever_a_server_says_harms_only_the_gym_it_was_said_about(
    server: LlmServer, database: Database, reply: Reply
) -> None:
    server.script = lambda ask: reply if ask.name == "Salle 1" else Reply(good_content(), delay=0.05)

    async def work() -> list[Result]:
        gateway = open_gateway(server, database, max_attempts=2)
        try:
            asks = [
                asyncio.create_task(gateway.ask(found.request, found.check)) for found in (question(1), question(2))
            ]
            _, pending = await asyncio.wait(asks, timeout=30)
            for task in pending:
                task.cancel()
            await asyncio.gather(*asks, return_exceptions=True)
            assert not pending, "an ask hangs"
            return [task.exception() or task.result() for task in asks]
        finally:
            await gateway.close()

    result, neighbour = asyncio.run(work())

    assert isinstance(result, Answer | AskFailed), repr(result)
    assert answered(neighbour).usage.llm_calls == 1


# --- waiting ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [{"Retry-After": "0.3"}, {"retry-after-ms": "300"}, {"retry-after-ms": "300", "Retry-After": "20"}],
    ids=["seconds", "milliseconds", "milliseconds before seconds"],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_that_the_server_asks_for_is_kept(
    server: LlmServer, sqlite_database: Database, headers: Mapping[str, str], status: int
) -> None:
    server.script = first_then_good(Reply(status=status, headers=headers))
    answered(ask(server, sqlite_database, question())[0])

    first, second = server.asks
    assert 0.3 <= second.at - first.at < 5


def test_the_date_that_the_server_names_is_waited_for(server: LlmServer, sqlite_database: Database) -> None:
    moments: list[float] = []

    def script(ask: Ask) -> Reply:
        moments.append(time.time())
        if ask.number > 1:
            return good(ask)
        date = email.utils.formatdate(int(moments[0]) + 2, usegmt=True)
        return Reply(status=429, headers={"Retry-After": date})

    server.script = script
    answered(ask(server, sqlite_database, question())[0])

    assert int(moments[0]) + 2 <= moments[1] < moments[0] + 6


def test_a_date_that_has_passed_means_no_wait(server: LlmServer, sqlite_database: Database) -> None:
    date = email.utils.formatdate(time.time() - 3600, usegmt=True)
    server.script = first_then_good(Reply(status=429, headers={"Retry-After": date}))
    answered(ask(server, sqlite_database, question())[0])

    assert server.asks[1].at - server.asks[0].at < 3


def test_without_a_word_from_the_server_the_waits_stay_below_the_backoffs_bounds(
    server: LlmServer, sqlite_database: Database
) -> None:
    server.script = lambda ask: Reply(status=500) if ask.number < 5 else good(ask)
    answered(ask(server, sqlite_database, question())[0])

    assert len(server.asks) == 5
    # Four waits of at most 0.01 + 0.02 + 0.04 + 0.05 seconds, the rest is work.
    assert server.asks[-1].at - server.asks[0].at < 3


# --- ledger ----------------------------------------------------------------------------------------------


def test_every_attempt_is_a_row_with_what_it_took(server: LlmServer, database: Database) -> None:
    usual = {"prompt_tokens": 1000, "completion_tokens": 100}
    script = {
        1: Reply(status=500, delay=0.05),
        2: Reply("no JSON", delay=0.1),
        3: Reply(good_content(), delay=0.05, usage=usual),
    }
    server.script = lambda ask: script[ask.number]
    before = datetime.now(UTC)
    found = answered(ask(server, database, question(), run_id="run-7")[0])
    after = datetime.now(UTC)

    rows = booked(database)
    assert [row["outcome"] for row in rows] == ["server_error", "invalid_answer", "ok"]
    assert [row["attempt"] for row in rows] == [1, 2, 3]
    assert [row["http_status"] for row in rows] == [500, 200, 200]
    assert [row["prompt_tokens"] for row in rows] == [0, 1000, 1000]
    assert [row["completion_tokens"] for row in rows] == [0, 100, 100]
    assert [row["cost_usd"] for row in rows] == pytest.approx([0.0, COST, COST])
    for row, delay in zip(rows, (0.05, 0.1, 0.05), strict=True):
        assert delay <= row["latency_seconds"] < delay + 1.0
        assert before <= row["started_at"] <= after
        assert row["fingerprint"] == question().request.fingerprint
        assert (row["run_id"], row["place_id"], row["variant"]) == ("run-7", "gym-1", "combined")
        assert row["model"] == MODEL
    assert found.usage.prompt_tokens == 2000
    assert found.usage.completion_tokens == 200
    assert found.usage.cost_usd == pytest.approx(2 * COST)


def test_tokens_that_the_server_had_cached_cost_less(server: LlmServer, database: Database) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 800}}
    body = {"model": MODEL, "choices": [{"message": {"content": good_content()}, "finish_reason": "stop"}]}
    server.script = lambda _: Reply(raw=json.dumps(body | {"usage": usage}).encode())
    found = answered(ask(server, database, question())[0])

    (row,) = booked(database)
    assert row["cached_tokens"] == 800
    assert row["cost_usd"] == pytest.approx(200 * 0.15e-6 + 800 * 0.075e-6 + 100 * 0.6e-6)
    assert found.usage.cost_usd == row["cost_usd"]


def test_the_tokens_of_a_server_that_counts_none_are_counted_here(server: LlmServer, database: Database) -> None:
    server.script = lambda _: Reply(good_content(), usage=None)
    found = answered(ask(server, database, question())[0])

    (row,) = booked(database)
    asked = sum(count_tokens(message["content"]) for message in server.asks[0].body["messages"])
    assert (row["prompt_tokens"], row["completion_tokens"]) == (asked, count_tokens(good_content()))
    assert row["cost_usd"] == found.usage.cost_usd > 0


def test_the_latency_does_not_count_the_wait_for_a_free_place(server: LlmServer, sqlite_database: Database) -> None:
    server.script = lambda _: Reply(good_content(), delay=0.5)
    ask(server, sqlite_database, *map(question, range(6)), concurrency=1)

    # The last of them waited for two and a half seconds.
    assert all(0.5 <= row["latency_seconds"] < 2.5 for row in booked(sqlite_database))


def test_the_sums_of_the_ledger_are_the_usage_and_the_statistics(server: LlmServer, database: Database) -> None:
    """Forty gyms, every kind of end among them."""
    ends: Sequence[Callable[[Ask], Reply]] = [
        good,
        first_then_good(Reply(status=500)),
        first_then_good(Reply("no JSON")),
        first_then_good(Reply("{", finish_reason="length")),
        lambda _: Reply(good_content(), refusal="No."),
        lambda _: Reply(status=503),
        lambda _: Reply("no JSON"),
        lambda _: Reply(status=400),
    ]
    server.script = lambda ask: ends[int(ask.name.split()[1]) % len(ends)](ask)

    async def work() -> tuple[list[Result], Gateway]:
        gateway = open_gateway(server, database, max_attempts=2)
        asks = (gateway.ask(found.request, found.check) for found in map(question, range(40)))
        results = list(await asyncio.gather(*asks, return_exceptions=True))
        await gateway.close()
        return results, gateway

    results, gateway = asyncio.run(work())
    usages = [failed(r).usage if isinstance(r, BaseException) else answered(r).usage for r in results]
    rows = booked(database)

    # Calls a gym in the order of `ends`, and those of them that the server counted tokens for.
    assert len(rows) == len(server.asks) == 5 * (1 + 2 + 2 + 2 + 1 + 2 + 2 + 1)
    assert sum(row["prompt_tokens"] for row in rows) == 5 * (1 + 1 + 2 + 2 + 1 + 0 + 2 + 0) * 1000
    assert sum(usage.llm_calls for usage in usages) == gateway.stats.llm_calls == len(rows)
    for name in ("prompt_tokens", "completion_tokens"):
        in_ledger = sum(row[name] for row in rows)
        assert sum(getattr(usage, name) for usage in usages) == getattr(gateway.stats, name) == in_ledger
    in_ledger = sum(row["cost_usd"] for row in rows)
    assert sum(usage.cost_usd for usage in usages) == pytest.approx(in_ledger)
    assert gateway.stats.cost_usd == pytest.approx(in_ledger)
    assert gateway.stats.asked == 40
    assert gateway.stats.in_flight == 0


# --- secrets ---------------------------------------------------------------------------------------------

INDISCREET = {
    f"{status}": Reply(status=status, error_message=f"wrong key {API_KEY} for {REVIEW}")
    for status in (400, 401, 403, 404, 413, 429, 500)
} | {
    "invalid answer": Reply(json.dumps({"description": REVIEW, "amenities": [REVIEW], "key": API_KEY})),
    "not JSON": Reply(f"{REVIEW} {API_KEY}"),
    "refusal": Reply("", refusal=f"I will not say {REVIEW} {API_KEY}"),
    "cut": Reply(f'{{"description": "{REVIEW} {API_KEY}', finish_reason="length"),
    "not a chat completion": Reply(raw=f"{REVIEW} {API_KEY}".encode()),
}


@pytest.mark.parametrize("reply", INDISCREET.values(), ids=INDISCREET)
def test_neither_errors_nor_the_ledger_repeat_the_key_or_a_review(
    server: LlmServer, sqlite_database: Database, reply: Reply
) -> None:
    server.script = lambda _: reply
    (result,) = ask(server, sqlite_database, question(), max_attempts=1)

    assert isinstance(result, AskFailed | RunStopped)
    told = f"{result!s} {result!r} {result.args} {booked(sqlite_database)}"
    assert API_KEY not in told
    assert REVIEW not in told


@pytest.mark.parametrize("reply", INDISCREET.values(), ids=INDISCREET)
def test_not_even_a_traceback_repeats_the_key_or_a_review(
    server: LlmServer, sqlite_database: Database, reply: Reply
) -> None:
    server.script = lambda _: reply
    (result,) = ask(server, sqlite_database, question(), max_attempts=1)

    assert isinstance(result, AskFailed | RunStopped)
    told = "".join(traceback.format_exception(result))
    assert API_KEY not in told
    assert REVIEW not in told


def test_a_transport_does_not_show_its_key() -> None:
    assert API_KEY not in repr(vars(OpenAITransport(API_KEY, "http://127.0.0.1:1/v1", 1.0)))
