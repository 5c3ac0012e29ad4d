"""The main job through Dagster's own command line: ranges, one partition, one bad batch."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value
from sqlalchemy import select

from gym_enrichment.definitions import build_definitions
from gym_enrichment.resources import GymPipeline
from gym_enrichment.storage.tables import gym_directory
from gym_enrichment_tests.acceptance.conftest import Outcome, User, asking, new_user
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good

ENRICHMENTS, BUNDLES, DIRECTORY = map(dg.AssetKey, ("gym_enrichments", "review_bundles", "gym_directory"))
BATCHES = ["batch-000001", "batch-000002", "batch-000003"]
BAD = "batch-000002"
BAD_GYMS = ["Salle 0003", "Salle 0004"]


def materialize(user: User, select: str, *where: str) -> Outcome:
    return user.dagster("asset", "materialize", "--select", select, *where, "-m", "gym_enrichment.definitions")


def failing(*names: str) -> Any:
    def script(ask: Ask) -> Reply:
        return Reply(status=500) if ask.name in names else good(ask)

    return script


def materialized(user: User, key: dg.AssetKey) -> set[str]:
    with user.instance() as instance:
        return set(instance.get_materialized_partitions(key))


def failed(user: User, key: dg.AssetKey) -> set[str]:
    """The partitions that the UI would show as failed, from the same cache as the UI's."""
    with user.instance() as instance:
        definition = dg.DynamicPartitionsDefinition(name="gym_batch")
        status = get_and_update_asset_status_cache_value(instance, key, definition, dynamic_partitions_loader=instance)
        assert status is not None
        subset = status.deserialize_failed_partition_subsets(definition)
        return set(subset.get_partition_keys())


def events(user: User, key: dg.AssetKey) -> dict[str, dict[str, Any]]:
    """The metadata of each partition's newest event."""
    found: dict[str, dict[str, Any]] = {}
    with user.instance() as instance:
        records = instance.fetch_materializations(key, limit=100, ascending=True).records
    for record in records:
        assert record.partition_key is not None
        assert record.asset_materialization is not None
        found[record.partition_key] = {n: v.value for n, v in record.asset_materialization.metadata.items()}
    return found


def published(user: User) -> dict[str, str]:
    with user.database.read() as connection:
        return {row[0]: row[1] for row in connection.execute(select(gym_directory.c.place_id, gym_directory.c.state))}


@dataclass(frozen=True)
class Moment:
    """What was known after a command."""

    outcome: Outcome
    asked: list[str]
    materialized: set[str]
    failed: set[str]
    bundles: set[str]
    events: dict[str, dict[str, Any]]
    published: dict[str, str]


@dataclass(frozen=True)
class Story:
    """A range with one bad batch, that batch again, the whole range again."""

    user: User
    range_with_bad: Moment
    bad_again: Moment
    range_again: Moment


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with LlmServer(failing(*BAD_GYMS)) as server:
        user = new_user(
            tmp_path_factory.mktemp("range"), **asking(server), GYM_BATCH_SIZE="2", GYM_LLM_MAX_ATTEMPTS="2"
        )
        user.take_in(6)
        assert user.make_batches() == BATCHES

        def moment(*where: str) -> Moment:
            server.asks.clear()
            outcome = materialize(user, "review_bundles,gym_enrichments", *where)
            return Moment(
                outcome,
                sorted(server.names()),
                materialized(user, ENRICHMENTS),
                failed(user, ENRICHMENTS),
                materialized(user, BUNDLES),
                events(user, ENRICHMENTS),
                published(user),
            )

        whole_range = ("--partition-range", f"{BATCHES[0]}...{BATCHES[-1]}")
        range_with_bad = moment(*whole_range)
        server.script = good
        bad_again = moment("--partition", BAD)
        yield Story(user, range_with_bad, bad_again, moment(*whole_range))


def test_a_range_with_a_bad_batch_fails_and_says_which(story: Story) -> None:
    outcome = story.range_with_bad.outcome
    assert outcome.code != 0
    assert f"gyms failed in 1 of 3 batches ({BAD})" in outcome.out + outcome.err


