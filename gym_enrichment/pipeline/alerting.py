"""Alerts: what they say of failed runs and broken guardrails, and how they are posted to a webhook.

They hold kinds of errors, ids and counts: never the text of a review, of an answer or of an exception that is not ours.
The webhook's URL is a secret: it is in no message, log or error.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
from pydantic import SecretStr

from gym_enrichment.pipeline.experimenting import GUARDRAILS
from gym_enrichment.storage.alerts import (
    Alert,
    FailureCounts,
    claim_alert,
    failure_counts,
    known_incidents,
    put_back_alert,
    raise_alert,
    unsent_alerts,
)
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.experiments import ExperimentVersion, versions_changed_by

KEPT_FOR = timedelta(days=1)
"""What happened longer ago is not told any more: it neither piles up nor floods a channel when it is configured."""
MOST_PER_TURN = 5
"""Most posts in one call of `send_alerts`."""
POST_SECONDS = 10.0
"""Longest wait for the webhook. All posts of a turn together stay below the minute that Dagster gives a sensor."""
_MOST_CHARACTERS = 2_000
_MOST_OF_A_REASON = 400
_MOST_NAMED = 5
_TO_DO = "To do: materialize the failed partitions again: only the gyms that lack an answer are asked."
_TO_DO_AFTER_MENDING = (
    "To do: look at the run in Dagster, `gym-enrichment doctor` checks the rest; mend it, then materialize what failed"
    " again: what was answered is saved and not paid again."
)
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}  # Slack's docs, "Escaping text"


@dataclass(frozen=True, slots=True)
class FailedRuns:
    """Dagster runs that failed and are one incident.

    Args:
        incident: names it.
        started_by: what they have in common: "backfill abc", "run abc", "one tick of new_gyms_sensor".
        run_ids: under which failures and ledger know them.
        dagster_runs: Dagster's ids, the first to fail first.
        what: the jobs' names, or those of the assets where people chose them.
        causes: what broke beyond single gyms, in words of ours.
    """

    incident: str
    started_by: str
    run_ids: Sequence[str]
    dagster_runs: Sequence[str]
    what: Sequence[str]
    causes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Sent:
    """How many alerts were posted, and why no more were, if something was wrong."""

    alerts: int
    problem: str | None = None


def new_incidents(database: Database, incidents: Sequence[str]) -> set[str]:
    """Those of `incidents` that no alert was raised for."""
    if not incidents:
        return set()
    with database.read() as connection:
        return set(incidents) - known_incidents(connection, incidents)


def raise_alerts(database: Database, failed: Sequence[FailedRuns], now: datetime) -> None:
    """Keep an alert for each of `failed`, and for what guardrails did to rollouts since a day; each only once."""
    with database.read() as connection:
        raised = [
            Alert(runs.incident, runs_message(runs, failure_counts(connection, runs.run_ids), now)) for runs in failed
        ]
        for version in versions_changed_by(connection, GUARDRAILS, ("pause", "roll_back"), now - KEPT_FOR):
            raised.append(Alert(f"rollout:{version.experiment.name}:{version.version}", rollout_message(version)))
        known = known_incidents(connection, [alert.incident for alert in raised])
    new = [alert for alert in raised if alert.incident not in known]
    if not new:
        return
    with database.write() as connection:
        for alert in new:
            raise_alert(connection, alert, now)


def runs_message(failed: FailedRuns, counts: FailureCounts, now: datetime) -> str:
    """What is told of failed runs: by `now`, for more may fail later, and that is the same incident."""
    runs = failed.dagster_runs
    more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
    lines = [
        f"gym_enrichment: {_count(len(runs), 'run')} failed by {now.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        f" ({failed.started_by})",
        f"In Dagster: {runs[0]}{more}, {_named(failed.what)}",
    ]
    if counts.gyms:
        kinds = _named([f"{gyms} {kind}" for kind, gyms in counts.kinds])
        where = f"{_count(len(counts.batches), 'failed partition')} ({_named(counts.batches)})"
        lines.append(f"{_count(counts.gyms, 'gym')} failed in {where}: {kinds}")
    lines += [_cut(cause, _MOST_OF_A_REASON) for cause in failed.causes[:_MOST_NAMED]]
    told = "\n".join(lines)
    todo = _TO_DO_AFTER_MENDING if failed.causes else _TO_DO
    return f"{_cut(told, _MOST_CHARACTERS)}\n{todo}"


def rollout_message(version: ExperimentVersion) -> str:
    """What is told of a rollout that its guardrails stopped."""
    did = "went back a step and is paused" if version.action == "roll_back" else "is paused"
    lines = [
        f"gym_enrichment: the rollout {version.experiment.name} {did} (version {version.version}:"
        f" {version.experiment.shown_shares})",
        f"Guardrails: {_cut(version.reason, _MOST_OF_A_REASON)}",
        "To do: `gym-enrichment rollout show` compares the variants; once mended, `gym-enrichment rollout resume`.",
    ]
    return "\n".join(lines)


def send_alerts(database: Database, webhook: SecretStr, now: datetime) -> Sent:
    """Post the alerts of the last day that nobody posted, at most MOST_PER_TURN, the oldest first.

    Each is claimed before it is posted, so that of two who send at once one does. One that is refused or not answered
    in POST_SECONDS waits for the next turn, and so do those behind it. Hence an alert may come twice where the
    webhook took it without answering, and not at all where the process is killed between claim and answer.
    """
    with database.read() as connection:
        waiting = unsent_alerts(connection, now - KEPT_FOR, MOST_PER_TURN)
    sent = 0
    for alert in waiting:
        if not claim_alert(database, alert.incident, now):
            continue
        try:
            asyncio.run(_post(webhook, alert.message))
        except _NotPosted as problem:
            put_back_alert(database, alert.incident)
            return Sent(sent, str(problem))
        except BaseException:  # Ctrl-C, or Dagster ends the tick
            put_back_alert(database, alert.incident)
            raise
        sent += 1
    return Sent(sent)


class _NotPosted(Exception):
    """The webhook did not take an alert; the message says why, without its URL."""


async def _post(webhook: SecretStr, message: str) -> None:
    """Raises _NotPosted, `from None` and by the error's name alone: what aiohttp's errors say holds the URL."""
    limit = aiohttp.ClientTimeout(total=POST_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=limit, trust_env=True) as session,
            session.post(
                webhook.get_secret_value(), json={"text": slack_escaped(message)}, allow_redirects=False
            ) as answer,
        ):
            status = answer.status
    except TimeoutError:
        raise _NotPosted(f"the webhook does not answer within {POST_SECONDS:.0f} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise _NotPosted(f"no connection to the webhook: {type(error).__name__}") from None
    if not 200 <= status < 300:
        raise _NotPosted(f"the webhook answers HTTP {status}")


def slack_escaped(text: str) -> str:
    """Text in which nothing is a link or a mention: `<!channel>` would wake up everybody."""
    return "".join(_ESCAPES.get(character, character) for character in text)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
