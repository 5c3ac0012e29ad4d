"""A backfill that is stopped in its middle, and the four things that must be true after any fault.

What must not live here: how something breaks (the tests).
"""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.exc import DBAPIError

from deploy.fleet import Fleet
from gym_enrichment.pipeline.statistics import statistics
from gym_enrichment.storage import tables
from gym_enrichment.storage.engine import Database
from gym_enrichment_tests.acceptance.conftest import API_KEY, User, wait_for
from gym_enrichment_tests.acceptance.fleets import ENDED, backfill
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good_content

Found = TypeVar("Found")

SECRETS = (API_KEY, "vestiaires propres")
"""The key, and words of every review."""
_BACKFILL_ENDED = {"COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED"}
_BACKFILL = """
query($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } }
}
"""
_RUNS = """
query($id: String!) {
  runsOrError(filter: {tags: [{key: "dagster/backfill", value: $id}]}) {
    ... on Runs { results {
      runId status
      eventConnection(limit: 1000) { events {
        __typename
        ... on MessageEvent { message }
        ... on ErrorEvent { error { message causes { message } } }
      } }
    } }
  }
}
"""


class Gate:
    """An LLM server's script that answers the first requests and holds the others until it is opened."""

    def __init__(self, answered: int) -> None:
        self.answered = answered
        self.asks: list[str] = []
        self.opened = threading.Event()

    def __call__(self, ask: Ask) -> Reply:
        self.asks.append(ask.name)
        # A server that lives again is not held up again: the gate opens for good.
        return Reply(good_content(ask.name), until=self.opened if len(self.asks) > self.answered else None)

    @property
    def held(self) -> list[str]:
        return [] if self.opened.is_set() else self.asks[self.answered :]


@dataclass(frozen=True)
class Told:
    """What a failed or cancelled run tells an operator."""

    status: str
    messages: str


@dataclass
class Books:
    """Which gyms a case is about, and what they may have cost."""

    database: Database
    gate: Gate
    names: Sequence[str]
    in_flight: Collection[str] = ()
    """The gyms that were being asked about when it broke."""
    made: ClassVar[list["Books"]] = []
    """All there were, for the table of results."""

    def __post_init__(self) -> None:
        self.made.append(self)

    def wait_for_the_middle(self, held: int) -> None:
        """Some gyms are answered and saved, and `held` requests are on their way."""
        wait_for("requests to be on their way", lambda: len(self.gate.held) == held)
        wait_for("the first answers to be saved", lambda: self._known() == self.gate.answered)
        self.in_flight = list(self.gate.held)

    def assert_nothing_lost(self) -> None:
        """Every gym has its own answer, and it is published."""
        directory = tables.gym_directory
        with self.database.read() as connection:
            rows = connection.execute(select(directory).where(directory.c.name.in_(self.names))).all()
        assert sorted(row.name for row in rows) == sorted(self.names)
        assert {row.name: row.state for row in rows} == dict.fromkeys(self.names, "enriched")
        assert [row.name for row in rows if not row.description.startswith(row.name)] == []

    def all_published(self) -> bool:
        """Whether every gym is enriched; False too while the database is away."""
        mine = tables.gym_directory.c.name.in_(self.names), tables.gym_directory.c.state == "enriched"
        try:
            with self.database.read() as connection:
                query = select(func.count()).select_from(tables.gym_directory).where(*mine)
                return connection.execute(query).scalar_one() == len(self.names)
        except DBAPIError:
            return False

    def assert_none_paid_twice(self) -> None:
        """Asked again was only what was on its way when it broke, once; a call that failed is not paid for."""
        again = self.paid_again()
        assert set(again) <= set(self.in_flight)
        assert set(again.values()) <= {1}

    def paid_again(self) -> Counter[str]:
        """How often more than once each gym was asked about, but for calls that were booked as failed."""
        ledger = tables.ledger
        free = self._mine(), ledger.c.outcome.not_in(("ok", "cancelled"))
        with self.database.read() as connection:
            failed = Counter(map(_name, connection.execute(select(ledger.c.place_id).where(*free)).scalars()))
        return Counter(self.gate.asks) - failed - Counter(self.names)

    def assert_reconciled(self) -> None:
        """Statistics say what the ledger says, and that what the server says, but for calls that a kill cut off."""
        ledger = tables.ledger
        with self.database.read() as connection:
            booked = Counter(connection.execute(select(ledger.c.outcome).where(self._mine())).scalars())
            tokens, attempts = connection.execute(select(func.sum(ledger.c.prompt_tokens), func.count())).one()
            open_leases = connection.execute(select(func.count()).select_from(tables.llm_leases)).scalar_one()
        found = statistics(self.database)
        assert found["all_time"]["llm_calls"] == sum(found["attempts"].values()) == attempts
        assert found["all_time"]["prompt_tokens"] == sum(row["prompt_tokens"] for row in found["days"]) == tokens
        assert booked["ok"] == len(self.names)
        assert 0 <= len(self.gate.asks) - booked.total() <= len(self.in_flight)
        assert open_leases == 0

    def dead_leases_end(self) -> None:
        """Half a minute goes by for those whose holders are dead: nobody else holds one."""
        with self.database.write() as connection:
            connection.execute(update(tables.llm_leases).values(expires_at=0.0))

    def _known(self) -> int:
        with self.database.read() as connection:
            query = select(func.count()).select_from(tables.ledger).where(self._mine(), tables.ledger.c.outcome == "ok")
            return connection.execute(query).scalar_one()

    def _mine(self) -> ColumnElement[bool]:
        return tables.ledger.c.place_id.in_([f"gym-{name.removeprefix('Salle ')}" for name in self.names])


