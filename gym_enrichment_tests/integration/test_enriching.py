"""Many batches at once: the enricher on bundles of ingested gyms, against a real HTTP server."""

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from sqlalchemy import func, select, update

from gym_enrichment.domain.hours import NOT_STATED
from gym_enrichment.domain.models import Bundle, EnrichedBatch
from gym_enrichment.llm.endpoint import describe_endpoint
from gym_enrichment.llm.errors import ErrorKind, RunStopped
from gym_enrichment.pipeline import background
from gym_enrichment.pipeline.background import Emit, iterate_in_background
from gym_enrichment.pipeline.bundling import build_bundles
from gym_enrichment.pipeline.enriching.enricher import Enricher
from gym_enrichment.pipeline.ingesting import ingest
from gym_enrichment.settings import Settings, load_settings
from gym_enrichment.storage.batches import assign_batches
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.enrichments import find_failures, write_enriched_batch
from gym_enrichment.storage.tables import batches as batch_table
from gym_enrichment.storage.tables import enrichments, ledger
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good, good_content
from gym_enrichment_tests.raw_data import ingest_gyms

# What the default model costs for the server's usual usage: 1,000 prompt tokens and 100 completion tokens.
COST = 1_000 * 0.15e-6 + 100 * 0.60e-6
MONDAY = "Monday: 9:00 AM – 5:00 PM"

Batches = list[tuple[str, list[Bundle]]]


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with LlmServer() as running:
        yield running


class Job:
    """Settings on a database and a server, and the steps before the enricher's."""

    def __init__(self, database: Database, server: LlmServer, folder: Path) -> None:
        self.database = database
        self.server = server
        self.folder = folder

    def settings(self, **changed: Any) -> Settings:
        url = self.database.url
        if self.database.search_path is not None:
            url += f"?options=-csearch_path%3D{self.database.search_path}"
        fixed = {
            "GYM_HOME": self.folder / "home",
            "GYM_DATABASE_URL": url,
            "OPENAI_API_KEY": "test",
            "OPENAI_BASE_URL": self.server.base_url,
            "GYM_LLM": "openai",
            "GYM_LLM_MODEL": "gpt-4o-mini",
            "GYM_LLM_CONCURRENCY": 20,
            "GYM_LLM_MAX_ATTEMPTS": 2,
            "GYM_LLM_CACHE_TTL": 3600,
            "GYM_LLM_TIMEOUT": 60,
        }
        return load_settings(**fixed | changed)

    def bundles(self, gyms: int, batch_size: int) -> Batches:
        """Ingest `gyms` small gyms, "Salle 0001" ..., and bundle them in batches."""
        ingest_gyms(self.database, self.folder / "source", gyms)
        return self.bundle_new(batch_size)

    def bundles_of(
        self, gyms: Iterable[Mapping[str, Any]], reviews: Iterable[Mapping[str, Any]], batch_size: int
    ) -> Batches:
        """Ingest these gyms and reviews, and bundle them in batches."""
        paths = []
        for name, rows in (("gyms", list(gyms)), ("reviews", list(reviews))):
            if rows:
                path = self.folder / f"{name}.jsonl"
                path.write_text("".join(json.dumps(row) + "\n" for row in rows))
                paths.append(str(path))
        assert not ingest(self.database, paths).errors
        return self.bundle_new(batch_size)

    def rebundle(self) -> Batches:
        """The bundles of the batches that there are."""
        with self.database.read() as connection:
            batch_ids = list(
                connection.execute(select(batch_table.c.batch_id).order_by(batch_table.c.number)).scalars()
            )
        return list(build_bundles(self.database, batch_ids, token_budget=500))

    def bundle_new(self, batch_size: int) -> Batches:
        return list(build_bundles(self.database, assign_batches(self.database, batch_size), token_budget=500))

    def enrich(
        self, batches: Iterable[tuple[str, list[Bundle]]], run_id: str = "run-1", **changed: Any
    ) -> Iterator[EnrichedBatch]:
        settings = self.settings(**changed)
        return Enricher(settings, describe_endpoint(settings)).enrich(batches, run_id)

    def ledger_rows(self) -> int:
        with self.database.read() as connection:
            return connection.execute(select(func.count()).select_from(ledger)).scalar_one()


