"""What the gateway promises of several processes on one database: exact counts, limits and budgets."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import func, select, update

from gym_enrichment.llm.requests import LlmRequest
from gym_enrichment.storage.clock import now_seconds
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_admission import (
    NANO,
    Admission,
    Settlement,
    Terms,
    Verdict,
    Want,
    admit,
    find_budgets,
    settle,
)
from gym_enrichment.storage.llm_leases import LEASE_SECONDS, find_or_claim, renew_leases
from gym_enrichment.storage.tables import budgets, ledger, llm_cache, llm_leases, llm_usage
from gym_enrichment_tests.integration.fleet_member import PRICE, question, work
from gym_enrichment_tests.llm_server import LlmServer, Reply
from gym_enrichment_tests.processes import processes

USAGE = {"prompt_tokens": 100, "completion_tokens": 50}
COST = round((100 * PRICE.prompt + 50 * PRICE.completion) * NANO)
_SECONDS = 60.0


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with LlmServer(lambda _: Reply("fine", delay=0.05, usage=USAGE)) as running:
        yield running


class Member:
    """A process with a gateway of its own; begins when told to."""

    def __init__(self, database: Database, server: LlmServer, questions: Sequence[int], **orders: Any) -> None:
        database.engine  # noqa: B018 - makes the schema
        told = orders | {
            "database": database.url,
            "search_path": database.search_path,
            "server": server.base_url,
            "questions": list(questions),
        }
        self._line, theirs = processes.Pipe()
        self.process = processes.Process(target=work, args=(theirs, told), daemon=True)
        self.process.start()
        theirs.close()

    def ready(self) -> "Member":
        assert self._said() == "ready"
        return self

    def begin(self) -> "Member":
        self._line.send("begin")
        return self

    def ends(self) -> Counter[str]:
        said = self._said()
        self.process.join(_SECONDS)
        assert self.process.exitcode == 0
        return Counter(said)

    def _said(self) -> Any:
        assert self._line.poll(_SECONDS), "it says nothing"
        return self._line.recv()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


def fleet(members: Sequence[Member]) -> list[Counter[str]]:
    """All begin at once."""
    try:
        for member in members:
            member.ready()
        for member in members:
            member.begin()
        return [member.ends() for member in members]
    finally:
        for member in members:
            member.kill()


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def count(database: Database, table: Any) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


# --- exact counts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [1, 3])
def test_300_asks_with_60_distinct_prompts_are_60_calls_a_repeat_is_none_and_a_change_is_one(
    database: Database, server: LlmServer, processes: int
) -> None:
    asked = [number % 60 for number in range(300)]
    ends = fleet([Member(database, server, asked) for _ in range(processes)])

    assert len(server.asks) == count(database, ledger) == count(database, llm_cache) == 60
    assert sum(ends, Counter()) == {"paid": 60, "known": 300 * processes - 60}
    assert count(database, llm_leases) == 0
    assert server.most_in_flight <= 20 * processes

    assert fleet([Member(database, server, asked)]) == [{"known": 300}]
    assert len(server.asks) == 60

    assert fleet([Member(database, server, [*asked, 60])]) == [{"known": 300, "paid": 1}]
    assert len(server.asks) == 61


@pytest.mark.parametrize("concurrency", [1, 7])
def test_never_more_in_flight_than_allowed_and_never_fewer_while_there_is_work(
    database: Database, server: LlmServer, concurrency: int
) -> None:
    server.script = lambda _: Reply("fine", delay=0.05 * concurrency, usage=USAGE)
    fleet([Member(database, server, range(30), concurrency=concurrency)])

    assert server.most_in_flight == concurrency
    assert len(server.asks) == 30


# --- leases ----------------------------------------------------------------------------------------------


def test_what_a_killed_process_was_paying_for_is_taken_over_when_its_lease_ends_and_not_before(
    database: Database, server: LlmServer
) -> None:
    server.script = lambda ask: Reply("fine", delay=60.0 if len(server.asks) == 1 else 0.0, usage=USAGE)
    victim = Member(database, server, [1]).ready().begin()
    wait_until(lambda: len(server.asks) == 1)
    victim.kill()
    heir = Member(database, server, [1]).ready().begin()
    try:
        time.sleep(1.5)
        assert heir.process.exitcode is None
        assert len(server.asks) == 1
        with database.write() as connection:
            now = now_seconds(connection)
            (expires_at,) = connection.execute(select(llm_leases.c.expires_at)).scalars()
            assert now < expires_at < now + LEASE_SECONDS
            connection.execute(update(llm_leases).values(expires_at=now))
        assert heir.ends() == {"paid": 1}
    finally:
        heir.kill()
    assert len(server.asks) == 2


def test_a_lease_is_one_holders_until_it_is_released_or_ends_and_renewing_lengthens_it(database: Database) -> None:
    assert find_or_claim(database, ["a", "b"], "one")[:2] == ({}, {"a", "b"})
    assert find_or_claim(database, ["a", "b", "c"], "two")[:2] == ({}, {"c"})
    with database.write() as connection:
        connection.execute(update(llm_leases).values(expires_at=now_seconds(connection) + 1.0))
    renew_leases(database, "one")
    with database.read() as connection:
        left = {row.holder: row.expires_at - now_seconds(connection) for row in connection.execute(select(llm_leases))}
    assert left["one"] > LEASE_SECONDS - 5
    assert left["two"] <= 1.0


# --- per minute ------------------------------------------------------------------------------------------


def test_two_processes_send_no_more_requests_in_a_minute_than_allowed(database: Database, server: LlmServer) -> None:
    members = [Member(database, server, range(first, first + 25), rpm=30) for first in (0, 100)]
    try:
        for member in members:
            member.ready()
        for member in members:
            member.begin()
        wait_until(lambda: len(server.asks) >= 30)
        time.sleep(3.0)
        assert len(server.asks) == 30
    finally:
        for member in members:
            member.kill()
    with database.read() as connection:
        assert connection.execute(select(func.sum(llm_usage.c.requests))).scalar_one() == 30


PER_MINUTE = Terms("fleet", 30, None, {})
TOKENS = Terms("fleet", None, 1_000, {})


def admitted(found: Sequence[Admission]) -> int:
    return sum(admission.verdict is Verdict.ADMITTED for admission in found)


def seconds_pass(database: Database, seconds: int) -> None:
    """What is booked was booked so much earlier."""
    with database.write() as connection:
        connection.execute(update(llm_usage).values(second=llm_usage.c.second - seconds))


def test_the_31st_request_is_admitted_only_when_a_minute_has_gone_by(database: Database) -> None:
    found = admit(database, PER_MINUTE, [Want(1, 0)] * 40)
    assert admitted(found) == 30
    assert {admission.verdict for admission in found[30:]} == {Verdict.WAIT}
    assert all(60.0 < admission.seconds <= 62.0 for admission in found[30:])

    seconds_pass(database, 57)
    (early,) = admit(database, PER_MINUTE, [Want(1, 0)])
    assert early.verdict is Verdict.WAIT
    assert early.seconds < 6.0
    seconds_pass(database, 8)
    assert admitted(admit(database, PER_MINUTE, [Want(1, 0)] * 40)) == 30


def test_the_window_slides(database: Database) -> None:
    assert admitted(admit(database, PER_MINUTE, [Want(1, 0)] * 20)) == 20
    seconds_pass(database, 30)
    assert admitted(admit(database, PER_MINUTE, [Want(1, 0)] * 20)) == 10
    seconds_pass(database, 35)
    assert admitted(admit(database, PER_MINUTE, [Want(1, 0)] * 30)) == 20


def test_endpoints_do_not_share_limits(database: Database) -> None:
    admit(database, PER_MINUTE, [Want(1, 0)] * 30)
    assert admitted(admit(database, Terms("other", 30, None, {}), [Want(1, 0)] * 30)) == 30


def test_tokens_are_estimated_before_a_call_and_corrected_after_it(database: Database) -> None:
    first, second, third = admit(database, TOKENS, [Want(400, 0)] * 3)
    assert [first.verdict, second.verdict, third.verdict] == [Verdict.ADMITTED, Verdict.ADMITTED, Verdict.WAIT]
    with database.write() as connection:
        settle(connection, TOKENS, [Settlement(first.counted_in, token_correction=-300, reserved=0, cost=0)])
    assert admitted(admit(database, TOKENS, [Want(400, 0)] * 2)) == 1
    with database.write() as connection:
        settle(connection, TOKENS, [Settlement(second.counted_in, token_correction=+900, reserved=0, cost=0)])
    assert admitted(admit(database, TOKENS, [Want(1, 0)])) == 0


def test_a_call_larger_than_a_whole_minute_is_sent_when_it_is_alone(database: Database) -> None:
    assert admitted(admit(database, TOKENS, [Want(5_000, 0)] * 2)) == 1
    seconds_pass(database, 65)
    assert admitted(admit(database, TOKENS, [Want(5_000, 0)])) == 1


# --- budgets ---------------------------------------------------------------------------------------------


def worst_cost(request: LlmRequest) -> int:
    return round(PRICE.cost(len(request.payload.content), 0, 100) * NANO)


def spent(database: Database) -> dict[str, tuple[int, int]]:
    with database.read() as connection:
        return {row.scope: (row.spent, row.reserved) for row in connection.execute(select(budgets))}


def test_eight_processes_that_race_for_the_last_cent_never_spend_more_than_the_budget(
    database: Database, server: LlmServer
) -> None:
    cap = 40 * COST + worst_cost(question(0)) // 2
    caps = {"month:2026-11": cap / NANO}
    ends = fleet(
        [
            Member(database, server, range(first, first + 20), budgets=caps, concurrency=4)
            for first in range(0, 8_000, 1_000)
        ]
    )
    total = sum(ends, Counter())

    assert total["paid"] + total["budget"] == 160
    assert total["paid"] == len(server.asks) == count(database, llm_cache)
    money, reserved = spent(database)["month:2026-11"]
    assert money == len(server.asks) * COST
    assert reserved == 0
    # Nothing over, and nothing left that would have been enough for one more call at its worst.
    assert cap - worst_cost(question(0)) < money <= cap


def test_what_is_done_is_saved_and_a_larger_budget_asks_only_the_rest(database: Database, server: LlmServer) -> None:
    small = 5 * COST + worst_cost(question(0))
    (first,) = fleet([Member(database, server, range(20), budgets={"run:run-1": small / NANO})])
    paid = len(server.asks)
    assert first == {"paid": paid, "budget": 20 - paid}
    assert 0 < paid < 20

    (second,) = fleet([Member(database, server, range(20), budgets={"run:run-2": 1.0})])
    assert second == {"known": paid, "paid": 20 - paid}
    assert len(server.asks) == 20


def test_the_budgets_of_the_month_and_of_the_run_both_hold(database: Database) -> None:
    def both(run: int, month: int) -> Terms:
        return Terms("fleet", None, None, {"run:1": run / NANO, "month:1": month / NANO})

    assert admitted(admit(database, both(25, 100), [Want(1, 10)] * 5)) == 2
    assert admitted(admit(database, both(100, 35), [Want(1, 10)] * 5)) == 1
    assert spent(database) == {"run:1": (0, 30), "month:1": (0, 30)}
    with database.write() as connection:
        settle(connection, both(100, 35), [Settlement(0, 0, reserved=10, cost=4)] * 3)
    assert spent(database) == {"run:1": (12, 0), "month:1": (12, 0)}


def test_the_reservations_of_a_crashed_process_count_as_spent(database: Database) -> None:
    terms = Terms("fleet", None, None, {"month:1": 35 / NANO})
    assert admitted(admit(database, terms, [Want(1, 10)] * 3)) == 3
    # It is gone; nothing is ever settled.
    (verdict,) = {admission.verdict for admission in admit(database, terms, [Want(1, 10)] * 3)}
    assert verdict is Verdict.BLOCKED
    with database.read() as connection:
        assert find_budgets(connection, ["month:1", "month:2"]) == {"month:1": (0.0, 30 / NANO)}


def test_a_budget_that_is_spent_is_reached_and_not_waited_for(database: Database) -> None:
    terms = Terms("fleet", None, None, {"month:1": 35 / NANO})
    admit(database, terms, [Want(1, 10)])
    with database.write() as connection:
        settle(connection, terms, [Settlement(0, 0, reserved=10, cost=30)])
    assert [admission.verdict for admission in admit(database, terms, [Want(1, 10)])] == [Verdict.REACHED]
