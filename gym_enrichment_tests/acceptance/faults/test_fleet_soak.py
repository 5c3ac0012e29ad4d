"""The faults of a fleet that take long or are rare: `make soak` runs them, `make test` does not."""

from functools import partial

import psycopg
import pytest
from sqlalchemy import delete, text

from deploy.fleet import Service
from gym_enrichment.storage import tables
from gym_enrichment.storage.engine import head_revision
from gym_enrichment_tests.acceptance.conftest import wait_for
from gym_enrichment_tests.acceptance.faults.cases import Gate, Stage, bearing_outages
from gym_enrichment_tests.llm_server import Ask, Reply, good_content

pytestmark = pytest.mark.soak

_LOCATION = """
{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError {
  __typename ... on PythonError { message causes { message } }
} } } } }
"""
_DELETE_KEYS = """
mutation($selector: RepositorySelector!, $keys: [String!]!) {
  deleteDynamicPartitions(repositorySelector: $selector, partitionsDefName: "gym_batch", partitionKeys: $keys) {
    __typename
  }
}
"""


def another(stage: Stage, name: str, *more: str, **variables: str) -> Service:
    """A second process of a service, with other variables or with more arguments; started, not waited for."""
    home = stage.fleet.home / "logs" / f"another-{name}"
    home.mkdir(exist_ok=True)
    service = Service(name, home, {**stage.fleet.variables, **variables}, lambda: True, more)
    service.spawn()
    return service


def test_a_worker_is_killed_and_never_comes_back(stage: Stage) -> None:
    case = stage.backfill_in_its_middle()
    stage.fleet.services["worker-optimized"].kill()
    case.books.dead_leases_end()
    case.books.gate.opened.set()
    other = another(stage, "worker-optimized", "--hostname", "other@%h")
    try:
        case.assert_as_promised("has been silent for")
    finally:
        other.stop()


def test_the_code_server_is_killed(stage: Stage) -> None:
    case = stage.backfill_in_its_middle()
    stage.fleet.services["code-server"].kill()
    case.books.gate.opened.set()
    case.wait_for_runs()
    stage.fleet.services["code-server"].start()
    case.books.in_flight = ()
    case.assert_as_promised()


def test_the_admin_webserver_is_killed(stage: Stage) -> None:
    case = stage.backfill_in_its_middle()
    stage.fleet.services["webserver-admin"].kill()
    case.books.gate.opened.set()
    wait_for("all gyms to be enriched", case.books.all_published)
    stage.fleet.services["webserver-admin"].start()
    case.books.in_flight = ()
    case.assert_as_promised()


def test_postgres_is_restarted_under_load_again_and_again(stage: Stage) -> None:
    case = stage.prepare()

    def slowly(ask: Ask) -> Reply:
        case.books.gate.asks.append(ask.name)
        return Reply(good_content(ask.name), delay=0.3)

    stage.server.script = slowly
    case.launch_again()
    # The third request: both runs ask by then.
    for asked in (3, 5, 7):
        wait_for("requests", partial(reached, case.books.gate, asked))
        stage.fleet.postgres.stop()
        stage.fleet.postgres.start()
    case.books.in_flight = case.books.names
    case.assert_as_promised("connection", "worker")


def reached(gate: Gate, asked: int) -> bool:
    return len(gate.asks) >= asked


def test_postgres_has_no_connection_left(stage: Stage) -> None:
    case = stage.backfill_in_its_middle()
    taken: list[psycopg.Connection] = []
    try:
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            take_all(stage.fleet.postgres.url(), taken)
        case.books.gate.opened.set()
        wait_for("the answers to be given", lambda: stage.server.in_flight == 0)
    finally:
        for connection in taken:
            connection.close()
    case.books.in_flight = ()
    case.assert_as_promised("too many clients", "could not write how it ended")


def take_all(url: str, taken: list[psycopg.Connection]) -> None:
    while True:
        taken.append(psycopg.connect(url))


def test_two_daemons_at_once(stage: Stage) -> None:
    other = another(stage, "daemon")
    try:
        case = stage.backfill_in_its_middle()
        case.books.gate.opened.set()
        case.books.in_flight = ()
        case.assert_as_promised("has already")
    finally:
        other.stop()


def test_a_worker_that_is_older_than_the_schema_refuses_and_says_so(stage: Stage) -> None:
    case = stage.prepare()
    case.books.gate.opened.set()
    newer = "9999_of_tomorrow"
    set_revision(stage, newer)
    try:
        case.launch_again()
        told = case.wait_for_runs()
        assert [run.status for run in told] == ["FAILURE", "FAILURE"]
        case.assert_readable(told, f"{newer} is ahead of this version ({head_revision()}): upgrade gym-enrichment")
        assert case.books.gate.asks == []
    finally:
        set_revision(stage, head_revision())
    case.launch_again()
    case.assert_as_promised()


def set_revision(stage: Stage, revision: str) -> None:
    with stage.user.database.unchecked_engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def test_a_code_location_that_does_not_load_is_mended(stage: Stage) -> None:
    case = stage.backfill_in_its_middle()
    code_server = stage.fleet.services["code-server"]
    code_server.stop()
    broken = another(stage, "code-server", GYM_BATCH_SIZE="many")
    wait_for("the code server to end", lambda: not broken.is_running)
    assert "GYM_BATCH_SIZE" in broken.log.read_text()
    case.books.gate.opened.set()
    case.wait_for_runs()
    code_server.start()
    case.books.in_flight = ()
    case.assert_as_promised()

    def loaded() -> bool:
        entries = stage.fleet.graphql(_LOCATION)["workspaceOrError"]["locationEntries"]
        return [entry["locationOrLoadError"]["__typename"] for entry in entries] == ["RepositoryLocation"]

    wait_for("the code location to be loaded again", bearing_outages(loaded))


def test_a_batch_is_deleted_while_it_runs(stage: Stage) -> None:
    case = stage.backfill_in_its_middle()
    gone = case.batches[-1]
    with stage.user.database.write() as connection:
        for table in (tables.bundles, tables.batch_members, tables.batches):
            connection.execute(delete(table).where(table.c.batch_id == gone))
    selector = {"repositoryName": "__repository__", "repositoryLocationName": "gym_enrichment"}
    stage.fleet.graphql(_DELETE_KEYS, selector=selector, keys=[gone])
    case.books.gate.opened.set()
    case.books.in_flight = ()
    told = case.wait_for_runs()
    assert sorted(run.status for run in told) == ["FAILURE", "SUCCESS"]
    case.assert_readable(told, f"{gone} was deleted")
    # Its gyms have no batch any more: the next look gives them a new one, and what was answered is not paid again.
    case.batches = [*case.batches[:-1], *stage.user.make_batches()]
    case.launch_again()
    case.assert_as_promised()