@pytest.fixture
def job(database: Database, server: LlmServer, tmp_path: Path) -> Job:
    return Job(database, server, tmp_path)


def by_id(batches: Iterable[EnrichedBatch]) -> dict[str, EnrichedBatch]:
    return {batch.batch_id: batch for batch in batches}


def names_in(batches: Batches, *batch_ids: str) -> set[str]:
    return {str(bundle.gym["name"]) for batch_id, bundles in batches if batch_id in batch_ids for bundle in bundles}


def call_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "gym-enrichment-calls"]


# --- batches ---------------------------------------------------------------------------------------------


def test_each_batch_comes_as_soon_as_its_last_gym_is_done(job: Job) -> None:
    batches = job.bundles(6, batch_size=2)
    job.server.script = lambda ask: Reply(good_content(), delay=3.0 if ask.name == "Salle 0001" else 0.0)
    found = list(job.enrich(batches))

    assert sorted(batch.batch_id for batch in found[:2]) == ["batch-000002", "batch-000003"]
    assert found[2].batch_id == "batch-000001"
    assert found[2].seconds >= 3.0


def test_every_gym_of_every_batch_is_enriched_with_what_was_answered(job: Job) -> None:
    batches = job.bundles(7, batch_size=3)
    job.server.script = lambda ask: Reply(good_content(ask.name))
    found = by_id(job.enrich(batches))

    assert {batch_id: len(batch.enrichments) for batch_id, batch in found.items()} == {
        "batch-000001": 3,
        "batch-000002": 3,
        "batch-000003": 1,
    }
    bundled = {bundle.place_id: bundle for _, bundles in batches for bundle in bundles}
    for batch in found.values():
        for enrichment in batch.enrichments:
            bundle = bundled[enrichment.place_id]
            assert enrichment.state == "enriched"
            assert (enrichment.description or "").startswith(str(bundle.gym["name"]))
            assert enrichment.amenities == ["Espace musculation", "Vestiaires"]
            assert enrichment.evidence["amenities"]["Espace musculation"][0] == bundle.reviews[0].review_id
            assert enrichment.bundle_hash == bundle.content_hash
            assert enrichment.model == "gpt-4o-mini"


def test_a_batch_whose_gyms_all_fail_leaves_its_neighbours_whole(job: Job) -> None:
    batches = job.bundles(12, batch_size=4)
    bad = names_in(batches, "batch-000002")
    job.server.script = lambda ask: Reply(status=500) if ask.name in bad else good(ask)
    found = by_id(job.enrich(batches))

    assert found["batch-000002"].enrichments == []
    assert {(failure.kind, failure.attempts) for failure in found["batch-000002"].failures} == {("server_error", 2)}
    assert {failure.place_id for failure in found["batch-000002"].failures} == {
        bundle.place_id for bundle in batches[1][1]
    }
    for batch_id in ("batch-000001", "batch-000003"):
        assert len(found[batch_id].enrichments) == 4
        assert not found[batch_id].failures
    assert len(job.server.asks) == 8 + 2 * 4


def test_once_the_server_is_well_only_the_gyms_that_failed_are_asked_again(job: Job) -> None:
    batches = job.bundles(12, batch_size=4)
    bad = names_in(batches, "batch-000002")
    job.server.script = lambda ask: Reply(status=500) if ask.name in bad else good(ask)
    list(job.enrich(batches))
    job.server.script = good
    job.server.asks.clear()
    found = by_id(job.enrich(batches, run_id="run-2"))

    assert sorted(job.server.names()) == sorted(bad)
    assert all(len(batch.enrichments) == 4 and not batch.failures for batch in found.values())
    assert {batch_id: batch.cache_hits for batch_id, batch in found.items()} == {
        "batch-000001": 4,
        "batch-000002": 0,
        "batch-000003": 4,
    }


def test_one_gym_that_fails_harms_no_gym_of_its_own_batch(job: Job) -> None:
    batches = job.bundles(4, batch_size=4)
    job.server.script = lambda ask: Reply(good_content(), refusal="No.") if ask.name == "Salle 0003" else good(ask)
    (batch,) = job.enrich(batches)

    assert {enrichment.place_id for enrichment in batch.enrichments} == {"gym-0001", "gym-0002", "gym-0004"}
    assert [(failure.place_id, failure.kind) for failure in batch.failures] == [("gym-0003", ErrorKind.REFUSAL)]


