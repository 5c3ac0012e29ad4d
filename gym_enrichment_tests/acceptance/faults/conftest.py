"""The fleet that the cases share, and the table of their results."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from gym_enrichment_tests.acceptance.conftest import asking, wait_for
from gym_enrichment_tests.acceptance.faults.cases import Backfill, Books, Stage
from gym_enrichment_tests.acceptance.fleets import running_fleet
from gym_enrichment_tests.llm_server import LlmServer


@pytest.fixture(scope="module")
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
                wait_for(f"backfills {backfill.launched} to be called ended", backfill.have_ended)


@pytest.fixture
def stage(_stage: Stage) -> Iterator[Stage]:
    """A fleet in good health; whatever the test broke runs again after it."""
    yield _stage
    _stage.heal()


_HEAD = """# Faults

What the last `make soak` found. Each case breaks something on real processes in the middle of a backfill or a run, and
ends with: every gym has its answer and is published, nothing was paid twice but what was on its way when it broke,
statistics agree with the ledger and the ledger with the server, and an operator can read what happened.

"Asks" are the requests that reached the LLM server, failed ones too; "paid twice" is the most that a provider could
charge for twice: what was on its way when it broke, and was asked again.

| case | seconds | gyms | asks | paid twice | verdict |
|---|--:|--:|--:|--:|---|
"""
_rows: list[str] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        case = item.name.removeprefix("test_").replace("_", " ")
        figures = "| | "
        if Books.made:
            books = Books.made[-1]
            figures = f"{len(books.names)} | {len(books.gate.asks)} | {books.paid_again().total()}"
        _rows.append(f"| {case} | {report.duration:.0f} | {figures} | {report.outcome} |\n")
        Books.made.clear()
    return report


def pytest_sessionfinish() -> None:
    if path := os.environ.get("GYM_FAULTS_TABLE"):
        Path(path).write_text(_HEAD + "".join(_rows))
