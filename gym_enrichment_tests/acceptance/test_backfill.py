"""A backfill of all batches as Dagster's UI launches it, with the real server, daemon and runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from gym_enrichment_tests.acceptance.conftest import asking, dagster_stack, new_user
from gym_enrichment_tests.acceptance.fleets import ASSETS, backfill, wait_for_end
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good

BATCHES = ["batch-000001", "batch-000002", "batch-000003", "batch-000004"]
BAD = "batch-000003"
BAD_GYMS = ["Salle 0005", "Salle 0006"]
_LAUNCH = """
mutation($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""


def bad_batch(ask: Ask) -> Reply:
    return Reply(status=500) if ask.name in BAD_GYMS else good(ask)


@dataclass(frozen=True)
class Story:
    """The backfill with a bad batch, and that batch materialized again."""

    runs: list[dict[str, Any]]
    asked: list[str]
    enrichments: dict[str, list[str]]
    bundles: dict[str, list[str]]
    asked_again: list[str]
    enrichments_again: dict[str, list[str]]
    runs_again: list[dict[str, Any]]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with LlmServer(bad_batch) as server:
        variables = {**asking(server), "GYM_BATCH_SIZE": "2", "GYM_LLM_MAX_ATTEMPTS": "2"}
        user = new_user(tmp_path_factory.mktemp("backfill"), **variables)
        user.take_in(8)
        assert user.make_batches() == BATCHES
        with dagster_stack(user) as stack:
            backfill(stack, BATCHES)
            ended = wait_for_end(stack, 1, seconds=150)
            asked = sorted(server.names())
            enrichments, bundles = stack.partitions("gym_enrichments"), stack.partitions("review_bundles")

            server.script = good
            server.asks.clear()
            one = {
                "selector": {
                    "repositoryLocationName": stack.LOCATION,
                    "repositoryName": stack.REPOSITORY,
                    "pipelineName": "__ASSET_JOB",
                    "assetSelection": ASSETS,
                },
                "executionMetadata": {"tags": [{"key": "dagster/partition", "value": BAD}]},
                "mode": "default",
            }
            launched = stack.graphql(_LAUNCH, params=one)["launchPipelineExecution"]
            assert launched["__typename"] == "LaunchRunSuccess", launched
            ended_again = wait_for_end(stack, len(ended) + 1)
            yield Story(
                ended,
                asked,
                enrichments,
                bundles,
                sorted(server.names()),
                stack.partitions("gym_enrichments"),
                ended_again,
            )


def test_a_backfill_of_all_batches_is_one_run(story: Story) -> None:
    assert len(story.runs) == 1
    assert "dagster/backfill" in {tag["key"] for tag in story.runs[0]["tags"]}


def test_exactly_the_bad_batch_is_shown_as_failed(story: Story) -> None:
    assert story.enrichments == {
        "materialized": [batch for batch in BATCHES if batch != BAD],
        "failed": [BAD],
        "materializing": [],
        "unmaterialized": [BAD],
    }


def test_the_bundles_of_all_batches_are_materialized(story: Story) -> None:
    assert story.bundles["materialized"] == BATCHES
    assert story.bundles["failed"] == []


def test_a_backfill_asks_about_every_gym_once_and_repeats_only_errors(story: Story) -> None:
    others = [f"Salle {number:04d}" for number in (1, 2, 3, 4, 7, 8)]
    assert story.asked == sorted(others + 2 * BAD_GYMS)


def test_materializing_the_bad_batch_again_asks_only_for_its_gyms(story: Story) -> None:
    assert {run["status"] for run in story.runs_again if run not in story.runs} == {"SUCCESS"}
    assert story.asked_again == BAD_GYMS


def test_then_all_batches_are_materialized(story: Story) -> None:
    assert story.enrichments_again == {
        "materialized": BATCHES,
        "failed": [],
        "materializing": [],
        "unmaterialized": [],
    }
