"""The Batch API at half the price: the real client against two real servers that share no code, on both databases."""

import asyncio
import json
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr
from sqlalchemy import delete, func, select, update

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.domain.findings import Findings
from gym_enrichment.domain.models import Bundle, BundleReview
from gym_enrichment.llm.batch_api import BatchTransport
from gym_enrichment.llm.batch_client import SUBMISSION, BatchClient
from gym_enrichment.llm.chances import SEND_BACK_NOTE
from gym_enrichment.llm.endpoint import Endpoint, describe_endpoint
from gym_enrichment.llm.errors import RunStopped
from gym_enrichment.llm.gateway import Backoff, Gateway
from gym_enrichment.llm.offline.server import build_app
from gym_enrichment.llm.pricing import BATCH_FACTOR, price_from_settings, price_of
from gym_enrichment.llm.requests import Answer, AskFailed, LlmRequest
from gym_enrichment.pipeline.bundling import build_bundles
from gym_enrichment.pipeline.enriching.combined import CombinedVariant
from gym_enrichment.pipeline.enriching.enricher import Enricher, Progress
from gym_enrichment.pipeline.enriching.judging import Judge
from gym_enrichment.prompts import combined as prompt
from gym_enrichment.settings import Settings, load_settings
from gym_enrichment.storage import llm_batches as rows
from gym_enrichment.storage.batches import assign_batches
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_admission import Terms, find_budgets
from gym_enrichment.storage.llm_batches import custom_id_of
from gym_enrichment.storage.tables import ledger, llm_batch_requests, llm_batches, llm_leases
from gym_enrichment_tests.batch_server import ApiBatch, BatchServer, End, Line, name_of
from gym_enrichment_tests.llm_server import good_content
from gym_enrichment_tests.processes import processes
from gym_enrichment_tests.raw_data import ingest_gyms

JUDGE = Judge(Vocabulary.default())

MODEL = "gpt-4o-mini"
FULL_COST = 600 * 0.15e-6 + 400 * 0.075e-6 + 100 * 0.60e-6
GYMS = 10

Result = Answer[Findings] | BaseException


@dataclass(frozen=True)
class Question:
    request: LlmRequest
    check: Callable[[str], Findings]


def question(number: int) -> Question:
    bundle = Bundle(
        place_id=f"gym-{number}",
        gym={"name": f"Salle {number}", "city": "Oran"},
        reviews=[BundleReview(f"review-{number}", "Le sauna est chaud")],
        content_hash="hash",
        reviews_total=1,
        reviews_with_text=1,
        review_tokens=10,
        revision=1,
    )
    variant = CombinedVariant(Endpoint("test", None, SecretStr("key"), MODEL), JUDGE)
    request = variant.alone(bundle)
    return Question(request, JUDGE.check(prompt.parse, bundle))


def open_gateway(base_url: str, database: Database, *, most: int = 100, patience: float = 5, **options: Any) -> Gateway:
    transport = BatchTransport(
        BatchClient("key", base_url, 10, patience),
        database,
        "test",
        most_requests=most,
        gather_seconds=0.05,
        poll_seconds=0.05,
    )
    usual: dict[str, Any] = {
        "run_id": "run-1",
        "backoff": Backoff(base=0.01, cap=0.02),
        "patience": inf,
        "adaptive": False,
        "concurrency": 1_000,
        "prices": half_price,
    }
    return Gateway(transport, database, **usual | options)


def half_price(model: str) -> Any:
    price = price_of(model)
    assert price is not None
    return price.times(BATCH_FACTOR)


def ask(base_url: str, database: Database, gyms: int = GYMS, **options: Any) -> list[Result]:
    """Ask about all gyms at once through one new gateway."""

    async def work() -> list[Result]:
        gateway = open_gateway(base_url, database, **options)
        try:
            asks = (gateway.ask(one.request, one.check) for one in map(question, range(gyms)))
            return list(await asyncio.gather(*asks, return_exceptions=True))
        finally:
            await gateway.close()

    return asyncio.run(work())


def assert_all_answered(results: list[Result], gyms: int = GYMS) -> None:
    """Each gym got the answer that was given for it."""
    assert len(results) == gyms
    for number, result in enumerate(results):
        assert isinstance(result, Answer), result
        assert result.value.description.startswith(f"Salle {number} ")


