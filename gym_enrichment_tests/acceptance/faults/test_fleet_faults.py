"""`kill -9` of parts of a fleet in the middle of a backfill, and a backfill that is cancelled and launched again."""

from gym_enrichment_tests.acceptance.conftest import wait_for
from gym_enrichment_tests.acceptance.faults.cases import Backfill, Stage

_CANCEL = "mutation($id: String!) { cancelPartitionBackfill(backfillId: $id) { __typename } }"


def test_a_worker_with_all_its_runs_is_killed(stage: Stage) -> None:
    case = stage.backfill_in_its_middle()
    worker = stage.fleet.services["worker-optimized"]
    worker.kill()
    case.books.dead_leases_end()
    case.books.gate.opened.set()
    worker.start()
    case.assert_as_promised("The worker optimized@")


def answers_arrive(stage: Stage, case: Backfill) -> None:
    case.books.gate.opened.set()
    wait_for("the answers to be given", lambda: stage.server.in_flight == 0)


def test_postgres_is_killed_and_answers_arrive_while_it_is_away(stage: Stage) -> None:
    case = stage.backfill_in_its_middle()
    stage.fleet.postgres.kill()
    answers_arrive(stage, case)
    stage.fleet.postgres.start()
    case.books.in_flight = ()
    case.assert_as_promised()


def test_valkey_is_killed_and_started_again_on_its_data(stage: Stage) -> None:
    case = stage.backfill_in_its_middle()
    stage.fleet.valkey.kill()
    answers_arrive(stage, case)
    stage.fleet.valkey.start()
    case.books.in_flight = ()
    case.assert_as_promised()


def test_the_daemon_is_killed(stage: Stage) -> None:
    case = stage.backfill_in_its_middle()
    daemon = stage.fleet.services["daemon"]
    daemon.kill()
    answers_arrive(stage, case)
    daemon.start()
    case.books.in_flight = ()
    case.assert_as_promised()


def test_a_cancelled_backfill_is_launched_again(stage: Stage) -> None:
    case = stage.backfill_in_its_middle()
    stage.fleet.graphql(_CANCEL, id=case.launched[-1])
    told = case.wait_for_runs()
    assert [run.status for run in told] == ["CANCELED", "CANCELED"]
    case.assert_readable(told, "cancel")
    case.books.gate.opened.set()
    case.launch_again()
    case.assert_as_promised()
