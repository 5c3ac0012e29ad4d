"""What the report page shows, gathered after runs with faults, on both databases."""

from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.domain.evaluation import parse_label
from gym_enrichment.domain.experiments import Experiment, VariantSpec
from gym_enrichment.pipeline.evaluating import evaluate
from gym_enrichment.pipeline.reporting import gather_report
from gym_enrichment.storage.directory import publish
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.enrichments import write_enriched_batch
from gym_enrichment_tests.integration.test_enriching import Job
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good


def answer(ask: Ask) -> Reply:
    """One gym in trouble for a moment, one for good."""
    if ask.name == "Salle 0002" and ask.number == 1:
        return Reply("this is no JSON")
    return Reply(status=400) if ask.name == "Salle 0003" else good(ask)


def run(database: Database, folder: Path, gyms: int, *runs: dict[str, Any]) -> None:
    """Gyms in batches of four; a run for each of `runs`, settings of its own."""
    with LlmServer(answer) as server:
        job = Job(database, server, folder)
        batches = job.bundles(gyms, batch_size=4)
        for number, settings in enumerate(runs, start=1):
            # Saved in the order of their ids, whichever of them a machine ends first.
            for batch in sorted(job.enrich(batches, f"run-{number}", **settings), key=attrgetter("batch_id")):
                write_enriched_batch(database, batch)
    with database.write() as connection:
        publish(connection, Experiment.of_one(VariantSpec.of_kind("combined")))


@contextmanager
def statements_of(database: Database) -> Iterator[list[str]]:
    """The statements that the database is sent meanwhile."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(("BEGIN", "PRAGMA")):
            statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def test_figures_of_two_variants_and_of_what_failed(database: Database, tmp_path: Path) -> None:
    run(database, tmp_path, 8, {"GYM_VARIANT": "fanout"}, {}, {})

    found = gather_report(database)

    head = found.headline
    assert (head.gyms, head.states) == (8, {"enriched": 7, "failed": 1})
    assert head.cost_usd == pytest.approx(sum(row.cost_usd for row in found.days))
    assert head.prompt_tokens + head.completion_tokens == sum(row.tokens for row in found.days)
    assert head.llm_calls == sum(row.calls for row in found.days) == sum(row.calls for row in found.variants)
    assert head.cache_hits == 7, "the third run had nothing to ask of seven gyms"

    old, new = found.variants
    assert (old.variant, new.variant) == ("fanout", "combined")
    assert old.gyms == new.gyms == 7
    assert old.calls_per_gym is not None
    assert new.calls_per_gym is not None
    assert old.calls_per_gym > 2 * new.calls_per_gym
    assert head.saved_usd == pytest.approx(7 * (new.cost_usd_per_gym or 0))
    assert old.invalid_share == pytest.approx(1 / old.calls)
    assert 0 < (new.latency_p50 or 0) <= (new.latency_p95 or 0)

    (failed,) = {(row.kind, row.gyms, row.example) for row in found.failed_gyms if row.variant == "combined"}
    assert failed == ("bad_request", 1, "gym-0003")
    assert {"bad_request", "invalid_answer"} <= {row.kind for row in found.failed_attempts}
    assert [row.run_id for row in found.throughput_runs] == ["run-3", "run-2", "run-1"]
    assert sum(row.gyms for row in found.throughput_days) == 3 * 8
    assert sum(row.runs for row in found.throughput_days) == 3


def test_the_gallery_quotes_what_supports_each_fact_and_says_what_is_left_out(
    database: Database, tmp_path: Path
) -> None:
    run(database, tmp_path, 5, {})

    found = gather_report(database, most_gyms=3).gallery

    assert (len(found.gyms), found.left_out) == (3, 2)
    last, first, _ = found.gyms
    assert (last.name, last.state) == ("Salle 0005", "enriched"), "the batch that was saved last comes first"
    assert (first.name, first.city, first.state) == ("Salle 0001", "Oran", "enriched")
    fact = first.amenities["Vestiaires"]
    assert fact.status == "verified"
    assert [found.reviews[review] for review in fact.reviews]
    assert all("vestiaires propres" in found.reviews[review] for review in fact.reviews)
    assert {review for gym in found.gyms for fact in gym.amenities.values() for review in fact.reviews} == set(
        found.reviews
    )
    everything = gather_report(database).gallery
    assert [gym.state for gym in everything.gyms] == ["enriched"] * 4 + ["failed"]
    assert everything.left_out == 0


def test_the_number_of_queries_does_not_grow_with_gyms_runs_and_reviews(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(database, tmp_path / "few", 3, {})
    with statements_of(database) as few:
        gather_report(database)
    run(database, tmp_path / "many", 12, {}, {}, {})
    with statements_of(database) as many:
        gather_report(database)

    assert len(many) == len(few) <= 20
    assert sum("FROM reviews" in statement for statement in many) == 1


def test_the_newest_evaluation_of_each_variant_is_shown_with_what_changed(
    sqlite_database: Database, tmp_path: Path
) -> None:
    run(sqlite_database, tmp_path, 4, {})
    label = {"place_id": "gym-0001", "verdict": "false", "why": "", "evidence_review_ids": []}
    for _ in range(2):
        evaluate(sqlite_database, [parse_label(label)], "mine", Vocabulary.default())

    (shown,) = gather_report(sqlite_database).evaluations

    assert (shown.labels, shown.variant, shown.gyms) == ("mine", "combined", 1)
    assert set(shown.figures) == set(shown.changes)


def test_an_empty_database_has_an_empty_report(database: Database) -> None:
    found = gather_report(database)

    assert (found.headline.gyms, found.headline.cost_usd, found.gallery.gyms) == (0, 0, [])
    assert (found.variants, found.throughput_runs, found.failed_gyms, found.evaluations) == ([], [], [], [])