def booked(database: Database) -> list[Mapping[str, Any]]:
    with database.read() as connection:
        return [dict(row._mapping) for row in connection.execute(select(ledger).order_by(ledger.c.id))]


def outcomes(database: Database) -> Counter[str]:
    return Counter(row["outcome"] for row in booked(database))


def count(database: Database, table: Any) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def let_half_a_minute_pass(database: Database) -> None:
    """What a crashed process held has run out."""
    with database.write() as connection:
        connection.execute(delete(llm_leases))
        connection.execute(update(llm_batches).values(submitting_until=0))


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer() as running:
        yield running


# --- results -------------------------------------------------------------------------------------------------


def test_results_find_their_gyms_in_any_order_at_half_the_price(server: BatchServer, database: Database) -> None:
    terms = Terms("e", None, None, {"run:run-1": 1.0})
    results = ask(server.base_url, database, terms=terms)

    assert_all_answered(results)
    assert len(server.batches) == 1
    assert set(server.paid.values()) == {1}
    ledger_rows = booked(database)
    assert [row["outcome"] for row in ledger_rows] == ["ok"] * GYMS
    assert {row["cached_tokens"] for row in ledger_rows} == {400}
    assert {round(row["cost_usd"], 12) for row in ledger_rows} == {round(FULL_COST / 2, 12)}
    with database.read() as connection:
        money, reserved = find_budgets(connection, ["run:run-1"])["run:run-1"]
    assert money == pytest.approx(GYMS * FULL_COST / 2, rel=1e-4)
    assert reserved == 0
    assert count(database, llm_batch_requests) == 0


def test_what_a_budget_holds_back_goes_into_the_next_batch(server: BatchServer, sqlite_database: Database) -> None:
    """Worst cases of all gyms do not fit at once, what they cost does: nobody is skipped, and never above the cap."""
    one = question(0).request.payload
    worst = half_price(MODEL).cost(len(one.content), 0, one.completion_limit)
    terms = Terms("e", None, None, {"run:run-1": 6.5 * worst})
    assert_all_answered(ask(server.base_url, sqlite_database, terms=terms))
    assert len(server.batches) > 1
    assert set(server.paid.values()) == {1}


def test_the_submission_is_named_in_the_metadata_and_saved_with_the_batch(
    server: BatchServer, database: Database
) -> None:
    ask(server.base_url, database)
    with database.read() as connection:
        [row] = connection.execute(select(llm_batches)).all()
    assert server.batches[row.batch_id].metadata == {SUBMISSION: row.submission}
    assert row.requests == GYMS


def test_a_second_run_sends_nothing(server: BatchServer, database: Database) -> None:
    ask(server.base_url, database)
    calls = server.calls.copy()
    again = ask(server.base_url, database, run_id="run-2")
    assert_all_answered(again)
    assert all(isinstance(result, Answer) and result.from_cache for result in again)
    assert server.calls == calls


def test_more_requests_than_a_batch_holds_make_several(server: BatchServer, database: Database) -> None:
    assert_all_answered(ask(server.base_url, database, most=4))
    assert sorted(len(batch.lines) for batch in server.batches.values()) == [2, 4, 4]


@pytest.mark.parametrize(
    ("first", "outcome"),
    [
        (Line(good_content("x"), lost=True), "server_error"),
        (Line(status=500), "server_error"),
        (Line(status=429, code="rate_limit_exceeded"), "rate_limited"),
        (Line(unanswered="batch_expired"), "server_error"),
        (Line(content=""), "empty"),
    ],
    ids=["short output", "500", "429", "not executed", "empty"],
)
def test_what_a_batch_did_not_answer_is_asked_again(
    server: BatchServer, database: Database, first: Line, outcome: str
) -> None:
    def line(_batch: ApiBatch, body: dict[str, Any], before: int) -> Line:
        name = name_of(body)
        return first if name in {"Salle 3", "Salle 7"} and before == 0 else Line(good_content(name))

    server.plan.line = line
    assert_all_answered(ask(server.base_url, database))
    assert outcomes(database) == {"ok": GYMS, outcome: 2}
    assert server.asked == {f"Salle {n}": 2 if n in {3, 7} else 1 for n in range(GYMS)}
    assert count(database, llm_batch_requests) == 0