def test_the_bad_batch_alone_is_failed_and_its_neighbours_are_materialized(story: Story) -> None:
    assert story.range_with_bad.materialized == set(BATCHES) - {BAD}
    assert story.range_with_bad.failed == {BAD}
    assert story.range_with_bad.bundles == set(BATCHES)


def test_every_gym_is_asked_and_a_server_error_as_often_as_set(story: Story) -> None:
    good_gyms = ["Salle 0001", "Salle 0002", "Salle 0005", "Salle 0006"]
    assert story.range_with_bad.asked == sorted(good_gyms + 2 * BAD_GYMS)


def test_the_neighbours_of_a_bad_batch_are_published(story: Story) -> None:
    states = story.range_with_bad.published
    assert {gym for gym, state in states.items() if state == "enriched"} == {
        "gym-0001",
        "gym-0002",
        "gym-0005",
        "gym-0006",
    }
    assert states["gym-0003"] == states["gym-0004"] == "failed"


def test_the_bad_batch_again_asks_only_for_its_gyms_and_heals(story: Story) -> None:
    again = story.bad_again
    again.outcome.succeeded()
    assert again.asked == BAD_GYMS
    assert again.materialized == set(BATCHES)
    assert again.failed == set()
    assert set(again.published.values()) == {"enriched"}


def test_good_partitions_of_a_failed_run_carry_their_own_figures(story: Story) -> None:
    found = story.range_with_bad.events
    assert set(found) == set(BATCHES) - {BAD}
    for figures in found.values():
        assert _counts(figures) == {
            "gyms": 2,
            "enriched": 2,
            "failed": 0,
            "skipped": 0,
            "llm_calls": 2,
            "cache_hits": 0,
        }
        assert (figures["prompt_tokens"], figures["completion_tokens"]) == (2000, 200)
        assert figures["cost_usd"] >= 0
        assert figures["seconds"] > 0


def test_a_single_partition_carries_its_own_figures(story: Story) -> None:
    assert _counts(story.bad_again.events[BAD]) == {
        "gyms": 2,
        "enriched": 2,
        "failed": 0,
        "skipped": 0,
        "llm_calls": 2,
        "cache_hits": 0,
    }


def test_a_range_that_succeeds_gives_each_partition_its_own_figures(story: Story) -> None:
    story.range_again.outcome.succeeded()
    assert story.range_again.asked == []
    assert set(story.range_again.events) == set(BATCHES)
    for figures in story.range_again.events.values():
        assert _counts(figures) == {
            "gyms": 2,
            "enriched": 2,
            "failed": 0,
            "skipped": 0,
            "llm_calls": 0,
            "cache_hits": 2,
        }
        assert {"prompt_tokens", "completion_tokens", "cost_usd", "seconds"} <= set(figures)


def test_each_bundle_partition_says_how_much_it_holds(story: Story) -> None:
    found = events(story.user, BUNDLES)
    assert set(found) == set(BATCHES)
    assert all(figures["dagster/row_count"] == 2 and figures["reviews"] == 4 for figures in found.values())


def test_no_event_of_dagster_holds_review_text_or_the_key(story: Story) -> None:
    stored = b"".join(path.read_bytes() for path in (story.user.home / "dagster").rglob("*") if path.is_file())
    assert BAD.encode() in stored
    assert b"vestiaires propres" not in stored
    assert story.user.variables["OPENAI_API_KEY"].encode() not in stored


def test_dagster_leaves_no_telemetry_in_the_users_home(story: Story) -> None:
    assert list((story.user.folder / "user").rglob("*telemetry*")) == []


def test_the_published_table_materializes_with_its_checks(story: Story) -> None:
    materialize(story.user, "gym_directory").succeeded()
    with story.user.instance() as instance:
        event = instance.get_latest_materialization_event(DIRECTORY)
        assert event is not None
        assert event.asset_materialization is not None
        figures = {name: value.value for name, value in event.asset_materialization.metadata.items()}
        keys = [dg.AssetCheckKey(DIRECTORY, name) for name in ("every_gym_is_published_once", "no_gym_failed")]
        records = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    assert figures["dagster/row_count"] == figures["enriched"] == 6
    assert {key.name: record.status.value for key, record in records.items()} == {
        "every_gym_is_published_once": "SUCCEEDED",
        "no_gym_failed": "SUCCEEDED",
    }


