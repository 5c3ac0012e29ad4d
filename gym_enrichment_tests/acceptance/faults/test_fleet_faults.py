"""`kill -9` of each part of a fleet, in the middle of a backfill."""

from gym_enrichment_tests.acceptance.faults.cases import Stage


def test_a_worker_with_all_its_runs_is_killed(stage: Stage) -> None:
    case = stage.backfill_in_its_middle()
    worker = stage.fleet.services["worker-optimized"]
    worker.kill()
    case.books.dead_leases_end()
    case.books.gate.opened.set()
    worker.start()
    case.assert_as_promised("The worker optimized@")
