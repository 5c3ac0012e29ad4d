"""A full disk, a locked database, a network that hangs, a server that only refuses: `gym-enrichment run` on SQLite."""

import resource
import sqlite3
import subprocess
import threading
from pathlib import Path

import pytest

from gym_enrichment.storage.engine import SQLITE_BUSY_SECONDS
from gym_enrichment_tests.acceptance.conftest import CLI, Outcome, asking, new_user, wait_for
from gym_enrichment_tests.acceptance.faults.cases import SECRETS, Books, Gate
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply

GYMS, CONCURRENCY, ANSWERED = 30, 4, 6
# So many failures at once that the provider counts as down as soon as its time is over.
PATIENCE = {"GYM_LLM_PATIENCE": "1", "GYM_LLM_MAX_ATTEMPTS": "100", "GYM_LLM_CONCURRENCY": "20"}


class Case:
    """A user's `run` over thirty gyms in batches of ten, which is broken in its middle and run again."""

    def __init__(self, folder: Path, server: LlmServer, **variables: str) -> None:
        common = asking(server) | {"GYM_BATCH_SIZE": "10", "GYM_LLM_CONCURRENCY": str(CONCURRENCY)}
        self.user = new_user(folder, **common | variables)
        self.user.database.migrate()
        self.user.take_in(GYMS)
        self.gate = Gate(ANSWERED)
        server.script = self.gate
        names = [f"Salle {number:04d}" for number in range(1, GYMS + 1)]
        self.books = Books(self.user.database, self.gate, names)
        self.log = folder / "run.log"

    def start(self) -> "subprocess.Popen[bytes]":
        return self.user.start([*CLI, "run", "--json"], self.log)

    def ended(self, process: "subprocess.Popen[bytes]", seconds: float = 120.0) -> Outcome:
        """How it ended: in words, and without anything that must not be told."""
        code = process.wait(timeout=seconds)
        said = self.log.read_text()
        assert "Traceback" not in said, said
        assert [secret for secret in SECRETS if secret in said] == []
        return Outcome(code, said, "")

    def assert_as_promised(self) -> None:
        self.books.assert_nothing_lost()
        self.books.assert_none_paid_twice()
        self.books.assert_reconciled()


def write_lock(database: Path) -> sqlite3.Connection:
    """What another program holds that writes for long."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return connection


def test_a_locked_database_is_waited_for(tmp_path: Path, server: LlmServer) -> None:
    case = Case(tmp_path, server)
    process = case.start()
    case.books.wait_for_the_middle(CONCURRENCY)
    lock = write_lock(case.user.home / "gym.db")
    case.gate.opened.set()
    wait_for("the answers to be given", lambda: server.in_flight == 0)
    lock.close()
    assert case.ended(process).code == 0
    case.books.in_flight = ()
    case.assert_as_promised()


@pytest.mark.soak
def test_a_database_that_stays_locked_stops_the_run_and_the_next_goes_on(tmp_path: Path, server: LlmServer) -> None:
    case = Case(tmp_path, server)
    process = case.start()
    case.books.wait_for_the_middle(CONCURRENCY)
    lock = write_lock(case.user.home / "gym.db")
    case.gate.opened.set()
    ended = case.ended(process, 4 * SQLITE_BUSY_SECONDS)
    lock.close()
    assert ended.code == 2
    assert "database is locked" in ended.out
    case.books.dead_leases_end()
    case.user.cli("run").succeeded()
    case.assert_as_promised()


def test_a_full_disk_stops_the_run_and_the_next_goes_on(tmp_path: Path, server: LlmServer) -> None:
    case = Case(tmp_path, server)
    process = case.start()
    case.books.wait_for_the_middle(CONCURRENCY)
    # No file of the run may grow from now on: to SQLite a disk without room, and no root is needed for it.
    wal = case.user.home / "gym.db-wal"
    _, most = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (wal.stat().st_size, most))
    case.gate.opened.set()
    ended = case.ended(process)
    assert ended.code == 2
    assert "disk I/O error" in ended.out
    case.books.dead_leases_end()
    case.user.cli("run").succeeded()
    case.assert_as_promised()


def test_a_network_that_hangs_stops_the_run_and_the_next_goes_on(tmp_path: Path, server: LlmServer) -> None:
    case = Case(tmp_path, server, **PATIENCE, GYM_LLM_TIMEOUT="0.5")
    ended = case.ended(case.start())
    assert ended.code == 2
    assert "the LLM server has not answered for" in ended.out
    case.gate.opened.set()
    case.user.cli("run").succeeded()
    case.assert_as_promised()


def test_a_server_that_only_refuses_stops_the_run_and_the_next_goes_on(tmp_path: Path, server: LlmServer) -> None:
    case = Case(tmp_path, server, **PATIENCE)
    gate, back = case.gate, threading.Event()

    def refusing(ask: Ask) -> Reply:
        answer = gate(ask)
        return answer if len(gate.asks) <= ANSWERED or back.is_set() else Reply(status=429)

    gate.opened.set()
    server.script = refusing
    ended = case.ended(case.start())
    assert ended.code == 2
    assert "the LLM server has not answered for" in ended.out
    back.set()
    case.user.cli("run").succeeded()
    case.assert_as_promised()


@pytest.mark.soak
@pytest.mark.parametrize("days", ["+40d", "-40d"])
def test_a_clock_that_jumps_in_the_middle(tmp_path: Path, server: LlmServer, days: str) -> None:
    # Debian's package libfaketime moves every clock of a process but the monotonic one, while it runs.
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    clock = tmp_path / "clock"
    clock.write_text("+0")
    faked = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    case = Case(tmp_path / "user", server, GYM_BUDGET_USD="1", GYM_LLM_PRICE_PROMPT="1", GYM_LLM_PRICE_COMPLETION="1")
    user = case.user
    case.user = user.with_(**faked)
    process = case.start()
    case.books.wait_for_the_middle(CONCURRENCY)
    clock.write_text(days)
    case.gate.opened.set()
    assert case.ended(process).code == 0
    case.books.in_flight = ()
    case.assert_as_promised()
    # By the right clock nothing is to do either.
    assert user.cli("run", "--json").succeeded().json["llm_calls"] == 0
    case.assert_as_promised()
