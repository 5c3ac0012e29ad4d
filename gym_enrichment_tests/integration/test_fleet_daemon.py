"""The daemon of a fleet: Dagster's own loop over backfills, with a shorter pause."""

import logging
import threading

import dagster as dg
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.backfill import execute_backfill_iteration_loop

from gym_enrichment.fleet.daemon import BACKFILL_SECONDS


class Pause(threading.Event):
    """Notes how long the loop wants to wait, and does not wait."""

    wanted: float | None = None

    def wait(self, timeout: float | None = None) -> bool:
        self.wanted = timeout
        return True


def test_backfills_are_looked_at_every_few_seconds() -> None:
    pause = Pause()
    with (
        dg.instance_for_test() as instance,
        create_test_daemon_workspace_context(EmptyWorkspaceTarget(), instance) as context,
    ):
        loop = execute_backfill_iteration_loop(context, logging.getLogger(), pause)
        while pause.wanted is None:
            next(loop)
    assert 0 <= pause.wanted <= BACKFILL_SECONDS