def test_no_batches_and_empty_batches_end_at_once(job: Job) -> None:
    job.database.migrate()
    assert list(job.enrich([])) == []
    (batch,) = job.enrich([("batch-000001", [])])

    assert batch.figures["gyms"] == 0
    assert job.server.asks == []


def test_an_error_of_whoever_brings_the_batches_comes_out(job: Job) -> None:
    batches = job.bundles(2, batch_size=1)

    def broken() -> Iterator[tuple[str, list[Bundle]]]:
        yield batches[0]
        raise LookupError("no such batch")

    with pytest.raises(LookupError, match="no such batch"):
        list(job.enrich(broken()))
    assert call_threads() == []


# --- skipped gyms ----------------------------------------------------------------------------------------


def test_a_gym_without_review_text_is_skipped_with_its_hours_and_never_sent(job: Job) -> None:
    batches = job.bundles_of(
        [
            {"place_id": "no-review", "name": "Sans avis", "hours": [MONDAY]},
            {"place_id": "no-text", "name": "Sans texte", "hours": [MONDAY]},
            {"place_id": "no-hours", "name": "Sans rien"},
            {"place_id": "whole", "name": "Entière", "hours": [MONDAY]},
        ],
        [
            {"review_id": "r1", "place_id": "no-text", "rating": 5},
            {"review_id": "r2", "place_id": "no-text", "text": " \n\u200b "},
            {"review_id": "r3", "place_id": "whole", "text": "Bonne salle"},
        ],
        batch_size=10,
    )
    (batch,) = job.enrich(batches)

    assert job.server.names() == ["Entière"]
    found = {enrichment.place_id: enrichment for enrichment in batch.enrichments}
    assert {place_id for place_id, enrichment in found.items() if enrichment.state == "skipped"} == {
        "no-review",
        "no-text",
        "no-hours",
    }
    assert found["no-review"].hours_french == found["no-text"].hours_french == "lundi: 09:00\u2009–\u200917:00"
    assert "lundi" in found["no-review"].hours_french
    assert found["no-hours"].hours_french == NOT_STATED
    for place_id in ("no-review", "no-text", "no-hours"):
        skipped = found[place_id]
        assert (skipped.description, skipped.has_women_hours, list(skipped.amenities)) == (None, None, [])
        assert (skipped.prompt_tokens, skipped.completion_tokens, skipped.cost_usd) == (0, 0, 0.0)
    write_enriched_batch(job.database, batch)


def test_a_batch_of_skipped_gyms_only_makes_no_call(job: Job) -> None:
    gyms = [{"place_id": f"gym-{n}", "name": f"Salle {n}"} for n in range(5)]
    (batch,) = job.enrich(job.bundles_of(gyms, [], batch_size=5))

    assert batch.figures["skipped"] == batch.figures["gyms"] == 5
    assert job.server.asks == []
    assert job.ledger_rows() == 0


# --- one pool --------------------------------------------------------------------------------------------


def test_all_gyms_of_all_batches_share_one_pool_of_calls(job: Job) -> None:
    batches = job.bundles(30, batch_size=1)
    job.server.script = lambda _: Reply(good_content(), delay=0.3)
    assert len(list(job.enrich(batches, GYM_LLM_CONCURRENCY=5))) == 30

    assert job.server.most_in_flight == 5


def test_batches_are_read_as_calls_become_free_and_not_all_at_once(job: Job) -> None:
    batches = job.bundles(120, batch_size=1)
    job.server.script = lambda _: Reply(good_content(), delay=0.02)
    read = 0

    def counted() -> Iterator[tuple[str, list[Bundle]]]:
        nonlocal read
        for batch in batches:
            read += 1
            yield batch

    running = job.enrich(counted(), GYM_LLM_CONCURRENCY=2)
    next(running)

    assert read < 60
    assert len(list(running)) == 119


