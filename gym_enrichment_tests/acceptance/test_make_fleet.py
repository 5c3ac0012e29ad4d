"""`make fleet` as a newcomer uses it: start, look, use, break, stop, start again."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.fleet import Fleet
from deploy.graphql import ask_graphql
from deploy.servers import free_port
from gym_enrichment_tests.acceptance.conftest import CLI, REPOSITORY, User, new_user, wait_for
from gym_enrichment_tests.acceptance.fleets import CADDY, password_header, status

STARTED = "Ctrl-C stops everything.\n"
SAMPLE = [str(REPOSITORY / "gym_enrichment" / "sample" / name) for name in ("gyms.jsonl", "reviews.jsonl")]
RAW_ASSETS = {
    "repositoryLocationName": "gym_enrichment",
    "repositoryName": "__repository__",
    "pipelineName": "__ASSET_JOB",
    "assetSelection": [{"path": ["raw_gyms"]}, {"path": ["raw_reviews"]}],
    "assetCheckSelection": [],
}
_MATERIALIZE = (
    "mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) { __typename } }"
)
_STATUSES = "{ runsOrError { ... on Runs { results { status } } } }"
_SUCCEEDED = {"runsOrError": {"results": [{"status": "SUCCESS"}]}}


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    user = new_user(tmp_path_factory.mktemp("make fleet"))
    yield user
    shutil.rmtree(databases(user), ignore_errors=True)


def databases(user: User) -> Path:
    return Fleet(user.home / "fleet", {}).postgres.home.parent


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "deploy", *options]


@contextmanager
def fleet(user: User, log: str) -> "Iterator[tuple[subprocess.Popen[bytes], Path, int, int]]":
    """The process, its output, and the two ports; whatever happens, nothing of it is left."""
    ports = free_port(), free_port()
    output = user.folder / log
    process = user.start(command("--port", str(ports[0]), "--admin-port", str(ports[1])), output)
    try:
        yield process, output, *ports
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        left = left_of(user)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert left == [], output.read_text()


def left_of(user: User) -> list[int]:
    """Processes that work in one of the fleet's folders."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            where = (folder / "cwd").readlink()
        except OSError:
            continue
        if where.is_relative_to(user.home) or where.is_relative_to(databases(user)):
            found.append(int(folder.name))
    return found


def in_its_database(user: User, query: bytes) -> Any:
    """The value that a query gives as soon as the fleet's Postgres answers, before the rest has started."""

    def look() -> tuple[Any, ...] | None:
        with suppress(OSError, IndexError, psycopg.Error):
            # Its fourth line is the port (Postgres's miscadmin.h, LOCK_FILE_LINE_PORT).
            port = (databases(user) / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[3]
            with psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/gym") as connection:
                return connection.execute(query).fetchone()
        return None

    [value] = wait_for("the fleet's database", look)
    return value


def started(process: "subprocess.Popen[bytes]", output: Path) -> str:
    def look() -> str | None:
        assert process.poll() is None, output.read_text()
        text = output.read_text()
        return text if text.endswith(STARTED) else None

    return wait_for("the fleet to start", look, seconds=150)


def in_its_shell(user: User, text: str, *arguments: str) -> str:
    """What a command of the CLI says in a shell where the line that was printed was typed."""
    [line] = re.findall(r"^ +(\. .+)$", text, re.MULTILINE)
    typed = subprocess.run(
        ["sh", "-c", f'{line}; exec "$@"', "sh", *CLI, *arguments],
        env=user.environment,
        cwd=user.work,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert typed.returncode == 0, typed.stderr
    return typed.stdout


def ask(port: int, password: str, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    """A request as the UI behind the password makes it."""
    return ask_graphql(f"http://127.0.0.1:{port}", query, variables, password_header("admin", password))


def test_first_use(newcomer: User) -> None:
    with fleet(newcomer, "first") as (process, output, port, admin_port):
        text = started(process, output)
        assert "GYM_LLM=offline" in text
        assert "the sample of 12 gyms" in text
        assert status(f"http://127.0.0.1:{port}/server_info") == 200
        admin = f"http://127.0.0.1:{admin_port}/server_info"
        if CADDY:
            [password] = re.findall(r"password (\S+)", text)
            assert status(admin) == 401
        else:
            password = "nobody asks for one"
            assert "Caddy is not installed: no password is asked" in text
        assert status(admin, "admin", password) == 200
        logs = "".join(log.read_text(errors="replace") for log in (newcomer.home / "fleet").rglob("*.log"))
        assert password not in logs

        # The same home or the same port for a second one: refused, in words.
        second = newcomer.run(command("--port", str(free_port())), 60)
        second.failed_with(2)
        assert f"(pid {process.pid})" in second.err
        elsewhere = newcomer.with_(GYM_HOME=str(newcomer.folder / "elsewhere"))
        taken = elsewhere.run(command("--port", str(free_port()), "--admin-port", str(admin_port)), 60)
        taken.failed_with(2)
        assert f"port {admin_port} cannot be used" in taken.err
        assert "make fleet ADMIN_PORT=" in taken.err

        # The first click: the sample is taken in by a worker.
        ask(admin_port, password, _MATERIALIZE, {"params": {"selector": RAW_ASSETS, "mode": "default"}})
        wait_for("the sample", lambda: ask(admin_port, password, _STATUSES, {}) == _SUCCEEDED)

        stored = in_its_shell(newcomer, text, "ingest", "--json", *SAMPLE)
        assert '"unchanged": 12' in stored

        # What dies is started again.
        [pid] = re.findall(r"worker-default\W+(\d+)", text)
        os.kill(int(pid), signal.SIGKILL)
        wait_for("the worker's restart", lambda: "worker-default was started again" in output.read_text())
    assert process.returncode == 0
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0

    with fleet(newcomer, "again"):
        assert in_its_database(newcomer, b"SELECT count(*) FROM gyms") == 12


def test_ctrl_c_while_it_starts_leaves_nothing_that_hinders_the_next_start(tmp_path: Path) -> None:
    user = new_user(tmp_path / "in a hurry")
    try:
        with fleet(user, "interrupted") as (process, output, _, _):
            wait_for("its first process", lambda: left_of(user))
        assert process.returncode == 0
        assert "stopped" in output.read_text()
        assert not output.read_text().endswith(STARTED)

        with fleet(user, "again"):
            assert in_its_database(user, b"SELECT 1") == 1
    finally:
        shutil.rmtree(databases(user), ignore_errors=True)


def test_a_wrong_setting_is_named_before_anything_starts(newcomer: User) -> None:
    refused = newcomer.with_(GYM_BATCH_SIZE="many").run(command("--port", str(free_port())), 60)
    refused.failed_with(2)
    assert "GYM_BATCH_SIZE" in refused.err
    assert left_of(newcomer) == []
