"""Statistics after runs with faults: they add up with the ledger, and the ledger with the server. On both databases."""

import re
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import func, select

from gym_enrichment.domain.experiments import Experiment, VariantSpec
from gym_enrichment.pipeline.statistics import prometheus_text, statistics
from gym_enrichment.storage.directory import publish
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.enrichments import write_enriched_batch
from gym_enrichment.storage.tables import ledger
from gym_enrichment_tests.integration.test_enriching import Job
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good, good_content

MODEL = 'odd "model" \\ of\nours'
SAMPLE = re.compile(r'gym_enrichment_\w+\{(?:\w+="(?:[^"\\\n]|\\["\\n])*",?)+\} [0-9.e+-]+')
TOKENS = ("prompt_tokens", "completion_tokens")


class Faulty:
    """Fails some gyms once and one for good, and counts what it answered."""

    def __init__(self) -> None:
        self.asks: Counter[str] = Counter()
        self.answered = 0

    def __call__(self, ask: Ask) -> Reply:
        self.asks[ask.name] += 1
        first = self.asks[ask.name] == 1
        if ask.name == "Salle 0002" and first:
            return Reply(status=500)
        if ask.name == "Salle 0003" and first:
            return Reply(status=429)
        if ask.name == "Salle 0005":
            return Reply(status=400)
        self.answered += 1
        if ask.name == "Salle 0004" and first:
            return Reply("this is no JSON")
        return good(ask)


@pytest.fixture
def ran(database: Database, tmp_path: Path) -> tuple[Database, Faulty]:
    """Two runs over eight gyms; the second finds seven as they should be."""
    faulty = Faulty()
    with LlmServer(faulty) as server:
        job = Job(database, server, tmp_path)
        batches = job.bundles(8, batch_size=4)
        for run_id in ("run-1", "run-2"):
            for batch in job.enrich(batches, run_id, GYM_LLM_MODEL=MODEL):
                write_enriched_batch(database, batch)
    with database.write() as connection:
        publish(connection, Experiment.of_one(VariantSpec.of_kind("combined")))
    return database, faulty


def test_every_breakdown_adds_up_with_the_ledger_and_the_server(ran: tuple[Database, Faulty]) -> None:
    database, faulty = ran
    found = statistics(database)
    with database.read() as connection:
        attempts = connection.execute(select(func.count()).select_from(ledger)).scalar_one()

    assert attempts == sum(faulty.asks.values()) == found["all_time"]["llm_calls"] == sum(found["attempts"].values())
    for broken_down in (found["days"], list(found["variants"].values())):
        for name in TOKENS:
            assert sum(row[name] for row in broken_down) == found["all_time"][name]
    assert found["all_time"]["prompt_tokens"] == 1_000 * faulty.answered
    assert sum(row["attempts"] for row in found["days"]) == attempts
    assert [row["model"] for row in found["days"]] == [MODEL] * len(found["days"])
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", row["day"]) for row in found["days"])


def test_what_was_found_what_failed_and_how_long_it_took(ran: tuple[Database, Faulty]) -> None:
    found = statistics(ran[0])

    (row,) = found["found"]
    assert (row["variant"], row["model"], row["gyms"]) == ("combined", MODEL, 7)
    assert (row["with_amenities"], row["amenities_verified"], row["amenities_kept_back"]) == (7, 14, 0)
    assert found["failures"] == [
        {"kind": "bad_request", "variant": "combined", "gyms": 1, "examples": ["gym-0005"]},
    ]
    (latency,) = found["latency"]
    assert latency["answers"] == found["attempts"]["ok"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"]
    assert found["directory"] == {"enriched": 7, "failed": 1}


def test_prometheus_reads_the_same_figures(ran: tuple[Database, Faulty]) -> None:
    database, _ = ran
    found, text = statistics(database), prometheus_text(database)
    lines = text.splitlines()

    samples = [line for line in lines if not line.startswith("#")]
    assert samples
    assert [line for line in samples if not SAMPLE.fullmatch(line)] == []
    typed = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(typed) == len(set(typed))
    assert {line.partition("{")[0] for line in samples} <= set(typed)

    def total(name: str, label: str = "") -> float:
        return sum(float(line.rsplit(" ", 1)[1]) for line in samples if line.startswith(name) and label in line)

    assert total("gym_enrichment_llm_attempts_total") == found["all_time"]["llm_calls"]
    assert total("gym_enrichment_llm_tokens_total", 'kind="prompt"') == found["all_time"]["prompt_tokens"]
    assert total("gym_enrichment_llm_cost_usd_total") == pytest.approx(found["all_time"]["cost_usd"])
    assert total("gym_enrichment_gyms") == 8


def test_before_the_first_run_there_is_nothing_and_no_error(database: Database) -> None:
    found = statistics(database)

    assert (found["last_run"], found["days"], found["latency"], found["found"], found["failures"]) == (
        None,
        [],
        [],
        [],
        [],
    )
    assert "llm_attempts_total" in prometheus_text(database)


def test_quantiles_are_latencies_that_occurred(database: Database, tmp_path: Path) -> None:
    with LlmServer(lambda ask: Reply(good_content(ask.name))) as server:
        job = Job(database, server, tmp_path)
        for batch in job.enrich(job.bundles(5, batch_size=5)):
            write_enriched_batch(database, batch)
    with database.read() as connection:
        taken = sorted(connection.execute(select(ledger.c.latency_seconds)).scalars())

    (latency,) = statistics(database)["latency"]

    assert [latency["p50"], latency["p95"], latency["p99"]] == [
        round(taken[2], 4),
        round(taken[4], 4),
        round(taken[4], 4),
    ]