def _name(place_id: str) -> str:
    return f"Salle {place_id.removeprefix('gym-')}"


@dataclass
class Backfill:
    """A backfill of eight new gyms, in two runs of two batches each, two requests of each on their way at once."""

    fleet: Fleet
    user: User
    books: Books
    batches: Sequence[str]
    launched: list[str] = field(default_factory=list)

    GYMS, BATCH_SIZE, BATCHES_A_RUN, CONCURRENCY, ANSWERED = 8, 2, 2, 2, 2
    IN_FLIGHT = 4

    def launch_again(self) -> None:
        """As an operator does, again if the UI says that the database was away."""
        launch = bearing_outages(lambda: backfill(self.fleet, list(self.batches)))
        self.launched.append(wait_for("a backfill to be launched", launch))

    def runs(self) -> list[dict[str, Any]]:
        """Those of the newest backfill."""
        found: list[dict[str, Any]] = self.fleet.graphql(_RUNS, id=self.launched[-1])["runsOrError"]["results"]
        return found

    def have_ended(self) -> bool:
        """Whether Dagster says so of every backfill that was launched; it looks at them every half minute."""
        found = [self.fleet.graphql(_BACKFILL, id=launched) for launched in self.launched]
        return {each["partitionBackfillOrError"]["status"] for each in found} <= _BACKFILL_ENDED

    def wait_for_runs(self, count: int = 2, seconds: float = 180.0) -> list[Told]:
        """What the runs tell, once there are `count` and none goes on."""

        def ended() -> list[Told] | None:
            runs = self.runs()
            over = len(runs) >= count and {run["status"] for run in runs} <= ENDED
            return [Told(run["status"], _text(run)) for run in runs] if over else None

        return wait_for(f"{count} runs of backfill {self.launched[-1]} to end", bearing_outages(ended), seconds=seconds)

    def assert_as_promised(self, *reasons: str) -> None:
        """The four: no gym lost, none paid twice, statistics reconcile, and a state that an operator can read.

        Args:
            reasons: of which each run that did not succeed names one.
        """
        wait_for("all gyms to be enriched", bearing_outages(self.books.all_published), seconds=180)
        told = self.wait_for_runs()
        self.books.assert_nothing_lost()
        self.books.assert_none_paid_twice()
        self.books.assert_reconciled()
        self.assert_readable(told, *reasons)

    def assert_readable(self, told: Sequence[Told], *reasons: str) -> None:
        for run in told:
            if run.status != "SUCCESS":
                assert any(reason in run.messages for reason in reasons), run.messages
            assert [secret for secret in SECRETS if secret in run.messages] == []
        for log in self.fleet.home.rglob("*.log"):
            assert [secret for secret in SECRETS if secret in log.read_text(errors="replace")] == [], log


class Stage:
    """A fleet that is broken and mended again, case after case; each case has gyms of its own."""

    def __init__(self, fleet: Fleet, user: User, server: LlmServer) -> None:
        self.fleet = fleet
        self.user = user
        self.server = server
        self.backfills: list[Backfill] = []
        self._gyms = 0

    def prepare(self) -> Backfill:
        """New gyms, and their batches; nothing is launched."""
        first = self._gyms + 1
        self._gyms += Backfill.GYMS
        self.user.take_in(Backfill.GYMS, first)
        batches = self.user.make_batches()
        gate = Gate(Backfill.ANSWERED)
        self.server.script = gate
        names = [f"Salle {number:04d}" for number in range(first, first + Backfill.GYMS)]
        found = Backfill(self.fleet, self.user, Books(self.user.database, gate, names), batches)
        self.backfills.append(found)
        return found

    def backfill_in_its_middle(self) -> Backfill:
        """A backfill with four requests on their way, two in each of its runs."""
        found = self.prepare()
        found.launch_again()
        found.books.wait_for_the_middle(Backfill.IN_FLIGHT)
        return found

    def heal(self) -> None:
        """Whatever a case left broken runs again, and whatever it left waiting is answered."""
        for case in self.backfills:
            case.books.gate.opened.set()
        for server in (self.fleet.postgres, self.fleet.valkey, *self.fleet.services.values()):
            if not server.is_running:
                server.start()


def bearing_outages(look: Callable[[], Found | None]) -> Callable[[], Found | None]:
    """`look`, to which an error of the webserver or of the network is nothing found."""

    def bearing() -> Found | None:
        try:
            return look()
        except OSError:
            return None

    return bearing


def _text(run: dict[str, Any]) -> str:
    lines: list[str] = []
    for event in run["eventConnection"]["events"]:
        lines.append(event.get("message") or "")
        error = event.get("error")
        if error:
            lines += [error["message"], *(cause["message"] for cause in error["causes"])]
    return "\n".join(lines)
