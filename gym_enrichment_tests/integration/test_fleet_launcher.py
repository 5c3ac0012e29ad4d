"""FleetRunLauncher's answer to "is the worker of this run alive?", asked of a real Valkey and a real Celery worker."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from celery import Celery
from dagster._core.launcher import WorkerStatus
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from deploy.servers import Valkey, free_port
from gym_enrichment.fleet.run_launcher import FleetRunLauncher
from gym_enrichment_tests.acceptance.conftest import REPOSITORY, wait_for

# A worker whose only task lasts until a file is there; it is told nothing of Dagster.
WORKER = """
import pathlib, sys, time
from gym_enrichment.fleet.run_launcher import FleetRunLauncher

url, end = sys.argv[1], pathlib.Path(sys.argv[2])
app = FleetRunLauncher("optimized", broker=url, backend=url).celery

@app.task(name="wait", track_started=True)
def wait():
    while not end.exists():
        time.sleep(0.05)

app.worker_main(["worker", "--queues", "optimized", "--concurrency", "1", "--hostname", "it@here"])
"""


class Worker:
    def __init__(self, url: str, folder: Path) -> None:
        self.end = folder / "end"
        self._command = [sys.executable, "-c", WORKER, url, str(self.end)]
        self._log = folder / "worker.log"

    def start(self) -> "Worker":
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        with self._log.open("ab") as sink:
            self.process = subprocess.Popen(
                self._command, stdout=sink, stderr=sink, env=environment, start_new_session=True
            )
        return self

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("valkey"), free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture
def worker(valkey: Valkey, tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(valkey.url, tmp_path).start()
    yield worker
    worker.kill()


def test_a_worker_is_asked_whether_it_has_the_run(valkey: Valkey, worker: Worker) -> None:
    launcher = FleetRunLauncher("optimized", broker=valkey.url, backend=valkey.url)
    app: Celery = launcher.celery
    task = app.signature("wait", queue="optimized").apply_async()
    run = dg.DagsterRun(job_name="any", tags={DAGSTER_CELERY_TASK_ID_TAG: task.id})

    def health() -> tuple[WorkerStatus, str]:
        found = launcher.check_run_worker_health(run)
        return found.status, found.msg or ""

    wait_for("the task to begin", lambda: task.state == "STARTED")
    assert health() == (WorkerStatus.RUNNING, "")
    worker.kill()
    # Silence is not death yet: it may have lost the broker for a moment.
    assert health() == (WorkerStatus.RUNNING, "")
    worker.start()
    wait_for("the worker to be back", lambda: app.control.ping(timeout=1.0))
    assert health() == (WorkerStatus.FAILED, "The worker it@here was restarted and lost the run.")


def test_a_run_that_its_worker_is_done_with_and_that_goes_on_is_lost(valkey: Valkey, worker: Worker) -> None:
    launcher = FleetRunLauncher("optimized", broker=valkey.url, backend=valkey.url)
    worker.end.touch()
    task = launcher.celery.signature("wait", queue="optimized").apply_async()
    wait_for("the task to end", lambda: task.state == "SUCCESS")
    run = dg.DagsterRun(job_name="any", tags={DAGSTER_CELERY_TASK_ID_TAG: task.id})
    found = launcher.check_run_worker_health(run)
    assert found.status is WorkerStatus.FAILED
    assert "could not write how it ended" in str(found.msg)


def test_a_run_that_was_given_to_no_worker_is_told_to_be_so(valkey: Valkey) -> None:
    launcher = FleetRunLauncher("optimized", broker=valkey.url, backend=valkey.url)
    found = launcher.check_run_worker_health(dg.DagsterRun(job_name="any"))
    assert (found.status, found.msg) == (WorkerStatus.UNKNOWN, "The run was given to no worker.")
