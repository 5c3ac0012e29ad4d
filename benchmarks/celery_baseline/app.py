"""The Celery app and its tasks. The environment says where the broker, the database and the LLM are."""

import json
import os
import sqlite3
from contextlib import closing
from functools import cache
from typing import Any

import openai
from celery import Celery, group

from benchmarks.celery_baseline.prompts import AMENITIES, DESCRIPTION, WOMEN_HOURS, prompt

BROKER, DATABASE = "BASELINE_BROKER", "BASELINE_DATABASE"

app = Celery("pipeline", broker=os.environ.get(BROKER), backend=os.environ.get(BROKER))
app.conf.update(task_serializer="json", result_serializer="json", accept_content=["json"])


@cache
def client() -> openai.OpenAI:
    """One a worker process, as its documentation shows it."""
    return openai.OpenAI()


def connect() -> sqlite3.Connection:
    return sqlite3.connect(os.environ[DATABASE], timeout=60)


def ask(place_id: str, task: str) -> tuple[dict[str, Any], int]:
    """What the LLM says to one prompt, and how many reviews queries it took."""
    queries: list[str] = []
    with closing(connect()) as connection:
        connection.set_trace_callback(
            lambda statement: queries.append(statement) if "FROM reviews" in statement else None
        )
        name, hours = connection.execute("SELECT name, hours FROM gyms WHERE place_id = ?", (place_id,)).fetchone()
        rows = connection.execute("SELECT text FROM reviews WHERE place_id = ? AND text != ''", (place_id,)).fetchall()
    lines = "; ".join(json.loads(hours)) if hours else "unknown"
    content = prompt(task, name or "", lines, [text for (text,) in rows])
    completion = client().chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": content}], temperature=0
    )
    return json.loads(completion.choices[0].message.content or ""), len(queries)


def save(place_id: str, **fields: Any) -> None:
    """Each task saves its own part."""
    assignments = ", ".join(f"{name} = ?" for name in fields)
    with closing(connect()) as connection, connection:
        connection.execute(f"UPDATE enrichments SET {assignments} WHERE place_id = ?", (*fields.values(), place_id))


@app.task
def generate_description(place_id: str) -> int:
    found, queries = ask(place_id, DESCRIPTION)
    save(place_id, description=found["description"])
    return queries


@app.task
def extract_amenities(place_id: str) -> int:
    found, queries = ask(place_id, AMENITIES)
    save(place_id, amenities=json.dumps(found["amenities"]))
    return queries


@app.task
def detect_women_hours(place_id: str) -> int:
    found, queries = ask(place_id, WOMEN_HOURS)
    save(place_id, has_women_hours=bool(found["has_women_hours"]), hours_french=found["hours_french"])
    return queries


def enrich(place_id: str) -> Any:
    """The fan-out for one gym: three tasks side by side."""
    return group(
        generate_description.s(place_id), extract_amenities.s(place_id), detect_women_hours.s(place_id)
    ).apply_async()
