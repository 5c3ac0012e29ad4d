"""Dagster's daemon, looking at backfills more often: `python -m gym_enrichment.fleet.daemon run --workspace ...`.

Everything after the module's name is dagster-daemon's own command line.

What must not live here: settings that dagster.yaml has.
"""

from dagster._daemon import controller
from dagster._daemon.cli import main

BACKFILL_SECONDS = 5
"""Dagster's own 30 s has no setting. A backfill is begun, and is seen to have ended, only when it is looked at: its
user would wait for half a minute in all, whatever its size."""

# Read anew for every look (dagster._daemon.backfill).
controller.DEFAULT_DAEMON_INTERVAL_SECONDS = BACKFILL_SECONDS

if __name__ == "__main__":
    main()