def test_equal_gyms_under_two_ids_share_one_call_and_keep_their_own_evidence(job: Job) -> None:
    batches = job.bundles_of(
        [{"place_id": place_id, "name": "Jumelle", "city": "Oran"} for place_id in ("twin-a", "twin-b")],
        [
            {"review_id": f"of-{place_id}", "place_id": place_id, "text": "Bonne musculation, vestiaires propres"}
            for place_id in ("twin-a", "twin-b")
        ],
        batch_size=2,
    )
    job.server.script = lambda _: Reply(good_content(), delay=0.05)
    (batch,) = job.enrich(batches)

    assert len(job.server.asks) == 1
    assert (batch.llm_calls, batch.cache_hits) == (1, 1)
    assert sorted(enrichment.from_cache for enrichment in batch.enrichments) == [False, True]
    assert {e.place_id: e.evidence["amenities"]["Espace musculation"] for e in batch.enrichments} == {
        "twin-a": ["of-twin-a"],
        "twin-b": ["of-twin-b"],
    }


# --- figures ---------------------------------------------------------------------------------------------


def test_the_figures_of_a_batch_are_exact(job: Job) -> None:
    gyms = ["good", "twin", "twin 2", "mended", "refused", "down", "skipped"]
    batches = job.bundles_of(
        [{"place_id": gym, "name": gym.removesuffix(" 2")} for gym in gyms],
        [{"review_id": f"of-{gym}", "place_id": gym, "text": "Bonne salle"} for gym in gyms[:-1]],
        batch_size=10,
    )

    def script(ask: Ask) -> Reply:
        if ask.name == "mended" and ask.number == 1:
            return Reply("no JSON")
        if ask.name == "refused":
            return Reply("", refusal="No.")
        if ask.name == "down":
            return Reply(status=500)
        return Reply(good_content(), delay=0.05)

    job.server.script = script
    (batch,) = job.enrich(batches, run_id="run-9")

    figures = batch.figures
    assert batch.run_id == "run-9"
    assert batch.variant == "combined"
    assert figures.pop("cost_usd") == pytest.approx(5 * COST)
    assert 0.05 <= figures.pop("seconds") < 5
    assert figures == {
        "gyms": 7,
        "enriched": 4,
        "failed": 2,
        "skipped": 1,
        "skipped_budget": 0,
        "llm_calls": 1 + 1 + 2 + 1 + 2,
        "cache_hits": 1,
        "prompt_tokens": 5_000,
        "completion_tokens": 500,
    }
    assert job.ledger_rows() == len(job.server.asks) == figures["llm_calls"]
    attempts = {failure.place_id: failure.attempts for failure in batch.failures}
    assert attempts == {"refused": 1, "down": 2}


def test_a_run_that_finds_everything_in_the_cache_costs_nothing(job: Job) -> None:
    batches = job.bundles(3, batch_size=3)
    list(job.enrich(batches))
    (batch,) = job.enrich(batches, run_id="run-2")

    assert (batch.llm_calls, batch.cache_hits, batch.cost_usd, batch.prompt_tokens) == (0, 3, 0.0, 0)
    assert all(enrichment.from_cache for enrichment in batch.enrichments)
    assert len(job.server.asks) == 3


def test_rows_that_are_up_to_date_are_kept_without_calling_upon_anybody(job: Job) -> None:
    batches = job.bundles(3, batch_size=3)
    write_enriched_batch(job.database, *job.enrich(batches))
    with job.database.read() as connection:
        before = connection.execute(select(enrichments)).all()

    asked = len(job.server.asks)
    (batch,) = job.enrich(batches, run_id="run-2")
    write_enriched_batch(job.database, batch)

    assert len(job.server.asks) == asked
    assert (sorted(batch.kept), batch.enrichments) == (["gym-0001", "gym-0002", "gym-0003"], [])
    assert (batch.figures["gyms"], batch.figures["enriched"], batch.figures["cache_hits"]) == (3, 3, 3)
    with job.database.read() as connection:
        assert connection.execute(select(enrichments)).all() == before


def test_a_row_is_not_kept_when_its_bundle_its_setup_or_its_age_is_another(job: Job) -> None:
    ((batch_id, bundles),) = batches = job.bundles(3, batch_size=3)
    write_enriched_batch(job.database, *job.enrich(batches))
    job.server.asks.clear()

    changed = [replace(bundles[0], content_hash="another"), *bundles[1:]]
    (of_a_change,) = job.enrich([(batch_id, changed)])
    (of_another_model,) = job.enrich(batches, GYM_LLM_MODEL="gpt-4o")
    (of_no_cache,) = job.enrich(batches, GYM_LLM_CACHE_TTL=0)
    with job.database.write() as connection:
        connection.execute(update(enrichments).values(enriched_at=datetime(2020, 1, 1, tzinfo=UTC)))
    (of_age,) = job.enrich(batches)

    assert sorted(of_a_change.kept) == sorted(bundle.place_id for bundle in bundles[1:])
    assert [of_another_model.kept, of_no_cache.kept, of_age.kept] == [[], [], []]


