"""The run launcher of a fleet: Dagster's CeleryRunLauncher, and an answer to "is the worker of this run alive?".

What must not live here: how a run is executed (Dagster), and how often we look (run_monitoring in dagster.yaml).
"""

from typing import Any

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

_ANSWER_SECONDS = 2.0
_QUESTIONS = 3


class FleetRunLauncher(CeleryRunLauncher):
    """Runs are Celery tasks; a run whose worker is gone is told to run monitoring as failed.

    CeleryRunLauncher believes the result backend, and that says `STARTED` for ever of a task whose worker was
    killed: its run would hold its place in the queue until somebody looked. So the worker is asked.
    """

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """What became of a run's worker; the broker is asked only about runs that the backend calls started."""
        task_id = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if task_id is None:
            # The tag is written after the task is sent: a daemon killed between the two leaves none.
            return CheckRunHealthResult(WorkerStatus.UNKNOWN, "The run was given to no worker.")
        found = super().check_run_worker_health(run)
        if found.status is not WorkerStatus.RUNNING:
            return found
        worker = _hostname(self.celery.AsyncResult(task_id).info)
        if worker is None or self._is_at_work(worker, task_id):
            return found
        return CheckRunHealthResult(WorkerStatus.FAILED, f"The worker {worker} is gone, or does not know the run.")

    def _is_at_work(self, worker: str, task_id: str) -> bool:
        """Whether the worker says that it has the task; silence counts only after several questions."""
        for _ in range(_QUESTIONS):
            inspect = self.celery.control.inspect(destination=[worker], timeout=_ANSWER_SECONDS)
            answers: dict[str, Any] = inspect.query_task(task_id) or {}
            if worker in answers:
                return task_id in answers[worker]
        return False


def _hostname(info: object) -> str | None:
    """The worker's name in what Celery stores of a started task (`task_track_started`)."""
    return info.get("hostname") if isinstance(info, dict) else None
