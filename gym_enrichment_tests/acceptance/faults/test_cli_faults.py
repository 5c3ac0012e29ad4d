"""A full disk, a locked database, a network that hangs, a server that only refuses: `gym-enrichment run` on SQLite."""

import resource
import sqlite3
import subprocess
import sys
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

# The CLI in a process whose clock jumps by some days as soon as a file is there; that of the database does not.
JUMPING = """
import datetime as dt, pathlib, sys, threading, time, time_machine

sign, days = pathlib.Path(sys.argv.pop(1)), int(sys.argv.pop(1))

def jump():
    while not sign.exists():
        time.sleep(0.05)
    time_machine.travel(dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=days)).start()
    sign.unlink()

threading.Thread(target=jump, daemon=True).start()
from gym_enrichment.cli import main
main()
"""


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
    ended = case.ended(process, 10 * SQLITE_BUSY_SECONDS)
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
    case = Case(tmp_path, server, **PATIENCE, GYM_LLM_TIMEOUT="3")
    ended = case.ended(case.start())
    assert ended.code == 2
    assert "the LLM server has not answered for" in ended.out
    case.books.in_flight = set(case.gate.held)
    case.gate.opened.set()
    case.user.without("GYM_LLM_TIMEOUT").cli("run").succeeded()
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
    case.books.in_flight = set(case.gate.asks[ANSWERED:])
    back.set()
    case.user.cli("run").succeeded()
    case.assert_as_promised()


@pytest.mark.soak
@pytest.mark.parametrize("days", [40, -40])
def test_a_clock_that_jumps(tmp_path: Path, server: LlmServer, days: int) -> None:
    case = Case(tmp_path, server, GYM_BUDGET_USD="1", GYM_LLM_PRICE_PROMPT="1", GYM_LLM_PRICE_COMPLETION="1")
    sign = tmp_path / "sign"
    process = case.user.start([sys.executable, "-c", JUMPING, str(sign), str(days), "run", "--json"], case.log)
    case.books.wait_for_the_middle(CONCURRENCY)
    sign.touch()
    wait_for("the clock to jump", lambda: not sign.exists())
    case.gate.opened.set()
    assert case.ended(process).code == 0
    case.books.in_flight = ()
    case.assert_as_promised()
    # By the right clock nothing is to do either.
    assert case.user.cli("run", "--json").succeeded().json["llm_calls"] == 0
    case.assert_as_promised()