def test_a_gym_that_failed_and_is_as_it_was_again_is_no_failure(job: Job) -> None:
    ((batch_id, bundles),) = batches = job.bundles(2, batch_size=2)
    write_enriched_batch(job.database, *job.enrich(batches))
    job.server.script = lambda ask: Reply(status=400)
    changed = [replace(bundles[0], gym=dict(bundles[0].gym) | {"name": "Autre"}, content_hash="another"), bundles[1]]
    (failed,) = job.enrich([(batch_id, changed)], run_id="run-2")
    write_enriched_batch(job.database, failed)
    assert len(failed.failures) == 1

    write_enriched_batch(job.database, *job.enrich(batches, run_id="run-3"))

    with job.database.read() as connection:
        assert find_failures(connection) == []


def test_equal_gyms_that_fail_together_are_charged_once(job: Job) -> None:
    twins = [f"twin-{n}" for n in range(4)]
    batches = job.bundles_of(
        [{"place_id": twin, "name": "Jumelle"} for twin in twins],
        [{"review_id": f"of-{twin}", "place_id": twin, "text": "Bonne salle"} for twin in twins],
        batch_size=2,
    )
    job.server.script = lambda _: Reply("", refusal="No.", delay=0.1)
    found = list(job.enrich(batches))

    assert sum(batch.figures["failed"] for batch in found) == 4
    assert len(job.server.asks) == 1
    assert sum(batch.llm_calls for batch in found) == 1
    assert sum(batch.prompt_tokens for batch in found) == 1_000


# --- ends before the end ---------------------------------------------------------------------------------


def test_a_wrong_key_stops_the_run_after_a_few_requests_and_names_the_setting(job: Job) -> None:
    batches = job.bundles(80, batch_size=10)
    job.server.script = lambda _: Reply(status=401, delay=0.05)
    with pytest.raises(RunStopped, match="OPENAI_API_KEY") as stopped:
        list(job.enrich(batches, GYM_LLM_CONCURRENCY=4))

    assert stopped.value.kind == ErrorKind.UNAUTHORIZED
    # Those in flight, and those that took their places before the first answer was read.
    assert len(job.server.asks) <= 8
    assert call_threads() == []


def test_a_run_that_is_stopped_half_way_keeps_what_was_answered(job: Job) -> None:
    batches = job.bundles(40, batch_size=10)
    job.server.script = lambda ask: good(ask) if len(job.server.asks) <= 15 else Reply(status=401, delay=0.2)
    finished: list[EnrichedBatch] = []
    with pytest.raises(RunStopped):
        finished.extend(job.enrich(batches, GYM_LLM_CONCURRENCY=4))

    assert all(len(batch.enrichments) == 10 for batch in finished)
    job.server.script = good
    before = len(job.server.asks)
    found = list(job.enrich(batches, run_id="run-2"))
    assert sum(len(batch.enrichments) for batch in found) == 40
    assert len(job.server.asks) - before == 25


def test_closing_early_cancels_the_rest_and_keeps_what_was_answered(job: Job) -> None:
    batches = job.bundles(10, batch_size=5)

    def script(ask: Ask) -> Reply:
        if ask.name == "Salle 0001":
            return Reply(good_content(), delay=120)
        return Reply(good_content(), delay=0.3 if ask.name > "Salle 0005" else 0.0)

    job.server.script = script
    with closing(job.enrich(batches)) as running:  # type: ignore[type-var]
        first = next(running)
        began = time.monotonic()
    assert time.monotonic() - began < 60
    assert call_threads() == []
    assert first.batch_id == "batch-000002"

    job.server.script = good
    job.server.asks.clear()
    found = list(job.enrich(batches, run_id="run-2"))
    assert sum(len(batch.enrichments) for batch in found) == 10
    assert job.server.names() == ["Salle 0001"]


