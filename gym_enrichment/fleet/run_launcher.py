"""The run launcher of a fleet: Dagster's CeleryRunLauncher, and an answer to "is the worker of this run alive?".

What must not live here: how a run is executed (Dagster), and how often we look (run_monitoring in dagster.yaml).
"""

import time
from typing import Any

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

_ANSWER_SECONDS = 2.0
SILENCE_SECONDS = 60.0
"""How long a worker may say nothing: one that lost the broker tries to reach it again every 30 s at the latest."""


class FleetRunLauncher(CeleryRunLauncher):
    """Runs are Celery tasks; a run whose worker is gone is told to run monitoring as failed.

    CeleryRunLauncher believes the result backend, and that says `STARTED` for ever of a task whose worker was
    killed: its run would hold its place in the queue until somebody looked. So the worker is asked.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._silent_since: dict[str, float] = {}

    def terminate(self, run_id: str) -> bool:
        """Interrupt a run, which then ends as cancelled; whether there was one to interrupt.

        CeleryRunLauncher does not say first that it is wanted: the run would call itself failed, and be tried again.
        """
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        if (task_id := run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)) is not None:
            self.celery.AsyncResult(task_id).revoke(terminate=True)
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """What became of a run's worker; raises what the broker raises while it is away."""
        task_id = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if task_id is None:
            # The tag is written after the task is sent: a daemon killed between the two leaves none.
            return CheckRunHealthResult(WorkerStatus.UNKNOWN, "The run was given to no worker.")
        found = super().check_run_worker_health(run)
        if found.status is WorkerStatus.SUCCESS:
            # Said of a run that goes on: its end could not be written. Monitoring looks again at the run itself first.
            return CheckRunHealthResult(
                WorkerStatus.FAILED, "Its worker is done with the run, and could not write how it ended."
            )
        if found.status is not WorkerStatus.RUNNING:
            return found
        worker = _hostname(self.celery.AsyncResult(task_id).info)
        return found if worker is None else self._ask(worker, task_id)

    def _ask(self, worker: str, task_id: str) -> CheckRunHealthResult:
        """Whether the worker says that it has the task; its silence is believed only when it lasts."""
        inspect = self.celery.control.inspect(destination=[worker], timeout=_ANSWER_SECONDS)
        answers: dict[str, Any] = inspect.query_task(task_id) or {}
        if worker in answers:
            self._silent_since.pop(task_id, None)
            if task_id in answers[worker]:
                return CheckRunHealthResult(WorkerStatus.RUNNING)
            return CheckRunHealthResult(WorkerStatus.FAILED, f"The worker {worker} was restarted and lost the run.")
        silent = time.monotonic() - self._silent_since.setdefault(task_id, time.monotonic())
        if silent < SILENCE_SECONDS:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        del self._silent_since[task_id]
        return CheckRunHealthResult(WorkerStatus.FAILED, f"The worker {worker} has been silent for {silent:.0f} s.")


def _hostname(info: object) -> str | None:
    """The worker's name in what Celery stores of a started task (`task_track_started`)."""
    return info.get("hostname") if isinstance(info, dict) else None
