"""Killed at random instants, again and again, until it is done: nothing is lost, nothing is paid for twice.

GYM_TEST_KILLS (default 12) is how often, on each database.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select

from gym_enrichment.pipeline.bundling import build_bundles
from gym_enrichment.storage import tables
from gym_enrichment.storage.batches import assign_batches
from gym_enrichment.storage.bundles import write_bundles
from gym_enrichment.storage.engine import Database
from gym_enrichment_tests.integration.kill_child import run
from gym_enrichment_tests.integration.test_kill import half_a_minute_later
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good_content
from gym_enrichment_tests.processes import processes
from gym_enrichment_tests.raw_data import ingest_gyms

GYMS, BATCH_SIZE, IN_FLIGHT = 60, 20, 5
KILLS = int(os.environ.get("GYM_TEST_KILLS", "12"))
_LONGEST_RUN = 30.0


@pytest.fixture
def server() -> Iterator[LlmServer]:
    def script(ask: Ask) -> Reply:
        return Reply(good_content(ask.name), delay=0.01)

    with LlmServer(script) as running:
        yield running


def environment(database: Database, server: LlmServer, folder: Path) -> dict[str, str]:
    url = database.url
    if database.search_path is not None:
        url += f"?options=-csearch_path%3D{database.search_path}"
    return {
        "GYM_HOME": str(folder / "home"),
        "GYM_DATABASE_URL": url,
        "GYM_LLM_CONCURRENCY": str(IN_FLIGHT),
        "OPENAI_API_KEY": "test",
        "OPENAI_BASE_URL": server.base_url,
    }


def assert_consistent(database: Database) -> None:
    """At any instant: a batch is saved whole or not at all, and what was paid for is known."""
    per_batch = select(tables.enrichments.c.batch_id, func.count()).group_by(tables.enrichments.c.batch_id)
    with database.read() as connection:
        saved = {row[0]: row[1] for row in connection.execute(per_batch)}
        described = connection.execute(
            select(func.count()).select_from(tables.gym_directory).where(tables.gym_directory.c.state == "enriched")
        ).scalar_one()
        booked = connection.execute(select(tables.batch_runs.c.batch_id)).scalars().all()
        paid = connection.execute(select(tables.ledger.c.fingerprint)).scalars().all()
        known = connection.execute(select(tables.llm_cache.c.fingerprint)).scalars().all()
    assert set(saved.values()) <= {BATCH_SIZE}
    assert described == sum(saved.values())
    assert sorted(booked) == sorted(saved)
    assert sorted(paid) == sorted(known)


def assert_done(database: Database) -> None:
    with database.read() as connection:
        enriched = connection.execute(select(tables.enrichments.c.place_id, tables.enrichments.c.state)).all()
        directory = connection.execute(select(tables.gym_directory)).all()
        gyms = connection.execute(select(tables.gyms.c.place_id)).scalars().all()
        outcomes = set(connection.execute(select(tables.ledger.c.outcome)).scalars())
        failures = connection.execute(select(func.count()).select_from(tables.failures)).scalar_one()
        leases = connection.execute(select(func.count()).select_from(tables.llm_leases)).scalar_one()
    assert sorted(row.place_id for row in enriched) == sorted(gyms)
    assert {row.state for row in enriched} == {"enriched"}
    # Each gym got the answer that was given for it.
    assert all(row.description.startswith(row.name) for row in directory)
    assert len(directory) == GYMS
    assert outcomes == {"ok"}
    assert failures == 0
    assert leases == 0


def forget_everything(database: Database) -> None:
    """Back to bundled and never asked."""
    with database.write() as connection:
        for table in (
            tables.enrichments,
            tables.batch_runs,
            tables.gym_directory,
            tables.llm_cache,
            tables.llm_leases,
            tables.ledger,
        ):
            connection.execute(delete(table))


def ends_by_itself(variables: dict[str, str], server: LlmServer, dice: random.Random, log: Path) -> bool:
    """Start the program and kill it after a random number of further requests and milliseconds."""
    asked = len(server.asks)
    wanted = asked + dice.randint(0, 12)
    process = processes.Process(target=run, args=(variables, str(log)), daemon=True)
    process.start()
    # Most of its life a program starts; what matters begins with its first request.
    try:
        if wanted > asked:
            for _ in range(round(_LONGEST_RUN * 1000)):
                if len(server.asks) >= wanted or process.exitcode is not None:
                    break
                process.join(0.001)
        process.join(dice.uniform(0.0, 0.02 if wanted > asked else 1.0))
        ended = process.exitcode is not None
    finally:
        process.kill()
        process.join()
    assert process.exitcode in {0, -9}, log.read_text()
    return ended


def test_killed_at_random_instants_it_loses_nothing_and_pays_for_nothing_twice(
    database: Database, server: LlmServer, tmp_path: Path
) -> None:
    ingest_gyms(database, tmp_path / "source", GYMS, reviews_each=1)
    for batch_id, built in build_bundles(database, assign_batches(database, BATCH_SIZE), token_budget=500):
        write_bundles(database, batch_id, built)
    variables = environment(database, server, tmp_path)
    dice = random.Random(20261122)
    kills = 0
    while kills < KILLS:
        server.asks.clear()
        forget_everything(database)
        kills_of_round = 0
        while not ends_by_itself(variables, server, dice, tmp_path / "log"):
            kills_of_round += 1
            half_a_minute_later(database)
            assert_consistent(database)
            assert len(server.asks) <= GYMS + IN_FLIGHT * kills_of_round
        kills += kills_of_round
        assert_consistent(database)
        assert_done(database)
        with database.read() as connection:
            booked = connection.execute(select(func.count()).select_from(tables.ledger)).scalar_one()
        assert booked == GYMS <= len(server.asks) <= GYMS + IN_FLIGHT * kills_of_round
        print(f"{kills_of_round} kills, {len(server.asks) - GYMS} calls paid for in vain")