def test_an_error_of_the_consumer_ends_the_calls(job: Job) -> None:
    batches = job.bundles(10, batch_size=1)
    job.server.script = lambda ask: Reply(good_content(), delay=0.0 if ask.name == "Salle 0001" else 120)

    def consume() -> None:
        for _ in job.enrich(batches):
            raise OSError("the disk is full")

    began = time.monotonic()
    with pytest.raises(OSError, match="the disk is full"):
        consume()
    assert time.monotonic() - began < 60
    assert call_threads() == []


def test_a_run_that_ends_well_does_not_stumble_over_its_own_thread() -> None:
    """The thread may still be on its last line when the consumer, who has the end already, stops it."""
    gone = threading.Event()

    def trace(frame: FrameType, event: str, _arg: object) -> Callable[..., Any] | None:
        if frame.f_code.co_filename != background.__file__ or frame.f_code.co_name != "run":
            return None
        if event == "return":
            gone.wait(0.5)
        return trace

    async def work(emit: Emit[int]) -> None:
        await emit(1)

    threading.settrace(trace)
    try:
        assert list(iterate_in_background(work)) == [1]
    finally:
        threading.settrace(None)
        gone.set()


# --- answers that the database cannot take ---------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"description": "Cette salle\u0000 est une salle de sport. Elle dispose de vélos. Les cours ont lieu."},
        {"amenities": [{"name": "Sau\u0000na", "reviews": [1]}]},
        {"hours_french": "lundi\u0000: 06:00 – 22:00"},
    ],
    ids=["description", "amenity", "hours"],
)
def test_an_answer_with_nul_keeps_no_other_gym_of_its_batch_from_being_saved(
    job: Job, change: Mapping[str, Any]
) -> None:
    """Postgres stores no NUL, and what an LLM can be talked into writes one."""
    batches = job.bundles(2, batch_size=2)
    bad = json.dumps(json.loads(good_content()) | change)
    job.server.script = lambda ask: Reply(bad) if ask.name == "Salle 0001" else good(ask)
    (batch,) = job.enrich(batches)
    write_enriched_batch(job.database, batch)

    with job.database.read() as connection:
        saved = {row.place_id: row for row in connection.execute(select(enrichments))}
    assert "gym-0002" in saved
    assert all("\x00" not in str(row.description) + str(row.hours_french) for row in saved.values())
    assert all("\x00" not in "".join(row.amenities) for row in saved.values())


# --- money -----------------------------------------------------------------------------------------------


PRICES = {"GYM_LLM_PRICE_PROMPT": 10.0, "GYM_LLM_PRICE_COMPLETION": 10.0}
"""Of the scripted server's 1,000 + 100 tokens: 0.011 dollars a call."""


def test_a_budget_that_is_reached_leaves_the_rest_unasked_and_a_larger_one_asks_only_that(job: Job) -> None:
    batches = job.bundles(20, batch_size=10)
    first = list(job.enrich(batches, run_id="poor", **PRICES, GYM_BUDGET_USD=0.1))

    asked = len(job.server.asks)
    unasked = sum(len(batch.unasked) for batch in first)
    assert sum(batch.cost_usd for batch in first) == pytest.approx(0.011 * asked)
    assert 0.05 < 0.011 * asked <= 0.1
    assert asked + unasked == 20
    assert not any(batch.failures for batch in first)
    for batch in first:
        figures = batch.figures
        assert figures["gyms"] == 10 == figures["enriched"] + figures["skipped"]
        assert figures["skipped_budget"] == len(batch.unasked)

    second = list(job.enrich(batches, run_id="rich", **PRICES, GYM_BUDGET_USD=10))
    assert sum(batch.llm_calls for batch in second) == unasked
    assert sum(batch.cache_hits for batch in second) == asked
    assert sorted(job.server.names()) == [f"Salle {number:04d}" for number in range(1, 21)]


def test_a_budget_for_a_model_without_a_price_stops_before_the_first_call(job: Job) -> None:
    batches = job.bundles(3, batch_size=3)
    with pytest.raises(RunStopped, match="GYM_LLM_PRICE_PROMPT"):
        list(job.enrich(batches, GYM_LLM_MODEL="no-such-model-anywhere", GYM_BUDGET_USD=1))
    assert not job.server.asks
