"""A running fleet for acceptance tests, and what users do with it, or with `dagster dev`.

What must not live here: data of one test.
"""

import base64
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from deploy.fleet import Fleet
from gym_enrichment_tests.acceptance.conftest import User, wait_for

CADDY = shutil.which("caddy") is not None
QUEUE = "dagster-celery/queue"

ASSETS = [{"path": ["review_bundles"]}, {"path": ["gym_enrichments"]}]
_BACKFILL = """
mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
_RUNS = "{ runsOrError { ... on Runs { results { runId status tags { key value } } } } }"
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}


@contextmanager
def running_fleet(
    folder: Path, variables: Mapping[str, str], monitoring: Mapping[str, int] | None = None
) -> "Iterator[tuple[Fleet, User]]":
    """A fleet with these settings, and a user whose `settings`, `database` and CLI are the fleet's own."""
    user = User(folder, variables)
    for path in (user.work, folder / "user"):
        path.mkdir(parents=True)
    with ExitStack() as stack:
        fleet = Fleet(user.home, variables, monitoring=monitoring)
        # Root's databases lie in /var/tmp, where nobody cleans up.
        stack.callback(shutil.rmtree, fleet.postgres.home, ignore_errors=True)
        stack.enter_context(fleet)
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        ours = {name: fleet.variables[name] for name in ("GYM_DATABASE_URL", "DAGSTER_DATABASE_URL", "GYM_BROKER_URL")}
        for name in ("DAGSTER_DATABASE_URL", "GYM_BROKER_URL"):
            # What dagster.yaml takes from the environment: the tests open the fleet's instance too. No setting of ours:
            # a fleet that lives as long as the session must not be the database of the tests beside it.
            patch.setenv(name, ours[name])
        yield fleet, user.with_(**ours)


class Asked(Protocol):
    """What answers as the UI's server does."""

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]: ...


def password_header(user: str, password: str) -> dict[str, str]:
    """What a browser sends of a user who was asked for a password."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def status(url: str, user: str = "", password: str = "") -> int:
    """The HTTP status of a page, for who comes as that user."""
    request = urllib.request.Request(url, headers=password_header(user, password) if user else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def backfill(asked: Asked, batches: list[str], queue: str | None = None) -> str:
    """Launch a backfill of both assets as the UI does, with a tag for a queue or without; returns its id."""
    params: dict[str, Any] = {"assetSelection": ASSETS, "partitionNames": batches}
    if queue:
        params["tags"] = [{"key": QUEUE, "value": queue}]
    launched = asked.graphql(_BACKFILL, params=params)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    return str(launched["backfillId"])


def runs(asked: Asked) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = asked.graphql(_RUNS)["runsOrError"]["results"]
    return found


def wait_for_end(asked: Asked, count: int, seconds: float = 120.0) -> list[dict[str, Any]]:
    """All runs, once there are at least `count` and none goes on."""

    def ended() -> list[dict[str, Any]] | None:
        found = runs(asked)
        return found if len(found) >= count and {run["status"] for run in found} <= ENDED else None

    return wait_for(f"{count} runs to end", ended, seconds=seconds)


def wait_for_backfill(asked: Asked, backfill_id: str, count: int, seconds: float = 120.0) -> list[dict[str, Any]]:
    """The runs of one backfill, once there are `count` and none goes on."""

    def ended() -> list[dict[str, Any]] | None:
        found = [run for run in runs(asked) if {"key": "dagster/backfill", "value": backfill_id} in run["tags"]]
        return found if len(found) == count and {run["status"] for run in found} <= ENDED else None

    return wait_for(f"{count} runs of a backfill to end", ended, seconds=seconds)