@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_a_batch_that_ends_early_is_taken_over(server: BatchServer, database: Database, status: str) -> None:
    server.plan.end = lambda batch: End(status if batch.number == 1 else "completed")

    def line(batch: ApiBatch, body: dict[str, Any], _before: int) -> Line:
        late = batch.number == 1 and int(name_of(body)[6:]) >= 4
        return Line(unanswered=f"batch_{status}") if late else Line(good_content(name_of(body)))

    server.plan.line = line
    assert_all_answered(ask(server.base_url, database))
    assert set(server.paid.values()) == {1}
    assert len(server.batches) == 2


def test_an_invalid_answer_is_sent_back_once_with_the_reasons(server: BatchServer, database: Database) -> None:
    def line(_batch: ApiBatch, body: dict[str, Any], _before: int) -> Line:
        name = name_of(body)
        return Line("{}" if name == "Salle 2" and len(body["messages"]) == 2 else good_content(name))

    server.plan.line = line
    assert_all_answered(ask(server.base_url, database))
    assert outcomes(database) == {"ok": GYMS, "invalid_answer": 1}
    [sent_back] = [body for body in server.bodies if len(body["messages"]) == 4]
    assert sent_back["messages"][-1]["content"].startswith(SEND_BACK_NOTE)


def test_a_line_that_no_repetition_helps_fails_its_gym_alone(server: BatchServer, database: Database) -> None:
    server.plan.line = lambda _batch, body, _before: (
        Line(status=400) if name_of(body) == "Salle 5" else Line(good_content(name_of(body)))
    )
    results = ask(server.base_url, database)
    failure = results.pop(5)
    assert isinstance(failure, AskFailed)
    assert failure.kind == "bad_request"
    assert all(isinstance(result, Answer) for result in results)


# --- whole batches ----------------------------------------------------------------------------------------------


def test_a_full_queue_makes_smaller_batches_one_after_the_other(server: BatchServer, database: Database) -> None:
    limit = ({"code": "token_limit_exceeded", "message": "Enqueued token limit reached"},)

    def end(batch: ApiBatch) -> End:
        open_now = sum(other.ended is None for other in server.batches.values())
        return End("failed", limit) if len(batch.lines) > 3 or open_now > 1 else End()

    server.plan.end = end
    assert_all_answered(ask(server.base_url, database))
    assert set(server.paid.values()) == {1}
    assert outcomes(database) == {"ok": GYMS}


def test_a_refused_line_of_a_refused_batch_fails_alone(server: BatchServer, database: Database) -> None:
    def end(batch: ApiBatch) -> End:
        bad = [n for n, line in enumerate(batch.lines, start=1) if name_of(line["body"]) == "Salle 1"]
        return End("failed", ({"code": "invalid_request", "line": bad[0], "message": "bad"},)) if bad else End()

    server.plan.end = end
    results = ask(server.base_url, database)
    failure = results.pop(1)
    assert isinstance(failure, AskFailed)
    assert all(isinstance(result, Answer) for result in results)


def test_batches_that_are_refused_again_and_again_stop_the_run(server: BatchServer, database: Database) -> None:
    server.plan.end = lambda _: End("failed", ({"code": "unsupported_model", "message": "no"},))
    results = ask(server.base_url, database)
    assert all(isinstance(result, RunStopped) for result in results)
    assert "unsupported_model" in str(results[0])
    assert len(server.batches) == 3


def test_a_server_without_batches_stops_the_run_with_the_advice(database: Database) -> None:
    app = web.Application()
    with served(app) as base_url:
        results = ask(base_url, database)
    assert all(isinstance(result, RunStopped) for result in results)
    assert "GYM_LLM_MODE" in str(results[0])


def test_an_api_that_is_down_stops_the_run_and_the_batch_is_found_again(
    server: BatchServer, database: Database
) -> None:
    server.plan.looks = 3
    results = ask("http://127.0.0.1:9/v1", database, patience=0.2)
    assert all(isinstance(result, RunStopped) for result in results)
    let_half_a_minute_pass(database)
    assert_all_answered(ask(server.base_url, database))
    assert set(server.paid.values()) == {1}


