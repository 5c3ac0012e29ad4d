"""Variant `packed` through the Batch API: several gyms in a request, many requests in a batch; on both databases."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gym_enrichment.domain.models import Bundle, EnrichedBatch
from gym_enrichment.llm.endpoint import describe_endpoint
from gym_enrichment.pipeline.bundling import build_bundles
from gym_enrichment.pipeline.enriching.enricher import Enricher
from gym_enrichment.storage.batches import assign_batches
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_holds import budget_holds
from gym_enrichment.storage.tables import budgets, llm_batch_requests
from gym_enrichment_tests.batch_server import ApiBatch, BatchServer, End, Line, good_line, name_of, names_of
from gym_enrichment_tests.integration.test_batch_api import (
    booked,
    count,
    let_half_a_minute_pass,
    outcomes,
    settings_for,
)
from gym_enrichment_tests.processes import processes
from gym_enrichment_tests.raw_data import ingest_gyms

GYMS, PACKS = 20, 4
NAMES = [f"Salle {number:04d}" for number in range(1, GYMS + 1)]

Batches = list[tuple[str, list[Bundle]]]


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer() as running:
        yield running


@pytest.fixture
def bundles(database: Database, tmp_path: Path) -> Batches:
    ingest_gyms(database, tmp_path / "source", GYMS)
    return list(build_bundles(database, assign_batches(database, 10), token_budget=500))


def enrich(
    server: BatchServer, database: Database, bundles: Batches, folder: Path, run_id: str = "run-1"
) -> list[EnrichedBatch]:
    settings = settings_for(database, server.base_url, folder, GYM_VARIANT="packed", GYM_BUDGET_MONTH_USD=1.0)
    return list(Enricher(settings, describe_endpoint(settings)).enrich(bundles, run_id))


def enrich_in_a_process(base_url: str, database: Database, bundles: Batches, folder: Path) -> None:
    settings = settings_for(database, base_url, folder, GYM_VARIANT="packed", GYM_BUDGET_MONTH_USD=1.0)
    list(Enricher(settings, describe_endpoint(settings)).enrich(bundles, "run-1"))


def assert_each_gym_has_its_own_answer(found: list[EnrichedBatch]) -> None:
    gyms = {gym.place_id: gym for batch in found for gym in batch.enrichments}
    assert sorted(gyms) == [f"gym-{number:04d}" for number in range(1, GYMS + 1)]
    for place_id, gym in gyms.items():
        assert (gym.state, gym.variant) == ("enriched", "packed")
        assert (gym.description or "").startswith(f"Salle {place_id[-4:]} est")


def sizes(server: BatchServer) -> list[int]:
    """Gyms in each request that was answered, in no order that was promised."""
    return sorted(len(names_of(body)) for body in server.bodies)


def test_packs_share_a_batch_and_each_gym_gets_its_own_answer(
    server: BatchServer, database: Database, bundles: Batches, tmp_path: Path
) -> None:
    found = enrich(server, database, bundles, tmp_path)

    assert_each_gym_has_its_own_answer(found)
    assert [len(batch.lines) for batch in server.batches.values()] == [PACKS]
    assert sizes(server) == [5] * PACKS
    assert server.paid == dict.fromkeys(NAMES, 1)
    assert outcomes(database) == {"ok": PACKS}
    assert sum(batch.llm_calls for batch in found) == PACKS
    assert sum(batch.cost_usd for batch in found) == pytest.approx(sum(row["cost_usd"] for row in booked(database)))
    assert count(database, llm_batch_requests) == count(database, budget_holds) == 0

    again = enrich(server, database, bundles, tmp_path, "run-2")
    assert (sum(batch.llm_calls for batch in again), sum(batch.cache_hits for batch in again)) == (0, GYMS)
    assert len(server.batches) == 1


@pytest.mark.parametrize(
    ("first", "outcome", "paid"),
    [
        (Line(status=500), "server_error", 1),
        (Line(status=429, code="rate_limit_exceeded"), "rate_limited", 1),
        (Line(unanswered="batch_expired"), "server_error", 1),
        (Line("", lost=True), "server_error", 2),
        (Line(""), "empty", 2),
    ],
    ids=["500", "429", "not executed", "short output", "empty"],
)
def test_a_pack_that_brought_nothing_is_asked_again_as_it_is(
    server: BatchServer,
    database: Database,
    bundles: Batches,
    tmp_path: Path,
    first: Line,
    outcome: str,
    paid: int,
) -> None:
    def line(_batch: ApiBatch, body: dict[str, Any], before: int) -> Line:
        return first if name_of(body) == "Salle 0006" and before == 0 else good_line(body)

    server.plan.line = line
    assert_each_gym_has_its_own_answer(enrich(server, database, bundles, tmp_path))
    assert outcomes(database) == {"ok": PACKS, outcome: 1}
    assert sizes(server) == [5] * (PACKS + 1)
    again = NAMES[5:10]
    assert server.paid == {name: paid if name in again else 1 for name in NAMES}


def test_a_gym_that_is_missing_in_its_pack_is_asked_again_alone(
    server: BatchServer, database: Database, bundles: Batches, tmp_path: Path
) -> None:
    def line(_batch: ApiBatch, body: dict[str, Any], before: int) -> Line:
        good = good_line(body)
        if before or name_of(body) != "Salle 0001":
            return good
        entries = json.loads(good.content or "")["gyms"]
        return Line(json.dumps({"gyms": entries[:2] + entries[3:]}))

    server.plan.line = line
    assert_each_gym_has_its_own_answer(enrich(server, database, bundles, tmp_path))
    assert sizes(server) == [1, *[5] * PACKS]
    assert server.asked == {name: 2 if name == "Salle 0003" else 1 for name in NAMES}
    assert outcomes(database) == {"ok": PACKS + 1}


def test_a_pack_without_a_usable_answer_is_asked_again_in_halves(
    server: BatchServer, database: Database, bundles: Batches, tmp_path: Path
) -> None:
    def line(_batch: ApiBatch, body: dict[str, Any], _before: int) -> Line:
        whole = name_of(body) == "Salle 0011" and len(names_of(body)) == 5
        return Line("no JSON at all") if whole else good_line(body)

    server.plan.line = line
    assert_each_gym_has_its_own_answer(enrich(server, database, bundles, tmp_path))
    assert sizes(server) == [1, 2, 2, *[5] * PACKS]
    assert outcomes(database) == {"ok": PACKS + 2, "invalid_answer": 1}


@pytest.mark.parametrize("status", ["expired", "cancelled"])
def test_packs_left_by_a_batch_that_ended_early_go_into_the_next(
    server: BatchServer, database: Database, bundles: Batches, tmp_path: Path, status: str
) -> None:
    def line(batch: ApiBatch, body: dict[str, Any], _before: int) -> Line:
        late = batch.number == 1 and name_of(body) in {"Salle 0011", "Salle 0016"}
        return Line(unanswered=f"batch_{status}") if late else good_line(body)

    server.plan.line = line
    server.plan.end = lambda batch: End(status if batch.number == 1 else "completed")
    assert_each_gym_has_its_own_answer(enrich(server, database, bundles, tmp_path))
    first, *others = (len(batch.lines) for batch in server.batches.values())
    assert (first, sum(others)) == (PACKS, 2)
    assert server.paid == dict.fromkeys(NAMES, 1)


@pytest.mark.parametrize("moment", ["upload", "created", "look", "content"])
def test_after_kill_9_the_next_run_packs_the_same_gyms_and_pays_for_nothing_again(
    server: BatchServer, database: Database, bundles: Batches, tmp_path: Path, moment: str
) -> None:
    server.plan.hold = moment
    # Without its open connections: a database is handed over by its name.
    there = Database(database.url, search_path=database.search_path)
    arguments = (server.base_url, there, bundles, tmp_path)
    process = processes.Process(target=enrich_in_a_process, args=arguments, daemon=True)
    process.start()
    assert server.held.wait(60)
    process.kill()
    process.join()
    server.plan.hold = None
    let_half_a_minute_pass(database)
    assert count(database, llm_batch_requests) == PACKS

    assert_each_gym_has_its_own_answer(enrich(server, database, bundles, tmp_path, "run-2"))

    assert [len(batch.lines) for batch in server.batches.values()] == [PACKS]
    assert server.paid == dict.fromkeys(NAMES, 1)
    assert outcomes(database) == {"ok": PACKS}
    with database.read() as connection:
        (budget,) = connection.execute(select(budgets)).all()
    assert budget.reserved == 0
    assert budget.spent == pytest.approx(sum(row["cost_usd"] for row in booked(database)) * 1e9, rel=1e-6)
    assert count(database, llm_batch_requests) == count(database, budget_holds) == 0
