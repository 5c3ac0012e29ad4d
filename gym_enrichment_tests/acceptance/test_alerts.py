"""Alerts of real Dagster runs: the sensor of the real definitions, ticked as the daemon would, posts to a webhook."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import delete, text

from gym_enrichment.definitions import build_definitions
from gym_enrichment.launching import run_batches
from gym_enrichment.resources import GymPipeline
from gym_enrichment.storage.tables import bundles
from gym_enrichment_tests.acceptance.conftest import User, asking, new_user
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good
from gym_enrichment_tests.webhook import SECRET, Webhook


def bad_gym(ask: Ask) -> Reply:
    return Reply(status=400, error_message="vestiaires propres") if ask.name == "Salle 0003" else good(ask)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as webhook:
        yield webhook


class Ticker:
    """A user whose alerts_sensor is evaluated on their instance."""

    def __init__(self, user: User, instance: dg.DagsterInstance) -> None:
        self.user, self.instance = user, instance
        self.cursor: str | None = None
        self._definitions = build_definitions(GymPipeline(user.settings))

    def tick(self) -> str | None:
        """One tick; what Dagster shows of it."""
        sensor = self._definitions.resolve_sensor_def("alerts_sensor")
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            definitions=self._definitions,
            sensor_name=sensor.name,
            resources={"gym_pipeline": (self._definitions.resources or {})["gym_pipeline"]},
        ) as context:
            data = sensor.evaluate_tick(context)
        self.cursor = data.cursor
        return data.skip_message

    def run(self, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
        """A run of enrich_batches over all batches, on Dagster's side alone."""
        keys = self.instance.get_dynamic_partitions("gym_batch")
        span = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
        job = self._definitions.resolve_job_def("enrich_batches")
        return job.execute_in_process(instance=self.instance, tags=span | tags, raise_on_error=False)


@pytest.fixture
def ticker(tmp_path: Path, webhook: Webhook) -> Iterator[Ticker]:
    """Three batches of two gyms, one of which always fails."""
    with LlmServer(bad_gym) as server:
        user = new_user(tmp_path, **asking(server), GYM_BATCH_SIZE="2", GYM_ALERT_WEBHOOK=webhook.url)
        user.take_in(6)
        user.make_batches()
        with user.instance() as instance:
            yield Ticker(user, instance)


def test_a_failed_run_is_told_once_and_the_next_that_fails_is_another_incident(
    ticker: Ticker, webhook: Webhook
) -> None:
    assert ticker.tick() == "nothing to tell"
    assert run_batches(ticker.user.settings, ["batch-000001", "batch-000002", "batch-000003"]).figures["failed"] == 1
    assert [ticker.tick(), ticker.tick()] == ["1 sent", "nothing to tell"]
    (told,) = webhook.texts()
    assert "1 run failed" in told
    assert "1 gym failed in 1 failed partition (batch-000002): 1 bad_request" in told
    assert "vestiaires" not in told

    assert run_batches(ticker.user.settings, ["batch-000001"]).figures["failed"] == 0
    assert ticker.tick() == "nothing to tell"
    assert run_batches(ticker.user.settings, ["batch-000002"]).figures["failed"] == 1
    ticker.cursor = None  # a lost cursor tells nothing twice
    assert [ticker.tick(), ticker.tick()] == ["1 sent", "nothing to tell"]
    assert len(set(webhook.texts())) == 2
    assert SECRET.encode() not in everything_stored(ticker.user)


