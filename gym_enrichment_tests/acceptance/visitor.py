"""Who looks for what must not be told: reads all pages of Dagster's UI, and all that a fleet writes down.

What must not live here: what is looked for.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from playwright.sync_api import Browser
from psycopg.sql import SQL, Identifier

from deploy.fleet import Fleet
from gym_enrichment_tests.acceptance.fleets import runs
from gym_enrichment_tests.dagster_ui import WINDOW, DagsterUi

ENTRIES = """
  metadataEntries {
    label description
    ... on TextMetadataEntry { text }
    ... on JsonMetadataEntry { jsonString }
    ... on PathMetadataEntry { path }
  }
"""
ERROR = "error { className message stack causes { className message stack } }"
EVENTS = f"""
query($run: ID!) {{
  logsForRun(runId: $run, limit: 1000) {{
    ... on EventConnection {{
      events {{
        ... on MessageEvent {{ message eventType }}
        ... on DisplayableEvent {{ label description {ENTRIES} }}
        ... on ErrorEvent {{ {ERROR} }}
        ... on ExecutionStepFailureEvent {{ failureMetadata {{ description {ENTRIES} }} }}
        ... on LogsCapturedEvent {{ fileKey }}
      }}
    }}
  }}
}}
"""

PAGES = {
    "/overview": "gym_enrichment",
    "/runs": "Launched by",
    "/runs?view=backfills": "partitions",
    "/assets": "rollout_status",
    "/assets/raw_gyms": "one row per place_id",
    "/assets/raw_reviews": "quarantined",
    "/assets/review_bundles?view=partitions": "Missing (0)",
    "/assets/review_bundles?view=events": "left_out_",
    "/assets/gym_enrichments": "completion_tokens",
    "/assets/gym_enrichments?view=events": "completion_tokens",
    "/assets/gym_enrichments?view=partitions&partition=batch-000003": "completion_tokens",
    "/assets/gym_enrichments?view=checks": "Passed",
    "/assets/gym_directory?view=events": "changed",
    "/assets/gym_directory?view=checks": "Passed",
    "/assets/enrichment_report": "reviews_quoted",
    "/jobs": "enrich_batches",
    "/locations/gym_enrichment/jobs/enrich_batches": "2 assets",
    "/automation": "moved_gyms_sensor",
    "/locations/gym_enrichment/schedules/changed_reviews_schedule": "Every hour",
    "/deployment/locations": "Loaded",
    "/deployment/daemons": "Backfill",
    "/deployment/concurrency": "llm",
    "/deployment/config": "FleetRunLauncher",
    "/locations/gym_enrichment": "dagster-postgres",
    "/locations/gym_enrichment/resources/gym_pipeline": "Uses",
}
"""Pages that everybody who reaches the UI can read, each with something that must be on it; runs and ticks apart."""


TELLING = ("failures", "alerts", "ledger", "batch_runs")
"""Our tables that are shown to people; others hold reviews because that is what they are for."""


# A fleet keeps none (deploy/dagster.yaml): what runs print is in the logs of the workers.
_RAW_LOG = "No log file available"


class Visitor:
    """Somebody who only reads: remembers what pages say and all that the browser is sent for them.

    Args:
        browser: an open browser.
        fleet: whose UI is read.
        har: a new file for GraphQL's answers and raw logs.
    """

    def __init__(self, browser: Browser, fleet: Fleet, har: Path) -> None:
        self._fleet = fleet
        self._har = har
        self._told: list[str] = []
        # The application itself is megabytes of Dagster's.
        sent = re.compile(r"^(?!.*\.(js|css|woff2?|svg|png)(\?|$))")
        self._context = browser.new_context(viewport=WINDOW, record_har_path=har, record_har_url_filter=sent)
        page = self._context.new_page()
        page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: self._told.append(str(frame))))
        self._ui = DagsterUi(page, fleet.admin_url)

    def read(self, path: str, sign: str) -> None:
        self._told.append(self._ui.visit(path, sign))

    def press(self, button: str, sign: str) -> None:
        self._ui.press(button)
        self._told.append(self._ui.read(sign))

    def read_runs(self) -> None:
        """All runs with their events and raw logs, their backfills, and the ticks of sensors with their logs."""
        for run in runs(self._fleet):
            for file in raw_logs(self._fleet, run["runId"]):
                self.read(f"/runs/{run['runId']}?logType=stderr&logFileKey={file}", _RAW_LOG)
                self.press("stdout", _RAW_LOG)
                self.press("Events", "Process for run exited")
        tags = [tag for run in runs(self._fleet) for tag in run["tags"]]
        for backfill in {tag["value"] for tag in tags if tag["key"] == "dagster/backfill"}:
            self.read(f"/runs/b/{backfill}", "gym_enrichments")
        for sensor in ("new_gyms_sensor", "alerts_sensor"):
            self.read(f"/locations/gym_enrichment/sensors/{sensor}", "View logs")
            self.press("View logs", "Timestamp")

    def leave(self) -> str:
        """Everything, as one text."""
        self._context.close()
        return "\n".join([*self._told, self._har.read_text(encoding="utf-8")])


def events(fleet: Fleet, run: str) -> list[dict[str, Any]]:
    """The events of a run, as GraphQL tells them."""
    found: list[dict[str, Any]] = fleet.graphql(EVENTS, run=run)["logsForRun"]["events"]
    return found


def raw_logs(fleet: Fleet, run: str) -> list[str]:
    """The names of what a run's process wrote to stdout and stderr."""
    return [event["fileKey"] for event in events(fleet, run) if "fileKey" in event]


def rows_of(url: str, tables: Sequence[str] = ()) -> str:
    """All rows of some tables of a database, or of all its tables."""
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'").fetchall()
        names = tables or [name for (name,) in found]
        rows = [connection.execute(SQL("SELECT t::text FROM {} t").format(Identifier(name))) for name in names]
        return "\n".join(str(text) for cursor in rows for (text,) in cursor)


def files_below(fleet: Fleet) -> str:
    """All files that a fleet leaves: logs, raw logs of runs, what the broker was told.

    Not Postgres's own data, nor the proxy's configuration, which knows the hash of the password by which it lets in.
    """
    found = (path for home in (fleet.home, fleet.valkey.home) for path in home.rglob("*") if path.is_file())
    apart = {fleet.postgres.home / "data", Path(fleet.variables["XDG_CONFIG_HOME"]) / "caddy", fleet.home / "exports"}
    kept = [path for path in found if apart.isdisjoint(path.parents)]
    return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in [*kept, fleet.postgres.log])
