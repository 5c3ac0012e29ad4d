"""What a rollout is decided by and what came of it: evaluations, versions of the experiment, alerts."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, String, Table, Text

from gym_enrichment.storage.tables.base import Json, Serial, UtcDateTime, metadata

evaluations = Table(
    "evaluations",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    # What it was measured against: the golden set, or a file of labels.
    Column("labels", String(256), nullable=False),
    Column("variant", String(64), nullable=False),
    Column("prompt_version", String(32), nullable=False),
    Column("model", Text, nullable=False),
    Column("gyms", Integer, nullable=False),
    Column("figures", Json, nullable=False),
    Column("evaluated_at", UtcDateTime, nullable=False),
    Index(None, "labels", "id"),
)

experiments = Table(
    "experiments",
    metadata,
    # The newest version is in force, unless it says ended. Of two who add one at once, the key lets one through.
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("name", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    # Lists and objects as domain/experiments.py has them.
    Column("variants", Json, nullable=False),
    Column("segments", Json, nullable=False),
    Column("shadow", Json),
    # Of a rollout: domain/rollout.py.
    Column("plan", Json),
    Column("step", Integer),
    Column("step_began_at", UtcDateTime),
    # What led to this version: the guardrails as they were measured.
    Column("guardrails", Json),
    Column("action", String(16), nullable=False),
    Column("changed_by", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    CheckConstraint("state IN ('running', 'paused', 'done', 'ended')", name="state_known"),
)

alerts = Table(
    "alerts",
    metadata,
    # Names the incident: it is told once.
    Column("incident", String(256), primary_key=True),
    Column("message", Text, nullable=False),
    Column("raised_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
    Index(None, "sent_at"),
)
