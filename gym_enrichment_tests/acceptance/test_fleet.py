"""A fleet of processes as `make fleet` starts it: a backfill, the two doors, and what several workers promise."""

import os
import re
import subprocess
from collections import Counter
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import func, select

from deploy.fleet import Fleet
from gym_enrichment.llm.pricing import price_of
from gym_enrichment.storage.llm_admission import NANO, month_scope
from gym_enrichment.storage.tables import batch_members, batch_runs, budgets, ledger
from gym_enrichment_tests.acceptance.conftest import User, asking, wait_for
from gym_enrichment_tests.acceptance.fleets import (
    CADDY,
    ENDED,
    backfill,
    running_fleet,
    runs,
    status,
    wait_for_backfill,
    wait_for_end,
)
from gym_enrichment_tests.llm_server import LlmServer, Reply, good_content

PASSWORD = "un mot de passe"
MODEL = "gpt-4o-mini"
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}
PER_MINUTE = 30
AFFORDED = 64
"""Calls that the month's budget is enough for: more than all tests need, but for the last one."""


@pytest.fixture(scope="module")
def server() -> Iterator[LlmServer]:
    # Slow enough that two runs of one batch are under way at once.
    with LlmServer(lambda _: Reply(good_content(), delay=1.0, usage=USAGE)) as server:
        yield server


@pytest.fixture(scope="module")
def fleet_and_user(tmp_path_factory: pytest.TempPathFactory, server: LlmServer) -> Iterator[tuple[Fleet, User]]:
    variables = {
        **asking(server),
        "GYM_BATCH_SIZE": "2",
        "GYM_PARTITIONS_PER_RUN": "2",
        "GYM_LLM_MODEL": MODEL,
        "GYM_LLM_RPM": str(PER_MINUTE),
        "GYM_BUDGET_MONTH_USD": f"{AFFORDED * cost():.6f}",
    }
    if CADDY:
        hashed = subprocess.run(
            ["caddy", "hash-password", "--plaintext", PASSWORD], check=True, capture_output=True, text=True
        ).stdout.strip()
        variables |= {"ADMIN_USER": "amina", "ADMIN_PASSWORD_HASH": hashed}
    with running_fleet(tmp_path_factory.mktemp("fleet"), variables) as (fleet, user):
        user.take_in(8)
        yield fleet, user


def cost() -> float:
    """Dollars of one call."""
    price = price_of(MODEL)
    assert price is not None
    return price.cost(USAGE["prompt_tokens"], 0, USAGE["completion_tokens"])


def most_claims(event: dg.DagsterEvent) -> dg.AssetCheckEvaluation | None:
    """What the check most_claims_are_supported found, if the event tells it."""
    if event.event_type is not dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        return None
    found = event.asset_check_evaluation_data
    return found if found.check_name == "most_claims_are_supported" else None


def test_a_backfill_runs_on_the_workers(fleet_and_user: tuple[Fleet, User], server: LlmServer) -> None:
    fleet, user = fleet_and_user
    batches = user.make_batches()
    backfill(fleet, batches)
    ended = wait_for_end(fleet, 2)
    assert [run["status"] for run in ended] == ["SUCCESS", "SUCCESS"]
    assert len(server.names()) == 8
    with user.instance() as instance:
        events = [event for run in ended for event in instance.all_logs(run["runId"]) if event.dagster_event]
    # Each run checks its own batches, not the whole backfill.
    checked = [data.metadata["gyms"].value for event in events if (data := most_claims(event.get_dagster_event()))]
    assert checked == [4, 4]


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


# --- what several workers promise ------------------------------------------------------------------------


def processes_of(user: User, run_ids: Collection[str]) -> set[int]:
    """The processes that executed some runs, as their events tell."""
    with user.instance() as instance:
        said = [event.message for run_id in run_ids for event in instance.all_logs(run_id)]
    return {int(found[1]) for text in said if (found := re.search(r"Started process for run \(pid: (\d+)\)", text))}


def rows(user: User, query: Any) -> list[Any]:
    with user.database.read() as connection:
        return list(connection.execute(query).all())


def test_two_backfills_of_the_same_batches_on_two_workers_pay_for_each_gym_once(
    fleet_and_user: tuple[Fleet, User], server: LlmServer
) -> None:
    fleet, user = fleet_and_user
    user.take_in(12, first=101)
    batches = user.make_batches()
    launched = {"optimized": backfill(fleet, batches), "default": backfill(fleet, batches, queue="default")}

    for queue, backfill_id in launched.items():
        ended = wait_for_backfill(fleet, backfill_id, 3)
        assert {run["status"] for run in ended} == {"SUCCESS"}
        # A worker and its processes are one group of processes.
        at_work = {os.getpgid(pid) for pid in processes_of(user, [run["runId"] for run in ended])}
        assert at_work == {fleet.services[f"worker-{queue}"].process.pid}
    asked = Counter(name for name in server.names() if "Salle 0101" <= name <= "Salle 0112")
    assert asked == {f"Salle {number:04d}": 1 for number in range(101, 113)}
    paid = select(ledger.c.place_id, func.count()).where(ledger.c.run_id.in_(launched.values()))
    assert {row[1] for row in rows(user, paid.group_by(ledger.c.place_id))} == {1}
    # Whoever was second in a batch found everything answered.
    sums = func.count(), func.sum(batch_runs.c.llm_calls), func.sum(batch_runs.c.cache_hits)
    saved = select(batch_runs.c.batch_id, *sums).where(batch_runs.c.run_id.in_(launched.values()))
    assert rows(user, saved.group_by(batch_runs.c.batch_id).order_by(batch_runs.c.batch_id)) == [
        (batch, 2, 2, 2) for batch in batches
    ]


