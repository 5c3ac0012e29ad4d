"""A run that asks at once, after one that left API batches open: nothing is paid a second time; on both databases."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, update

from gym_enrichment.llm.endpoint import describe_endpoint
from gym_enrichment.llm.errors import ErrorKind
from gym_enrichment.llm.gateway import Backoff, Gateway
from gym_enrichment.llm.openai_transport import OpenAITransport
from gym_enrichment.llm.requests import Answer, AskFailed
from gym_enrichment.pipeline.bundling import build_bundles
from gym_enrichment.pipeline.enriching.enricher import Enricher
from gym_enrichment.storage.batches import assign_batches
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_batches import KEPT
from gym_enrichment.storage.tables import ledger, llm_batches
from gym_enrichment_tests.batch_server import BatchServer
from gym_enrichment_tests.integration.test_batch_api import (
    GYMS,
    Result,
    ask,
    assert_all_answered,
    count,
    leave_a_batch_open,
    let_half_a_minute_pass,
    question,
    settings_for,
    start,
)
from gym_enrichment_tests.raw_data import ingest_gyms


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer() as running:
        yield running


def ask_at_once(server: BatchServer, database: Database, gyms: range, **options: Any) -> list[Result]:
    async def work() -> list[Result]:
        transport = OpenAITransport("key", server.base_url, 10.0)
        usual: dict[str, Any] = {"run_id": "run-2", "backoff": Backoff(base=0.01, cap=0.02)}
        gateway = Gateway(transport, database, **usual | options)
        try:
            asks = (gateway.ask(one.request, one.check) for one in map(question, gyms))
            return list(await asyncio.gather(*asks, return_exceptions=True))
        finally:
            await gateway.close()

    return asyncio.run(work())


@pytest.mark.parametrize("options", [{}, {"cache_ttl_seconds": 0}], ids=["cached", "cache off"])
def test_a_gym_in_an_open_api_batch_is_not_paid_again_and_its_neighbours_are_asked(
    server: BatchServer, database: Database, options: dict[str, Any]
) -> None:
    leave_a_batch_open(server, database)
    results = ask_at_once(server, database, range(GYMS + 5), **options)

    waiting, others = results[:GYMS], results[GYMS:]
    for failed in waiting:
        assert isinstance(failed, AskFailed)
        assert (failed.kind, failed.usage.llm_calls) == (ErrorKind.IN_API_BATCH, 0)
        assert str(failed) == (
            "its answer is being made in the API batch batch-1: run with GYM_LLM_MODE=batch to fetch it"
        )
    assert all(isinstance(answer, Answer) for answer in others)
    assert server.calls["complete"] == 5


def test_once_it_is_fetched_it_is_known_and_nothing_was_paid_twice(server: BatchServer, database: Database) -> None:
    leave_a_batch_open(server, database)
    ask_at_once(server, database, range(GYMS))
    assert_all_answered(ask(server.base_url, database, run_id="run-3"))
    assert_all_answered(ask_at_once(server, database, range(GYMS), run_id="run-4"))
    assert server.calls["complete"] == 0
    assert server.paid == {f"Salle {n}": 1 for n in range(GYMS)}


def test_a_run_that_was_killed_leaves_its_batch_to_be_noticed_as_well(server: BatchServer, database: Database) -> None:
    database.migrate()
    server.plan.hold = "look"
    process = start(server, database)
    assert server.held.wait(60)
    process.kill()
    process.join()
    server.plan.hold = None
    let_half_a_minute_pass(database)
    assert all(isinstance(failed, AskFailed) for failed in ask_at_once(server, database, range(GYMS)))
    assert server.calls["complete"] == 0


def test_what_the_api_has_forgotten_is_asked_at_once(server: BatchServer, database: Database) -> None:
    leave_a_batch_open(server, database)
    with database.write() as connection:
        connection.execute(update(llm_batches).values(created_at=datetime.now(UTC) - KEPT))
    assert_all_answered(ask_at_once(server, database, range(GYMS)))


@pytest.mark.parametrize("options", [{}, {"cache_ttl_seconds": 0}], ids=["cached", "cache off"])
def test_without_open_batches_no_call_costs_a_query(
    server: BatchServer, database: Database, options: dict[str, Any]
) -> None:
    database.migrate()
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *said: statements.append(" ".join(said[2].split())))
    assert_all_answered(ask_at_once(server, database, range(60), concurrency=5, **options), 60)
    looks = [statement for statement in statements if statement.startswith("SELECT llm_batch_requests")]
    # One for each grouped look, of which there are few.
    assert len(looks) <= 6
    assert count(database, ledger) == 60


def test_such_a_gym_ends_the_run_as_a_failure_that_says_what_to_do(
    server: BatchServer, database: Database, tmp_path: Path
) -> None:
    ingest_gyms(database, tmp_path / "source", 10)
    bundles = list(build_bundles(database, assign_batches(database, 5), token_budget=500))
    settings = settings_for(database, server.base_url, tmp_path)
    server.plan.fail = {"look"}
    with pytest.raises(Exception, match="run again when it is back"):
        list(
            Enricher(settings.model_copy(update={"patience_seconds": 0.1}), describe_endpoint(settings)).enrich(
                bundles, "run-1"
            )
        )
    server.plan.fail = set()

    at_once = settings_for(database, server.base_url, tmp_path, GYM_LLM_MODE="sync")
    found = list(Enricher(at_once, describe_endpoint(at_once)).enrich(bundles, "run-2"))
    failures = [failure for batch in found for failure in batch.failures]
    assert len(failures) == 10
    assert {failure.kind for failure in failures} == {ErrorKind.IN_API_BATCH}
    assert "GYM_LLM_MODE=batch" in failures[0].message
    assert server.calls["complete"] == 0

    fetched = list(Enricher(settings, describe_endpoint(settings)).enrich(bundles, "run-3"))
    assert sum(len(batch.enrichments) for batch in fetched) == 10
    assert set(server.paid.values()) == {1}