@pytest.mark.parametrize("step", ["upload", "create", "created", "look", "content"])
def test_a_lost_answer_of_the_api_costs_nothing(server: BatchServer, database: Database, step: str) -> None:
    server.plan.drop = {step}
    assert_all_answered(ask(server.base_url, database))
    assert set(server.paid.values()) == {1}
    assert outcomes(database) == {"ok": GYMS}


def test_a_batch_that_the_api_does_not_know_any_more_is_asked_anew(server: BatchServer, database: Database) -> None:
    ids = [found_id(n) for n in range(GYMS)]
    rows.claim_requests(database, "test", "lost", ids)
    rows.save_file(database, "lost", "file-x")
    rows.save_batch(database, "lost", "batch-x")
    assert_all_answered(ask(server.base_url, database))
    assert len(server.batches) == 1


def found_id(number: int) -> str:
    return custom_id_of("test", question(number).request.payload.content)


# --- crashes ----------------------------------------------------------------------------------------------------


def ask_and_check(base_url: str, url: str, search_path: str | None, options: Mapping[str, Any]) -> None:
    """What a process of its own does."""
    assert_all_answered(ask(base_url, Database(url, search_path=search_path), **options))


def start(server: BatchServer, database: Database, **options: Any) -> ForkServerProcess:
    process = processes.Process(
        target=ask_and_check, args=(server.base_url, database.url, database.search_path, options), daemon=True
    )
    process.start()
    return process


@pytest.mark.parametrize("moment", ["upload", "create", "created", "look", "content"])
def test_after_kill_9_the_next_run_pays_for_nothing_again(server: BatchServer, database: Database, moment: str) -> None:
    database.migrate()
    server.plan.hold = moment
    process = start(server, database)
    assert server.held.wait(60)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert count(database, ledger) == 0
    let_half_a_minute_pass(database)

    server.plan.hold = None
    assert_all_answered(ask(server.base_url, database, run_id="run-2"))

    assert len(server.batches) == 1
    assert server.paid == {f"Salle {n}": 1 for n in range(GYMS)}
    assert outcomes(database) == {"ok": GYMS}
    assert count(database, llm_batch_requests) == 0


def leave_a_batch_open(server: BatchServer, database: Database, **options: Any) -> None:
    """A run in batch mode, stopped with Ctrl-C while the provider works on its gyms."""
    server.plan.looks = 1_000_000

    async def begin_and_stop() -> None:
        gateway = open_gateway(server.base_url, database, **options)
        asks = [asyncio.ensure_future(gateway.ask(one.request, one.check)) for one in map(question, range(GYMS))]
        while server.calls["look"] < 2:
            await asyncio.sleep(0.01)
        for task in asks:
            task.cancel()
        await asyncio.gather(*asks, return_exceptions=True)
        await gateway.close()

    asyncio.run(begin_and_stop())
    server.plan.looks = 1


def test_a_stopped_run_goes_on_waiting_for_its_batch(server: BatchServer, database: Database) -> None:
    leave_a_batch_open(server, database)
    # No waiting for leases: a run that was stopped, not killed, gives them back.
    assert_all_answered(ask(server.base_url, database))
    assert len(server.batches) == 1
    assert set(server.paid.values()) == {1}
    assert outcomes(database) == {"ok": GYMS, "cancelled": GYMS}