SENSOR = {
    "repositoryLocationName": "gym_enrichment",
    "repositoryName": "__repository__",
    "sensorName": "new_gyms_sensor",
}
_START = """
mutation($sensor: SensorSelector!) {
  startSensor(sensorSelector: $sensor) { __typename ... on Sensor { sensorState { id } } }
}
"""
_TICKS = """
query($sensor: SensorSelector!) {
  sensorOrError(sensorSelector: $sensor) { ... on Sensor { sensorState { ticks(limit: 1) { status } } } }
}
"""
_STOP = "mutation($id: String!) { stopSensor(id: $id) { __typename } }"


def test_the_sensor_and_run_at_once_give_each_gym_one_batch_and_pay_for_it_once(
    fleet_and_user: tuple[Fleet, User], server: LlmServer
) -> None:
    fleet, user = fleet_and_user
    user.take_in(6, first=201)
    started = fleet.graphql(_START, sensor=SENSOR)["startSensor"]
    assert started["__typename"] == "Sensor", started
    user.cli("run").succeeded()

    def ticked() -> bool:
        ticks = fleet.graphql(_TICKS, sensor=SENSOR)["sensorOrError"]["sensorState"]["ticks"]
        return [tick["status"] for tick in ticks] in (["SUCCESS"], ["SKIPPED"])

    wait_for("the sensor to tick", ticked)
    assert (
        fleet.graphql(_STOP, id=started["sensorState"]["id"])["stopSensor"]["__typename"] == "StopSensorMutationResult"
    )
    wait_for("all runs to end", lambda: {run["status"] for run in runs(fleet)} <= ENDED)

    assert {run["status"] for run in runs(fleet)} == {"SUCCESS"}
    members = rows(user, select(batch_members.c.batch_id, batch_members.c.place_id))
    new = [row for row in members if row.place_id.startswith("gym-02")]
    assert sorted(row.place_id for row in new) == [f"gym-{number:04d}" for number in range(201, 207)]
    assert Counter(row.batch_id for row in new) == dict.fromkeys({row.batch_id for row in new}, 2)
    with user.instance() as instance:
        keys = instance.get_dynamic_partitions("gym_batch")
    assert sorted(keys) == sorted({row.batch_id for row in members})
    asked = Counter(name for name in server.names() if name.startswith("Salle 02"))
    assert asked == {f"Salle {number:04d}": 1 for number in range(201, 207)}


@pytest.mark.soak  # waits for a real minute; integration/test_fleet_promises.py shows the same of plain processes
def test_requests_per_minute_and_the_budget_hold_in_sum_over_two_workers(
    fleet_and_user: tuple[Fleet, User], server: LlmServer
) -> None:
    """Last in this file: it spends what is left of the month's budget."""
    fleet, user = fleet_and_user
    before = len(server.asks)
    gyms = AFFORDED - before + 4
    user.take_in(gyms, first=301)
    batches = user.make_batches()
    half = len(batches) // 2
    shares = {None: batches[:half], "default": batches[half:]}
    launched = {backfill(fleet, share, queue=queue): -(-len(share) // 2) for queue, share in shares.items()}
    for backfill_id, count in launched.items():
        wait_for_backfill(fleet, backfill_id, count, seconds=240)

    assert PER_MINUTE < len(server.asks) - before < gyms
    assert len({row.run_id for row in rows(user, select(ledger.c.run_id))} & set(launched)) == 2
    moments = sorted(ask.at for ask in server.asks)
    # Admitted a minute and more apart; on a busy machine a call needs a while from there to the wire.
    assert all(later - earlier > 50 for earlier, later in zip(moments, moments[PER_MINUTE:], strict=False))
    ((spent, reserved),) = rows(user, select(budgets.c.spent, budgets.c.reserved).where(_this_month()))
    assert reserved == 0
    assert spent == len(server.asks) * round(cost() * NANO) <= AFFORDED * cost() * NANO
    ((booked, dollars),) = rows(user, select(func.count(), func.sum(ledger.c.cost_usd)))
    assert (booked, dollars) == (len(server.asks), pytest.approx(spent / NANO))


def _this_month() -> Any:
    return budgets.c.scope == month_scope(datetime.now(UTC))
