"""A run that dies or is stopped half way: what was paid is kept, and no table is left inconsistent."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from gym_enrichment.storage import tables
from gym_enrichment.storage.engine import Database
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good_content
from gym_enrichment_tests.raw_data import ingest_gyms

GYMS = 300
BATCH_SIZE = 50
IN_FLIGHT = 20
_COMMAND = [sys.executable, "-c", "from gym_enrichment.cli import main; main()", "run", "--json"]


class SlowServer(LlmServer):
    """Takes a tenth of a second an answer; `half_way` is set when half of the gyms were asked about."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.half_way = threading.Event()

    def _answer(self, ask: Ask) -> Reply:
        if len(self.asks) == GYMS // 2 + IN_FLIGHT:
            self.half_way.set()
        return Reply(good_content(ask.name), delay=0.1)


@pytest.fixture
def server() -> Iterator[SlowServer]:
    with SlowServer() as running:
        yield running


class Command:
    """`gym-enrichment run` as a process of its own, on a database with gyms."""

    def __init__(self, database: Database, server: LlmServer, folder: Path) -> None:
        url = database.url
        if database.search_path is not None:
            url += f"?options=-csearch_path%3D{database.search_path}"
        ours = ("GYM_", "OPENAI_", "DAGSTER_")
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {
            "GYM_HOME": str(folder / "home"),
            "GYM_DATABASE_URL": url,
            "GYM_BATCH_SIZE": str(BATCH_SIZE),
            "GYM_LLM_CONCURRENCY": str(IN_FLIGHT),
            "OPENAI_API_KEY": "test",
            "OPENAI_BASE_URL": server.base_url,
        }
        # The package is found wherever the tests found it; .env of the working tree is not ours.
        self._environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self._folder = folder

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            _COMMAND,
            env=self._environment,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self) -> dict[str, Any]:
        """Run to the end and return its report."""
        process = self.start()
        printed, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        report: dict[str, Any] = json.loads(printed)
        return report


@pytest.fixture
def command(database: Database, server: SlowServer, tmp_path: Path) -> Command:
    ingest_gyms(database, tmp_path / "source", GYMS, reviews_each=1)
    return Command(database, server, tmp_path)


def count(database: Database, table: Any, *where: Any) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()


def half_a_minute_later(database: Database) -> None:
    """The leases of the killed process end: else its successor would wait for them as long as they last."""
    with database.write() as connection:
        connection.execute(update(tables.llm_leases).values(expires_at=0.0))


def assert_no_batch_is_half_saved(database: Database) -> None:
    """Every batch has all of its gyms' enrichments or none, and the directory says the same."""
    per_batch = select(tables.enrichments.c.batch_id, func.count()).group_by(tables.enrichments.c.batch_id)
    with database.read() as connection:
        saved = {row[0]: row[1] for row in connection.execute(per_batch)}
        described = connection.execute(
            select(tables.gym_directory.c.place_id).where(tables.gym_directory.c.state == "enriched")
        ).all()
        batches_booked = connection.execute(select(tables.batch_runs.c.batch_id)).scalars().all()
    assert set(saved.values()) <= {BATCH_SIZE}
    assert len(described) == sum(saved.values())
    assert sorted(batches_booked) == sorted(saved)


def assert_whole(database: Database, requests: int) -> None:
    """All is enriched exactly once, and the tables agree with each other and with the server."""
    with database.read() as connection:
        enriched = connection.execute(select(tables.enrichments.c.place_id, tables.enrichments.c.state)).all()
        batches = connection.execute(select(tables.batch_members.c.place_id)).scalars().all()
        directory = connection.execute(select(tables.gym_directory)).all()
        gyms = connection.execute(select(tables.gyms.c.place_id)).scalars().all()
        orphans = connection.execute(
            select(tables.enrichments.c.place_id)
            .outerjoin(tables.llm_cache, tables.llm_cache.c.fingerprint == tables.enrichments.c.fingerprint)
            .where(tables.llm_cache.c.fingerprint.is_(None))
        ).all()
    assert sorted(row.place_id for row in enriched) == sorted(gyms)
    assert {row.state for row in enriched} == {"enriched"}
    assert sorted(batches) == sorted(gyms)
    assert len(directory) == GYMS
    assert {row.state for row in directory} == {"enriched"}
    # Each gym got the answer that was given for it.
    assert all(row.description.startswith(row.name) for row in directory)
    assert count(database, tables.bundles) == GYMS
    assert count(database, tables.failures) == 0
    assert count(database, tables.llm_cache) == GYMS
    assert orphans == []
    assert GYMS <= count(database, tables.ledger) <= requests
    # A call that Ctrl-C cut off is booked as cancelled: the provider may charge for it.
    cancelled = count(database, tables.ledger, tables.ledger.c.outcome == "cancelled")
    assert count(database, tables.ledger, tables.ledger.c.outcome == "ok") + cancelled == count(database, tables.ledger)


def test_after_kill_9_in_the_middle_the_next_run_pays_only_for_what_was_in_flight(
    command: Command, server: SlowServer, database: Database
) -> None:
    process = command.start()
    assert server.half_way.wait(180), "the run never came half way"
    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert process.returncode == -signal.SIGKILL
    asked = len(server.asks)
    assert asked < GYMS
    assert_no_batch_is_half_saved(database)
    known = count(database, tables.llm_cache)
    assert known == count(database, tables.ledger)
    half_a_minute_later(database)

    report = command.run()

    assert (report["gyms"], report["enriched"], report["failed"], report["skipped"]) in {
        (left, left, 0, 0) for left in range(BATCH_SIZE, GYMS + 1, BATCH_SIZE)
    }
    assert report["llm_calls"] == len(server.asks) - asked == GYMS - known
    assert_whole(database, len(server.asks))
    assert len(server.asks) <= GYMS + IN_FLIGHT


def test_ctrl_c_stops_cleanly_and_the_next_run_goes_on_from_there(
    command: Command, server: SlowServer, database: Database
) -> None:
    process = command.start()
    assert server.half_way.wait(180), "the run never came half way"
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=30)

    assert process.returncode == 130, errors
    assert printed == ""
    assert "Traceback" not in errors
    assert "stopped" in errors
    assert len(server.asks) < GYMS
    assert_no_batch_is_half_saved(database)

    report = command.run()

    assert report["failed"] == 0
    assert_whole(database, len(server.asks))
    assert len(server.asks) <= GYMS + IN_FLIGHT


def test_ctrl_c_twice_loses_no_more_than_once(sqlite_database: Database, server: SlowServer, tmp_path: Path) -> None:
    ingest_gyms(sqlite_database, tmp_path / "source", GYMS, reviews_each=1)
    command = Command(sqlite_database, server, tmp_path)
    process = command.start()
    assert server.half_way.wait(180), "the run never came half way"
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)

    assert process.returncode in {130, -signal.SIGINT}, errors
    assert_no_batch_is_half_saved(sqlite_database)
    command.run()
    assert_whole(sqlite_database, len(server.asks))
