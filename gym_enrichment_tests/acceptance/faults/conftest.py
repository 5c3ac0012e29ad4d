"""The fleet that the cases share."""

from collections.abc import Iterator

import pytest

from gym_enrichment_tests.acceptance.conftest import asking, wait_for
from gym_enrichment_tests.acceptance.faults.cases import Backfill, Stage
from gym_enrichment_tests.acceptance.fleets import running_fleet
from gym_enrichment_tests.llm_server import LlmServer


@pytest.fixture(scope="session")
def _stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with LlmServer() as server:
        variables = {
            **asking(server),
            "GYM_BATCH_SIZE": str(Backfill.BATCH_SIZE),
            "GYM_PARTITIONS_PER_RUN": str(Backfill.BATCHES_A_RUN),
            "GYM_LLM_CONCURRENCY": str(Backfill.CONCURRENCY),
        }
        monitoring = {"poll_interval_seconds": 1, "cancel_timeout_seconds": 10, "free_slots_after_run_end_seconds": 1}
        with running_fleet(tmp_path_factory.mktemp("faults"), variables, monitoring) as (fleet, user):
            stage = Stage(fleet, user, server)
            yield stage
            for backfill in stage.backfills:
                wait_for(f"backfill {backfill.backfill_id} to be called ended", backfill.has_ended)


@pytest.fixture
def stage(_stage: Stage) -> Iterator[Stage]:
    """A fleet in good health; whatever the test broke runs again after it."""
    yield _stage
    _stage.heal()
