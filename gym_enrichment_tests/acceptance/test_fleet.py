"""A fleet of processes as `make fleet` starts it: a backfill, queues, the two doors."""

import base64
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from deploy.fleet import Fleet
from gym_enrichment_tests.acceptance.conftest import User, asking
from gym_enrichment_tests.acceptance.fleets import backfill, running_fleet, wait_for_end
from gym_enrichment_tests.llm_server import LlmServer

CADDY = shutil.which("caddy") is not None
PASSWORD = "un mot de passe"


@pytest.fixture(scope="module")
def server() -> Iterator[LlmServer]:
    with LlmServer() as server:
        yield server


@pytest.fixture(scope="module")
def fleet_and_user(tmp_path_factory: pytest.TempPathFactory, server: LlmServer) -> Iterator[tuple[Fleet, User]]:
    variables = {**asking(server), "GYM_BATCH_SIZE": "2", "GYM_PARTITIONS_PER_RUN": "2"}
    if CADDY:
        hashed = subprocess.run(
            ["caddy", "hash-password", "--plaintext", PASSWORD], check=True, capture_output=True, text=True
        ).stdout.strip()
        variables |= {"ADMIN_USER": "amina", "ADMIN_PASSWORD_HASH": hashed}
    with running_fleet(tmp_path_factory.mktemp("fleet"), variables) as (fleet, user):
        user.take_in(8)
        yield fleet, user


def status(url: str, user: str = "", password: str = "") -> int:
    request = urllib.request.Request(url)
    if user:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_backfill_runs_on_the_workers(fleet_and_user: tuple[Fleet, User], server: LlmServer) -> None:
    fleet, user = fleet_and_user
    batches = user.make_batches()
    backfill(fleet, batches)
    ended = wait_for_end(fleet, 2)
    assert [run["status"] for run in ended] == ["SUCCESS", "SUCCESS"]
    assert len(server.names()) == 8


@pytest.mark.skipif(not CADDY, reason="no Caddy: apt-get install caddy")
def test_only_who_has_the_password_may_change_things(fleet_and_user: tuple[Fleet, User]) -> None:
    fleet, _ = fleet_and_user
    admin = f"http://127.0.0.1:{fleet.admin_port}/server_info"
    assert status(admin) == 401
    assert status(admin, "amina", "wrong") == 401
    assert status(admin, "amina", PASSWORD) == 200
    assert status(f"http://127.0.0.1:{fleet.read_port}/server_info") == 200


def test_no_process_of_dagster_alone_holds_the_key(fleet_and_user: tuple[Fleet, User]) -> None:
    fleet, _ = fleet_and_user
    holders = {name for name, service in fleet.services.items() if "OPENAI_API_KEY" in service.environment}
    assert holders == {"code-server", "worker-optimized", "worker-default"}