def test_every_run_checks_that_what_it_published_is_shown(story: Story) -> None:
    names = ("every_published_claim_is_shown", "most_claims_are_supported")
    keys = [dg.AssetCheckKey(ENRICHMENTS, name) for name in names]
    with story.user.instance() as instance:
        records = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    assert {key.name: record.status.value for key, record in records.items()} == dict.fromkeys(names, "SUCCEEDED")


def test_a_check_that_is_executed_by_itself_looks_at_all_batches(story: Story) -> None:
    key = dg.AssetCheckKey(ENRICHMENTS, "most_claims_are_supported")
    with story.user.instance() as instance:
        assets = build_definitions(GymPipeline(story.user.settings)).get_implicit_global_asset_job_def()
        alone = assets.get_subset(asset_selection=set(), asset_check_selection={key})
        (found,) = alone.execute_in_process(instance=instance).get_asset_check_evaluations()
    assert found.metadata["gyms"].value == 6


def test_the_evaluation_report_plots_the_figures_of_the_labels_that_are_set(story: Story) -> None:
    labels = story.user.folder / "labels.jsonl"
    labels.write_text(json.dumps({"place_id": "gym-0001", "verdict": "false", "amenities": ["vestiaires"]}) + "\n")
    materialize(story.user.with_(GYM_LABELS=str(labels)), "evaluation_report").succeeded()
    with story.user.instance() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("evaluation_report"))
    assert event is not None
    assert event.asset_materialization is not None
    figures = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    assert figures["gyms"] == 1
    assert figures["combined/amenity_recall"] == figures["combined/amenities_with_evidence"] == 1.0


def test_the_statistics_are_metadata_that_plots(story: Story) -> None:
    materialize(story.user, "enrichment_statistics").succeeded()
    told = json.loads(story.user.cli("stats", "--json").succeeded().out)
    with story.user.instance() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("enrichment_statistics"))
    assert event is not None
    assert event.asset_materialization is not None
    figures = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    assert {name: figures[name] for name in told["all_time"]} == told["all_time"]
    assert figures["combined/llm_calls"] == told["variants"]["combined"]["llm_calls"] > 0
    assert figures["gyms/enriched"] == told["directory"]["enriched"]


def test_a_partition_whose_bundles_are_missing_is_a_named_error(tmp_path: Path) -> None:
    user = new_user(tmp_path, GYM_LLM="offline", GYM_BATCH_SIZE="1")
    user.take_in(1)
    assert user.make_batches() == ["batch-000001"]
    outcome = materialize(user, "gym_enrichments", "--partition", "batch-000001")
    assert outcome.code != 0
    said = outcome.out + outcome.err
    assert "MissingPartition" in said
    assert "review_bundles has no partition batch-000001" in said


_POLICIES = """
import json
from gym_enrichment.definitions import defs
assets = {asset.key.to_user_string(): asset for asset in defs.assets}
print(json.dumps({name: assets[name].backfill_policy.max_partitions_per_run
                  for name in ("review_bundles", "gym_enrichments")}))
"""


@pytest.mark.parametrize(("setting", "most"), [({}, None), ({"GYM_PARTITIONS_PER_RUN": "4"}, 4)])
def test_a_backfill_is_one_run_or_runs_of_the_number_set(user: User, setting: dict[str, str], most: int | None) -> None:
    loaded = user.with_(**setting).python(_POLICIES).succeeded()
    assert json.loads(loaded.out) == {"review_bundles": most, "gym_enrichments": most}


def test_loading_the_code_location_creates_nothing(user: User) -> None:
    before = set(user.folder.rglob("*"))
    user.python("import gym_enrichment.definitions").succeeded()
    assert set(user.folder.rglob("*")) == before


def _counts(figures: dict[str, Any]) -> dict[str, int]:
    return {name: figures[name] for name in ("gyms", "enriched", "failed", "skipped", "llm_calls", "cache_hits")}
