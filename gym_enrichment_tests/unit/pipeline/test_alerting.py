"""What alerts say: everything that is needed, nothing that is too long, nothing that Slack would act on."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gym_enrichment.domain.experiments import Experiment, VariantSpec
from gym_enrichment.pipeline.alerting import FailedRuns, rollout_message, runs_message, slack_escaped
from gym_enrichment.settings import SettingsError, load_settings
from gym_enrichment.storage.alerts import FailureCounts
from gym_enrichment.storage.experiments import ExperimentVersion

NOW = datetime(2026, 11, 26, 12, 30, tzinfo=UTC)
FAILED = FailedRuns("run:abc", "backfill abc", ["abc"], ["dagster-1", "dagster-2"], ["enrich_batches"], [])
COUNTS = FailureCounts(3, [("timeout", 2), ("refusal", 1)], ["batch-000001", "batch-000002"])


def test_failed_gyms_are_told_by_kind_and_partition_with_what_to_do() -> None:
    assert runs_message(FAILED, COUNTS, NOW) == (
        "gym_enrichment: 2 runs failed by 2026-11-26 12:30 UTC (backfill abc)\n"
        "In Dagster: dagster-1 and 1 more, enrich_batches\n"
        "3 gyms failed in 2 failed partitions (batch-000001, batch-000002): 2 timeout, 1 refusal\n"
        "To do: materialize the failed partitions again: only the gyms that lack an answer are asked."
    )


def test_what_broke_beyond_gyms_is_told_instead_and_says_to_mend_it_first() -> None:
    told = runs_message(replace(FAILED, causes=["raw_gyms failed: OSError"]), FailureCounts(0, [], []), NOW)
    assert "raw_gyms failed: OSError\n" in told
    assert "partition" not in told
    assert "doctor" in told


def test_however_much_failed_the_message_stays_short_and_ends_with_what_to_do() -> None:
    many = [f"batch-{number:06d}" for number in range(500)]
    failed = replace(FAILED, dagster_runs=many, what=many, causes=[f"{batch} {'x' * 5_000}" for batch in many])
    told = runs_message(failed, FailureCounts(500, [(batch, 1) for batch in many], many), NOW)
    assert len(told) < 3_000
    assert told.endswith("what was answered is saved and not paid again.")


def test_a_stopped_rollout_is_told_with_the_guardrail_its_figures_and_the_shares() -> None:
    version = ExperimentVersion(
        7,
        "paused",
        Experiment.of_one(VariantSpec.of_kind("packed")),
        "roll_back",
        "guardrails",
        "failure_rate is 0.5 & more",
        NOW,
    )
    told = rollout_message(version)
    assert "went back a step and is paused (version 7: packed 100%)" in told
    assert "Guardrails: failure_rate is 0.5 & more\n" in told
    assert "rollout resume" in told
    assert "went back" not in rollout_message(replace(version, action="pause"))


def test_nothing_in_an_alert_is_a_link_or_a_mention() -> None:
    assert slack_escaped("<!channel> & <https://x|y> &amp;") == "&lt;!channel&gt; &amp; &lt;https://x|y&gt; &amp;amp;"


@pytest.mark.parametrize(
    "url", ["hooks.example/T0KEN", "ftp://h/T0KEN", "https://", "https://h:T0KEN/", "http://[T0KEN", "https://h/ T0KEN"]
)
def test_a_webhook_that_is_no_web_address_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(SettingsError, match="GYM_ALERT_WEBHOOK") as refused:
        load_settings(_env_file=None, GYM_ALERT_WEBHOOK=url)
    assert "T0KEN" not in str(refused.value)
    assert "https://" in str(refused.value)


def test_the_webhook_is_not_shown_by_the_settings() -> None:
    settings = load_settings(_env_file=None, GYM_ALERT_WEBHOOK="https://hooks.example/services/T0KEN")
    assert "T0KEN" not in repr(settings) + str(settings.model_dump()) + settings.model_dump_json()
