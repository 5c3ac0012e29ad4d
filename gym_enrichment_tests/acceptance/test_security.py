"""Secrets and other people's text, over a whole story on Postgres: neither is where it does not belong.

The password of the database and the key of the LLM are in the environment, reviews hold a sentence of their own.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from gym_enrichment.storage.engine import Database
from gym_enrichment_tests.acceptance.conftest import API_KEY, Outcome, User, asking, new_user, write_jsonl
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good_content

PASSWORD = "pg-never-to-be-seen"
SAID = "une phrase que personne ne doit recopier"
GYMS = [{"place_id": f"gym-{n}", "name": f"=1+{n}", "city": "Oran"} for n in range(1, 4)]
REVIEWS = [{"review_id": f"r-{n}", "place_id": f"gym-{n}", "text": f"Beau sauna, {SAID}."} for n in range(1, 4)]


@dataclass
class Watch:
    """Looks at the machine's process list whenever the LLM is asked; every other answer is an error."""

    looked: int = 0
    seen: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, ask: Ask) -> Reply:
        lines = [_read(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
        with self.lock:
            self.looked += any("gym_enrichment" in line for line in lines)
            self.seen |= {secret for secret in (API_KEY, PASSWORD, SAID) for line in lines if secret in line}
        if ask.name.endswith("3"):
            return Reply(status=400, error_message=f"{API_KEY} {PASSWORD} {SAID}")
        return Reply(good_content("Cette salle"))


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:  # it has ended
        return ""


@dataclass(frozen=True)
class Story:
    user: User
    watch: Watch
    outcomes: list[Outcome]


@pytest.fixture
def story(tmp_path: Path, postgres_database: Database) -> Iterator[Story]:
    watch = Watch()
    url = f"{postgres_database.url}?options=-csearch_path%3D{postgres_database.search_path}"
    with LlmServer() as server:
        server.script = watch
        user = new_user(tmp_path, **asking(server), GYM_DATABASE_URL=url.replace("gym_app@", f"gym_app:{PASSWORD}@"))
        sources = [write_jsonl(tmp_path / "gyms.jsonl", GYMS), write_jsonl(tmp_path / "reviews.jsonl", REVIEWS)]
        outcomes = [user.cli("ingest", *sources), user.cli("run")]
        arguments = ("--select", "gym_enrichments", "--partition", "batch-000001", "-m", "gym_enrichment.definitions")
        outcomes.append(user.dagster("asset", "materialize", *arguments))
        outcomes += [user.cli("doctor"), user.cli("show", "gym-3")]
        outcomes.append(user.cli("export", "--format", "csv", "-o", str(tmp_path / "gyms.csv")))
        yield Story(user, watch, outcomes)


def test_secrets_and_reviews_stay_where_they_belong(story: Story, postgres_owner: Database) -> None:
    """Not in process lists, output, logs, Dagster's storage or exports; the database has reviews, but no secret."""
    assert [outcome.code for outcome in story.outcomes[:3]] == [0, 1, 1]
    assert (story.watch.looked > 0, story.watch.seen) == (True, set())

    said = "".join(outcome.out + outcome.err for outcome in story.outcomes)
    stored = b"".join(path.read_bytes() for path in story.user.home.rglob("*") if path.is_file())
    exported = (story.user.folder / "gyms.csv").read_text(encoding="utf-8")
    for secret in (API_KEY, PASSWORD, SAID):
        assert secret not in said
        assert secret.encode() not in stored
        assert secret not in exported

    database = "".join(_everything_in(postgres_owner))
    assert SAID in database
    assert API_KEY not in database
    assert PASSWORD not in database


def _everything_in(database: Database) -> Iterator[str]:
    with psycopg.connect(database.url, options=f"-csearch_path={database.search_path}") as connection:
        for (table,) in connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s", [database.search_path]
        ).fetchall():
            for (row,) in connection.execute(f'SELECT t::text FROM "{table}" AS t'.encode()):
                yield row
