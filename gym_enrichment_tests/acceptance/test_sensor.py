"""The new-gyms sensor and the changed-reviews schedule: tick by tick, and once with the real daemon."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import select

from gym_enrichment.definitions import build_definitions
from gym_enrichment.launching import run_batches
from gym_enrichment.resources import GymPipeline
from gym_enrichment.storage.batches import all_batches, assign_batches
from gym_enrichment.storage.tables import gym_directory
from gym_enrichment_tests.acceptance.conftest import User, asking, dagster_stack, new_user, wait_for, write_jsonl
from gym_enrichment_tests.llm_server import LlmServer

PARTITION = "dagster/partition"


@dataclass(frozen=True)
class Tick:
    """What one tick asked Dagster for."""

    run_keys: list[str | None]
    batches: list[str]
    new_keys: list[str]
    cursor: str | None
    skipped: str | None


class Ticker:
    """Ticks the sensor and the schedule of the real definitions on a real instance, as the daemon would."""

    def __init__(self, user: User, instance: dg.DagsterInstance) -> None:
        self.user = user
        self.instance = instance
        self._settings = user.settings
        self._definitions = build_definitions(GymPipeline(self._settings))
        self._resources = {"gym_pipeline": (self._definitions.resources or {})["gym_pipeline"]}

    def sense(self, cursor: str | None = None) -> Tick:
        """One tick of new_gyms_sensor; nothing of what it asks for is done."""
        sensor = self._definitions.resolve_sensor_def("new_gyms_sensor")
        with dg.build_sensor_context(
            instance=self.instance,
            instance_ref=self.instance.get_ref(),  # else Dagster does not look for partition keys there
            cursor=cursor,
            definitions=self._definitions,
            sensor_name=sensor.name,
            resources=self._resources,
        ) as context:
            data = sensor.evaluate_tick(context)
        requests = data.run_requests or []
        return Tick(
            [request.run_key for request in requests],
            [request.partition_key or request.tags[PARTITION] for request in requests],
            [key for added in data.dynamic_partitions_requests or [] for key in added.partition_keys],
            data.cursor,
            data.skip_message,
        )

    def sense_and_add_keys(self, cursor: str | None = None) -> Tick:
        """One tick, and its partition keys added."""
        tick = self.sense(cursor)
        self.instance.add_dynamic_partitions("gym_batch", tick.new_keys)
        return tick

    def schedule(self) -> Tick:
        """One tick of changed_reviews_schedule."""
        schedule = self._definitions.resolve_schedule_def("changed_reviews_schedule")
        with dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=datetime(2026, 11, 22, 3, tzinfo=UTC),
            repository_def=self._definitions.get_repository_def(),
            resources=self._resources,
        ) as context:
            data = schedule.evaluate_tick(context)
        requests = data.run_requests or []
        return Tick(
            [request.run_key for request in requests],
            [request.partition_key or request.tags[PARTITION] for request in requests],
            [],
            None,
            data.skip_message,
        )

    def enrich(self, batches: Sequence[str]) -> None:
        """Run the requested batches."""
        report = run_batches(self._settings, batches)
        assert report.error is None
        assert report.figures["failed"] == 0

    def batches(self) -> list[str]:
        with self.user.database.read() as connection:
            return all_batches(connection)

    def keys(self) -> list[str]:
        return list(self.instance.get_dynamic_partitions("gym_batch"))


@pytest.fixture
def ticker(tmp_path: Path) -> Iterator[Ticker]:
    """Batches of two gyms, at most three batches a tick."""
    user = new_user(tmp_path, GYM_LLM="offline", GYM_BATCH_SIZE="2", GYM_BATCHES_PER_TICK="3")
    with user.instance() as instance:
        yield Ticker(user, instance)


def batch_ids(*numbers: int) -> list[str]:
    return [f"batch-{number:06d}" for number in numbers]


def test_without_gyms_the_sensor_skips_and_says_why(ticker: Ticker) -> None:
    tick = ticker.sense()
    assert tick.batches == []
    assert tick.skipped == "no new gyms"


def test_new_gyms_become_batches_with_a_key_and_one_request_each(ticker: Ticker) -> None:
    ticker.user.take_in(5)
    tick = ticker.sense()
    assert ticker.batches() == batch_ids(1, 2, 3)
    assert tick.new_keys == tick.batches == batch_ids(1, 2, 3)
    assert len(set(tick.run_keys)) == 3
    assert tick.skipped is None


def test_a_tick_requests_no_more_than_is_set_in_order_and_the_next_goes_on_behind(ticker: Ticker) -> None:
    ticker.user.take_in(10)
    first = ticker.sense_and_add_keys()
    assert first.batches == batch_ids(1, 2, 3)
    assert ticker.keys() == batch_ids(1, 2, 3, 4, 5)
    second = ticker.sense_and_add_keys(first.cursor)
    assert second.batches == batch_ids(4, 5)
    assert not set(second.run_keys) & set(first.run_keys)
    assert ticker.sense(second.cursor).skipped == "no new gyms"


def test_gyms_that_come_later_get_batches_of_their_own(ticker: Ticker) -> None:
    ticker.user.take_in(1)
    first = ticker.sense_and_add_keys()
    ticker.user.take_in(3, first=11)
    second = ticker.sense_and_add_keys(first.cursor)
    assert (first.batches, second.batches) == (batch_ids(1), batch_ids(2, 3))
    assert second.new_keys == batch_ids(2, 3)


@pytest.mark.parametrize("keys_were_added", [True, False], ids=["keys added", "keys lost too"])
def test_a_tick_repeated_after_a_crash_asks_with_the_same_run_keys(ticker: Ticker, keys_were_added: bool) -> None:
    ticker.user.take_in(4)
    first = ticker.sense_and_add_keys() if keys_were_added else ticker.sense()
    again = ticker.sense(None)
    assert again.run_keys == first.run_keys
    assert again.batches == first.batches == batch_ids(1, 2)
    assert again.new_keys == ([] if keys_were_added else batch_ids(1, 2))


def test_batches_whose_keys_a_crash_lost_are_healed_and_requested(ticker: Ticker) -> None:
    ticker.user.take_in(4)
    assert assign_batches(ticker.user.database, 2) == batch_ids(1, 2)
    assert ticker.keys() == []
    tick = ticker.sense_and_add_keys()
    assert ticker.keys() == tick.batches == batch_ids(1, 2)


def test_keys_that_dagster_lost_behind_the_cursor_are_added_without_a_new_request(ticker: Ticker) -> None:
    ticker.user.take_in(4)
    first = ticker.sense_and_add_keys()
    ticker.instance.delete_dynamic_partition("gym_batch", "batch-000001")
    tick = ticker.sense(first.cursor)
    assert tick.new_keys == ["batch-000001"]
    assert tick.batches == []
    assert tick.cursor == first.cursor


def test_batches_that_were_run_by_hand_are_not_requested(ticker: Ticker) -> None:
    ticker.user.take_in(4)
    ticker.enrich(ticker.user.make_batches())
    assert ticker.sense().skipped == "no new gyms"


def change_review(user: User, gym: int, words: str) -> None:
    review = {"review_id": f"review-{gym:04d}-0", "place_id": f"gym-{gym:04d}", "text": words, "rating": 3}
    user.cli("ingest", write_jsonl(user.folder / "changed.jsonl", [review])).succeeded()


def test_the_schedule_requests_just_the_batches_whose_reviews_changed_once_per_change(ticker: Ticker) -> None:
    ticker.user.take_in(6)
    batches = ticker.user.make_batches()
    assert ticker.schedule().skipped == "no batch has changed reviews"  # new batches are the sensor's
    ticker.enrich(batches)
    assert ticker.schedule().skipped == "no batch has changed reviews"

    change_review(ticker.user, 3, "La salle a maintenant un sauna.")
    first = ticker.schedule()
    assert first.batches == batch_ids(2)
    assert ticker.schedule() == first

    change_review(ticker.user, 3, "Le sauna est fermé, la piscine est ouverte.")
    second = ticker.schedule()
    assert second.batches == batch_ids(2)
    assert not set(second.run_keys) & set(first.run_keys)

    ticker.enrich(second.batches)
    assert ticker.schedule().skipped == "no batch has changed reviews"


_START = """
mutation($sensor: SensorSelector!) {
  startSensor(sensorSelector: $sensor) {
    __typename
    ... on Sensor { sensorState { status } }
    ... on PythonError { message }
  }
}
"""


def test_with_the_sensor_on_new_gyms_are_enriched_and_published_with_no_further_hand(tmp_path: Path) -> None:
    with LlmServer() as server:
        user = new_user(tmp_path, **asking(server), GYM_BATCH_SIZE="2")
        user.take_in(3)

        def published() -> bool:
            with user.database.read() as connection:
                rows = connection.execute(select(gym_directory.c.state)).scalars().all()
            return list(rows) == ["enriched"] * 3

        with dagster_stack(user) as stack:
            selector = {
                "repositoryLocationName": stack.LOCATION,
                "repositoryName": stack.REPOSITORY,
                "sensorName": "new_gyms_sensor",
            }
            started = stack.graphql(_START, sensor=selector)["startSensor"]
            assert started["__typename"] == "Sensor", started
            wait_for("the new gyms to be published", published, seconds=120)

            def both_batches() -> bool:
                return stack.partitions("gym_enrichments")["materialized"] == batch_ids(1, 2)

            wait_for("both batches to be materialized", both_batches, seconds=60)
        assert sorted(server.names()) == ["Salle 0001", "Salle 0002", "Salle 0003"]
