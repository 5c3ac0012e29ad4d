"""Alerts on both databases, posted to a real HTTP server: once per incident, whatever the server and others do."""

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from gym_enrichment.domain.experiments import Experiment, VariantSpec
from gym_enrichment.pipeline import alerting
from gym_enrichment.pipeline.alerting import MOST_PER_TURN, FailedRuns, Sent, raise_alerts, send_alerts
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.experiments import ExperimentVersion, add_version
from gym_enrichment_tests.webhook import SECRET, Webhook

NOW = datetime(2026, 11, 26, 12, 30, tzinfo=UTC)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as webhook:
        yield webhook


def failed(*names: str) -> list[FailedRuns]:
    return [
        FailedRuns(f"run:{name}", f"run {name}", [name], [name], ["enrich_batches"], ["it broke"]) for name in names
    ]


def send(database: Database, webhook: Webhook, now: datetime = NOW) -> Sent:
    return send_alerts(database, SecretStr(webhook.url), now)


def test_an_incident_that_is_noticed_again_is_posted_once(database: Database, webhook: Webhook) -> None:
    for _ in range(2):
        raise_alerts(database, failed("a"), NOW)
        send(database, webhook)
    raise_alerts(database, failed("a", "b"), NOW)
    assert send(database, webhook) == Sent(1)
    assert ["(run a)" in text for text in webhook.texts()] == [True, False]


@pytest.mark.parametrize("status", [500, 429, 404, 307])
def test_what_the_webhook_refuses_is_sent_at_the_next_turn(database: Database, webhook: Webhook, status: int) -> None:
    webhook.statuses = [status]
    raise_alerts(database, failed("a", "b"), NOW)
    assert send(database, webhook) == Sent(0, f"the webhook answers HTTP {status}")
    assert len(webhook.bodies) == 1  # those behind wait as well, and no redirect is followed
    assert send(database, webhook) == Sent(2)
    assert send(database, webhook) == Sent(0)


def test_two_who_send_at_once_post_each_alert_once(database: Database, webhook: Webhook) -> None:
    assert database.engine  # both shall send, not migrate
    raise_alerts(database, failed("a", "b", "c"), NOW)
    start, sent = threading.Barrier(4), []

    def sender() -> None:
        start.wait()
        sent.append(send(database, webhook).alerts)

    threads = [threading.Thread(target=sender) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(sent) == 3
    assert len(set(webhook.texts())) == len(webhook.bodies) == 3


def test_a_server_that_hangs_is_given_up_and_tried_again(
    sqlite_database: Database, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_alerts(sqlite_database, failed("a"), NOW)
    webhook.hangs = True
    with monkeypatch.context() as patch:
        patch.setattr(alerting, "POST_SECONDS", 0.3)
        problem = send(sqlite_database, webhook).problem
    assert problem is not None
    assert "does not answer" in problem
    webhook.hangs = False
    assert send(sqlite_database, webhook) == Sent(1)


def test_a_turn_is_bounded_and_the_next_goes_on(sqlite_database: Database, webhook: Webhook) -> None:
    raise_alerts(sqlite_database, failed(*"abcdefg"), NOW)
    assert send(sqlite_database, webhook) == Sent(MOST_PER_TURN)
    assert send(sqlite_database, webhook) == Sent(7 - MOST_PER_TURN)
    assert len(set(webhook.texts())) == 7


def test_after_a_day_nothing_is_sent_any_more(sqlite_database: Database, webhook: Webhook) -> None:
    raise_alerts(sqlite_database, failed("a"), NOW)
    assert send(sqlite_database, webhook, NOW + timedelta(hours=25)) == Sent(0)
    assert send(sqlite_database, webhook, NOW + timedelta(hours=23)) == Sent(1)


def test_each_version_that_guardrails_made_is_told_once_and_what_people_do_is_not(
    database: Database, webhook: Webhook
) -> None:
    experiment = Experiment.of_one(VariantSpec.of_kind("combined"))

    def add(version: int, action: str, by: str, at: datetime = NOW) -> None:
        add_version(database, ExperimentVersion(version, "paused", experiment, action, by, "cost_per_gym is 3", at))

    add(1, "pause", "guardrails", NOW - timedelta(days=2))
    add(2, "pause", "someone")
    add(3, "advance", "guardrails")
    add(4, "pause", "guardrails")
    add(5, "roll_back", "guardrails")
    for _ in range(2):
        raise_alerts(database, [], NOW)
        send(database, webhook)
    assert [f"version {number}" in text for number, text in zip((4, 5), webhook.texts(), strict=True)] == [True, True]
    assert all("cost_per_gym is 3" in text for text in webhook.texts())


def test_the_url_is_in_no_result_log_or_row(
    sqlite_database: Database, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    raise_alerts(sqlite_database, failed("a"), NOW)
    webhook.statuses = [500]
    refused = send(sqlite_database, webhook)
    nobody = [
        send_alerts(sqlite_database, SecretStr(url), NOW)
        for url in (f"http://127.0.0.1:9/{SECRET}", f"http://127.0.0.1:9\\{SECRET}")
    ]
    assert all(outcome.problem for outcome in [refused, *nobody])
    assert send(sqlite_database, webhook) == Sent(1)
    written = b"".join(path.read_bytes() for path in _files_of(sqlite_database))
    assert SECRET not in caplog.text + str([refused, *nobody])
    assert b"run:a" in written
    assert SECRET.encode() not in written


def _files_of(database: Database) -> list[Path]:
    path = Path(database.url.removeprefix("sqlite:///"))
    return list(path.parent.glob(f"{path.name}*"))