def test_the_runs_of_a_backfill_or_of_a_tick_are_one_incident_and_those_of_others_none(
    ticker: Ticker, webhook: Webhook
) -> None:
    for tags in (
        {"dagster/backfill": "abc"},
        {"dagster/backfill": "abc"},
        {"dagster/tick": "7", "dagster/sensor_name": "new_gyms_sensor"},
        {"dagster/tick": "7", "dagster/sensor_name": "new_gyms_sensor"},
    ):
        assert not ticker.run(tags).success
    retried = ticker.run({})
    ticker.instance.add_run_tags(retried.run_id, {"dagster/will_retry": "true"})
    assert not foreign_job().execute_in_process(instance=ticker.instance, raise_on_error=False).success

    assert [ticker.tick(), ticker.tick()] == ["2 sent", "nothing to tell"]
    backfill, tick = webhook.texts()
    assert "2 runs failed" in backfill
    assert "(backfill abc)" in backfill
    assert "2 runs failed" in tick
    assert "(one tick of new_gyms_sensor)" in tick
    assert not ticker.run({"dagster/backfill": "abc"}).success
    assert ticker.tick() == "nothing to tell"


def foreign_job() -> dg.JobDefinition:
    """Of another code location on the same instance."""

    @dg.op
    def fails() -> None:
        raise ValueError("not ours")

    @dg.job
    def of_others() -> None:
        fails()

    return of_others


def test_a_run_that_is_stopped_or_breaks_is_told_by_our_own_words_or_the_errors_name(
    ticker: Ticker, webhook: Webhook
) -> None:
    with LlmServer(lambda ask: Reply(status=401, error_message="vestiaires propres")) as locked:
        stopped = Ticker(ticker.user.with_(OPENAI_BASE_URL=locked.base_url), ticker.instance)
        assert not stopped.run({}).success
    assert ticker.tick() == "1 sent"
    (told,) = webhook.texts()
    assert "gym_enrichments: the run was stopped: " in told
    assert "OPENAI_API_KEY" in told
    assert "vestiaires" not in told

    where = ("--select", "gym_enrichments", "--partition", "batch-000001", "-m", "gym_enrichment.definitions")
    with ticker.user.database.write() as connection:
        connection.execute(delete(bundles))
    assert ticker.user.dagster("asset", "materialize", *where).code != 0
    assert ticker.tick() == "1 sent"
    told = webhook.texts()[1]
    assert told.splitlines()[1].endswith(", gym_enrichments")
    assert "gym_enrichments failed: MissingPartition" in told


def test_without_a_webhook_nothing_piles_up_and_what_failed_long_ago_stays_untold(
    ticker: Ticker, webhook: Webhook
) -> None:
    assert not ticker.run({}).success
    silent = Ticker(ticker.user.without("GYM_ALERT_WEBHOOK"), ticker.instance)
    assert silent.tick() == "GYM_ALERT_WEBHOOK is not set"
    assert silent.cursor is None
    age_runs(ticker.instance)
    assert ticker.tick() == "nothing to tell"
    assert webhook.bodies == []


def age_runs(instance: dg.DagsterInstance) -> None:
    """Make every run two days older."""
    with instance.run_storage.connect() as connection:
        connection.execute(text("UPDATE runs SET update_timestamp = datetime(update_timestamp, '-2 days')"))


def everything_stored(user: User) -> bytes:
    return b"".join(path.read_bytes() for path in user.home.rglob("*") if path.is_file())


def test_doctor_says_whether_alerts_are_sent_and_posts_nothing(client: User, webhook: Webhook) -> None:
    def alerts(user: User) -> str:
        outcome = user.cli("doctor", "--json").succeeded()
        assert SECRET not in outcome.out + outcome.err
        return next(str(check["found"]) for check in outcome.json["checks"] if check["check"] == "alerts")

    assert "GYM_ALERT_WEBHOOK is set" in alerts(client.with_(GYM_ALERT_WEBHOOK=webhook.url))
    assert alerts(client) == "none are sent"
    assert webhook.bodies == []
    refused = client.with_(GYM_ALERT_WEBHOOK=f"hooks.example/{SECRET}").cli("doctor").failed_with(2)
    assert "GYM_ALERT_WEBHOOK" in refused.out
    assert SECRET not in refused.out + refused.err