def test_two_processes_at_once_pay_once(server: BatchServer, database: Database) -> None:
    database.migrate()
    server.plan.looks = 5
    processes = [start(server, database) for _ in range(2)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert server.paid == {f"Salle {n}": 1 for n in range(GYMS)}
    assert outcomes(database) == {"ok": GYMS}


def test_without_leases_two_claims_of_one_request_end_in_one_submission(database: Database) -> None:
    ids = [f"id-{n}" for n in range(500)]
    claims: list[Mapping[str, rows.Submission]] = []

    def claim(name: str, order: list[str]) -> None:
        claims.append(rows.claim_requests(database, "test", name, order))

    database.migrate()
    threads = [threading.Thread(target=claim, args=(f"s{n}", ids[:: 1 - 2 * (n % 2)])) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claims) == 6
    assert {frozenset((key, found.name) for key, found in claim.items()) for claim in claims} == {
        frozenset((key, claims[0][key].name) for key in ids)
    }


# --- the pipeline ----------------------------------------------------------------------------------------------


def settings_for(database: Database, base_url: str, folder: Path, **changed: Any) -> Settings:
    url = database.url
    if database.search_path is not None:
        url += f"?options=-csearch_path%3D{database.search_path}"
    fixed = {
        "GYM_HOME": folder / "home",
        "GYM_DATABASE_URL": url,
        "OPENAI_API_KEY": "test",
        "OPENAI_BASE_URL": base_url,
        "GYM_LLM": "openai",
        "GYM_LLM_MODEL": MODEL,
        "GYM_LLM_MODE": "batch",
        "GYM_LLM_BATCH_POLL": 0.05,
        "GYM_LLM_CONCURRENCY": 1,
    }
    return load_settings(**fixed | changed)


def test_the_enricher_shows_what_waits_and_books_half(server: BatchServer, database: Database, tmp_path: Path) -> None:
    ingest_gyms(database, tmp_path / "source", 30)
    bundles = list(build_bundles(database, assign_batches(database, 10), token_budget=500))
    server.plan.looks = 4
    seen: list[str] = []
    # Also how long it waits for more requests: on a busy machine bundles come slowly.
    settings = settings_for(database, server.base_url, tmp_path, GYM_LLM_BATCH_POLL=1.0)

    def look(progress: Progress) -> None:
        seen.append(progress.line())

    batches = list(Enricher(settings, describe_endpoint(settings), look).enrich(bundles, "run-1"))

    assert sum(len(batch.enrichments) for batch in batches) == 30
    assert sum(batch.cost_usd for batch in batches) == pytest.approx(30 * FULL_COST / 2)
    # All together in one API batch, whatever GYM_LLM_CONCURRENCY says.
    assert [len(batch.lines) for batch in server.batches.values()] == [30]
    assert any("batches: 1 in_progress; 1/30 requests done, 0 failed" in line for line in seen), seen


def test_batch_mode_has_half_of_the_settings_own_price(tmp_path: Path) -> None:
    prices = {"GYM_LLM_PRICE_PROMPT": 2, "GYM_LLM_PRICE_CACHED": 1, "GYM_LLM_PRICE_COMPLETION": 8}
    batch = load_settings(GYM_LLM_MODE="batch", **prices)
    sync = load_settings(GYM_LLM_MODE="sync", **prices)
    half, full = price_from_settings(batch, "m"), price_from_settings(sync, "m")
    assert half is not None
    assert full is not None
    assert half.cost(100, 50, 10) * 2 == full.cost(100, 50, 10) > 0


# --- the offline server -------------------------------------------------------------------------------------------


class served:  # noqa: N801 - reads as a verb
    """An aiohttp application on a free port, in a thread."""

    def __init__(self, app: web.Application) -> None:
        self._runner = web.AppRunner(app, access_log=None)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._runner.setup(), self._loop).result()
        site = asyncio.run_coroutine_threadsafe(self._site(), self._loop).result()
        return f"http://127.0.0.1:{site}/v1"

    async def _site(self) -> int:
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return int(self._runner.addresses[0][1])

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def test_the_offline_server_answers_batches(database: Database) -> None:
    with served(build_app(batch_seconds=0.2)) as base_url:
        assert_all_answered(ask(base_url, database, 40), 40)
    assert outcomes(database) == {"ok": 40}


@pytest.mark.parametrize("seed", [1, 2])
def test_all_is_answered_through_the_offline_servers_faults(database: Database, seed: int) -> None:
    with served(build_app(batch_seconds=0.02, batch_faults=seed)) as base_url:
        results = ask(base_url, database, 60, most=20, max_attempts=20)
    assert_all_answered(results, 60)
    found = outcomes(database)
    assert found["ok"] == 60
    assert found["server_error"] + found["rate_limited"] > 5
    assert count(database, llm_batch_requests) == 0


# --- what is sent ----------------------------------------------------------------------------------------------------


def test_openai_itself_is_told_which_prompts_begin_alike_and_nobody_else() -> None:
    one = question(1).request
    openai_one = replace(one, endpoint="openai", hints=Endpoint("openai", None, SecretStr("k"), MODEL).hints("v1"))
    assert "prompt_cache_key" not in json.loads(one.payload.content)
    assert json.loads(openai_one.payload.content)["prompt_cache_key"] == "v1"
    assert openai_one.fingerprint == replace(openai_one, hints={}).fingerprint
    assert openai_one.fingerprint != one.fingerprint
