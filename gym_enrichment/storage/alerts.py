"""Queries for alerts: an incident is told once, however many processes notice it.

What must not live here: what alerts say and how they are sent (pipeline/alerting.py).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.tables import alerts, failures
from gym_enrichment.storage.upsert import dialect_insert


@dataclass(frozen=True, slots=True)
class Alert:
    """What is told of an incident, under the name that makes it be told once."""

    incident: str
    message: str


@dataclass(frozen=True, slots=True)
class FailureCounts:
    """Gyms whose last attempt failed: how many, by kind of error (the most frequent first), in which batches."""

    gyms: int
    kinds: Sequence[tuple[str, int]]
    batches: Sequence[str]


def raise_alert(connection: Connection, alert: Alert, now: datetime) -> None:
    """Keep an alert to be sent; of an incident that is known already nothing is changed."""
    row = {"incident": alert.incident, "message": alert.message, "raised_at": now}
    connection.execute(dialect_insert(connection, alerts).values(**row).on_conflict_do_nothing())


def known_incidents(connection: Connection, incidents: Collection[str]) -> set[str]:
    """Those of `incidents` that an alert was raised for, sent or not."""
    return set(connection.execute(select(alerts.c.incident).where(alerts.c.incident.in_(incidents))).scalars())


def unsent_alerts(connection: Connection, since: datetime, most: int) -> list[Alert]:
    """The oldest alerts that nobody sent and nobody is sending, of those raised at or after `since`."""
    query = (
        select(alerts.c.incident, alerts.c.message)
        .where(alerts.c.sent_at.is_(None), alerts.c.raised_at >= since)
        .order_by(alerts.c.raised_at, alerts.c.incident)
        .limit(most)
    )
    return [Alert(row.incident, row.message) for row in connection.execute(query)]


def claim_alert(database: Database, incident: str, now: datetime) -> bool:
    """Mark an alert as sent; True for just one of all who try. Done before sending, so that nobody else sends it."""
    unsent = update(alerts).where(alerts.c.incident == incident, alerts.c.sent_at.is_(None))
    with database.write() as connection:
        return connection.execute(unsent.values(sent_at=now)).rowcount == 1


def put_back_alert(database: Database, incident: str) -> None:
    """An alert that was claimed could not be sent: it waits again."""
    with database.write() as connection:
        connection.execute(update(alerts).where(alerts.c.incident == incident).values(sent_at=None))


def failure_counts(connection: Connection, run_ids: Collection[str]) -> FailureCounts:
    """The gyms that failed in some runs and did not succeed since."""
    of_runs = failures.c.run_id.in_(run_ids)
    gyms = func.count(failures.c.place_id.distinct())
    by_kind = select(failures.c.kind, gyms).where(of_runs).group_by(failures.c.kind).order_by(gyms.desc(), "kind")
    batches = select(failures.c.batch_id).where(of_runs).distinct().order_by(failures.c.batch_id)
    return FailureCounts(
        connection.execute(select(gyms).where(of_runs)).scalar_one(),
        [(row.kind, int(row[1])) for row in connection.execute(by_kind)],
        list(connection.execute(batches).scalars()),
    )
