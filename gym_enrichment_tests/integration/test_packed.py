"""Variant `packed`: several gyms in one call, against a real HTTP server, on both databases."""

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from gym_enrichment.domain.experiments import Experiment, VariantSpec
from gym_enrichment.domain.models import EnrichedBatch
from gym_enrichment.storage import tables
from gym_enrichment.storage.directory import find_published, publish
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.enrichments import write_enriched_batch
from gym_enrichment_tests.integration.test_enriching import Job
from gym_enrichment_tests.integration.test_kill import Command, half_a_minute_later
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good, good_packed, packed_content, packed_entries
from gym_enrichment_tests.raw_data import ingest_gyms

Entries = list[dict[str, Any]]


class PackedJob(Job):
    """A job whose variant is `packed`, unless a test says otherwise."""

    def settings(self, **changed: Any) -> Any:
        return super().settings(**{"GYM_VARIANT": "packed"} | changed)

    def sizes(self) -> list[int]:
        return [len(ask.gyms) for ask in self.server.asks]

    def asked(self) -> Counter[str]:
        """How often each gym was asked about."""
        return Counter(name for ask in self.server.asks for name in ask.packed_names)


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with LlmServer(good_packed) as running:
        yield running


@pytest.fixture
def job(database: Database, server: LlmServer, tmp_path: Path) -> PackedJob:
    return PackedJob(database, server, tmp_path)


def enriched(batches: list[EnrichedBatch]) -> list[str]:
    return sorted(gym.place_id for batch in batches for gym in batch.enrichments if gym.state == "enriched")


def ids(gyms: int) -> list[str]:
    return [f"gym-{number:04d}" for number in range(1, gyms + 1)]


def assert_figures_are_the_ledgers(database: Database, batches: list[EnrichedBatch]) -> None:
    query = select(
        func.count(),
        func.sum(tables.ledger.c.prompt_tokens),
        func.sum(tables.ledger.c.completion_tokens),
        func.sum(tables.ledger.c.cost_usd),
    )
    with database.read() as connection:
        calls, prompt_tokens, completion_tokens, cost = connection.execute(query).one()
    assert sum(batch.llm_calls for batch in batches) == calls
    assert sum(batch.prompt_tokens for batch in batches) == prompt_tokens
    assert sum(batch.completion_tokens for batch in batches) == completion_tokens
    assert sum(batch.cost_usd for batch in batches) == pytest.approx(cost, rel=1e-12)
    assert cost > 0
    if not any(batch.failures for batch in batches):
        rows = [gym for batch in batches for gym in batch.enrichments]
        assert sum(gym.prompt_tokens for gym in rows) == prompt_tokens
        assert sum(gym.completion_tokens for gym in rows) == completion_tokens
        assert sum(gym.cost_usd for gym in rows) == pytest.approx(cost, rel=1e-12)


# --- all is well -----------------------------------------------------------------------------------------


def test_gyms_share_calls_and_each_gets_its_own_answer(job: PackedJob) -> None:
    found = list(job.enrich(job.bundles(20, batch_size=10)))

    assert job.sizes() == [5, 5, 5, 5]
    assert set(job.asked().values()) == {1}
    assert enriched(found) == ids(20)
    for batch in found:
        for gym in batch.enrichments:
            assert gym.variant == "packed"
            assert (gym.description or "").startswith(f"Salle {gym.place_id[-4:]} est")
            assert gym.evidence["amenities"]["Espace musculation"][0].startswith(f"review-{gym.place_id[-4:]}-")
            assert gym.prompt_tokens > 0
    assert_figures_are_the_ledgers(job.database, found)


def test_calls_grow_while_they_are_well_and_hold_no_more_than_the_token_budget(job: PackedJob) -> None:
    bundles = job.bundles(100, batch_size=100)
    list(job.enrich(bundles, GYM_LLM_CONCURRENCY=1))
    assert max(job.sizes()) > 5
    assert sum(job.sizes()) == 100
    job.server.asks.clear()
    list(job.enrich(bundles, run_id="run-2", GYM_LLM_CACHE_TTL=0, GYM_PACK_TOKENS=500))
    assert 2 <= max(job.sizes()) * 100 <= 1_000
    assert sum(job.sizes()) == 100


def test_a_gym_without_reviews_is_skipped_and_takes_no_place(job: PackedJob) -> None:
    gyms = [{"place_id": f"gym-{number:04d}", "name": f"Salle {number:04d}"} for number in range(1, 7)]
    reviews = [
        {"review_id": f"review-{number:04d}", "place_id": f"gym-{number:04d}", "text": "Bonne salle"}
        for number in range(1, 6)
    ]
    (batch,) = job.enrich(job.bundles_of(gyms, reviews, batch_size=6))

    assert job.sizes() == [5]
    assert {gym.place_id: gym.state for gym in batch.enrichments}["gym-0006"] == "skipped"
    assert batch.llm_calls == 1


# --- answers that are not whole --------------------------------------------------------------------------


def without_second(entries: Entries) -> Entries:
    return [entry for entry in entries if entry["id"] != "g2"]


def second_twice(entries: Entries) -> Entries:
    return [*entries, *(entry for entry in entries if entry["id"] == "g2")]


def second_under_an_unknown_id(entries: Entries) -> Entries:
    return [entry | {"id": "g77"} if entry["id"] == "g2" else entry for entry in entries]


def second_invalid(entries: Entries) -> Entries:
    return [entry | {"description": "Trop court."} if entry["id"] == "g2" else entry for entry in entries]


@pytest.mark.parametrize("spoil", [without_second, second_twice, second_under_an_unknown_id, second_invalid])
def test_only_the_gym_concerned_is_asked_about_again_alone(job: PackedJob, spoil: Callable[[Entries], Entries]) -> None:
    job.server.script = lambda ask: Reply(packed_content(spoil(packed_entries(ask))))
    found = list(job.enrich(job.bundles(5, batch_size=5)))

    first, second = job.server.asks
    assert second.packed_names == [first.packed_names[1]]
    assert enriched(found) == ids(5)
    assert_figures_are_the_ledgers(job.database, found)
    with job.database.read() as connection:
        booked = connection.execute(select(tables.ledger.c.place_id, tables.ledger.c.outcome)).all()
    assert {tuple(row) for row in booked} == {("pack of 5", "ok"), ("gym-0002", "ok")}


def test_a_gym_that_alone_has_no_valid_answer_either_fails_alone(job: PackedJob) -> None:
    def script(ask: Ask) -> Reply:
        return Reply(
            packed_content(
                [
                    entry | ({"description": "Trop court."} if name == "Salle 0003" else {})
                    for name, entry in zip(ask.packed_names, packed_entries(ask), strict=True)
                ]
            )
        )

    job.server.script = script
    found = list(job.enrich(job.bundles(5, batch_size=5)))
    assert job.sizes() == [5, 1, 1]
    assert [(gym.place_id, gym.kind, gym.variant) for batch in found for gym in batch.failures] == [
        ("gym-0003", "invalid_answer", "packed")
    ]
    assert enriched(found) == [place_id for place_id in ids(5) if place_id != "gym-0003"]
    assert_figures_are_the_ledgers(job.database, found)


TOO_LARGE = {
    "truncated": Reply('{"gyms": [{"id', finish_reason="length"),
    "too long": Reply(status=400, error_code="context_length_exceeded"),
    "no JSON": Reply("Bien sûr ! Voici les fiches."),
    "no id is known": Reply(packed_content([{"id": "salle"}])),
}


@pytest.mark.parametrize("reply", TOO_LARGE.values(), ids=TOO_LARGE)
def test_what_is_too_much_for_one_call_is_asked_in_smaller_ones(job: PackedJob, reply: Reply) -> None:
    job.server.script = lambda ask: reply if len(ask.gyms) > 2 else good_packed(ask)
    found = list(job.enrich(job.bundles(40, batch_size=40), GYM_LLM_CONCURRENCY=1))

    assert enriched(found) == ids(40)
    large = [size for size in job.sizes() if size > 2]
    assert len(large) <= 8
    assert set(job.sizes()[-5:]) <= {1, 2}
    assert_figures_are_the_ledgers(job.database, found)


def test_a_gym_that_a_content_filter_stops_harms_no_other(job: PackedJob) -> None:
    refused = Reply(finish_reason="content_filter")
    job.server.script = lambda ask: refused if "Salle 0004" in ask.packed_names else good_packed(ask)
    found = list(job.enrich(job.bundles(10, batch_size=10)))

    assert [(gym.place_id, gym.kind) for batch in found for gym in batch.failures] == [("gym-0004", "content_filter")]
    assert len(enriched(found)) == 9
    assert_figures_are_the_ledgers(job.database, found)


def test_what_passes_is_waited_for_and_what_does_not_fails_every_gym_once(job: PackedJob) -> None:
    job.server.script = lambda ask: Reply(status=500) if ask.number == 1 else good_packed(ask)
    bundles = job.bundles(10, batch_size=10)
    found = list(job.enrich(bundles, GYM_LLM_MAX_ATTEMPTS=4))
    assert enriched(found) == ids(10)
    assert_figures_are_the_ledgers(job.database, found)

    job.server.script = lambda ask: Reply(status=500)
    failing = list(job.enrich(bundles, run_id="run-2", GYM_LLM_CACHE_TTL=0))
    assert {gym.kind for batch in failing for gym in batch.failures} == {"server_error"}
    assert sum(len(batch.failures) for batch in failing) == 10


def test_a_budget_that_is_reached_leaves_the_gyms_unasked(job: PackedJob) -> None:
    (batch,) = job.enrich(job.bundles(5, batch_size=5), GYM_BUDGET_USD=0.000_001)
    assert job.server.asks == []
    assert sorted(batch.unasked) == ids(5)


# --- nothing is paid twice -------------------------------------------------------------------------------


def test_what_is_known_is_never_asked_again_whoever_shares_its_call(job: PackedJob) -> None:
    bundles = job.bundles(12, batch_size=12)
    list(job.enrich([("batch-000001", bundles[0][1][:7])]))
    first = len(job.server.asks)
    again = list(job.enrich([("batch-000001", bundles[0][1][::-1])], run_id="run-2"))

    assert set(job.asked().values()) == {1}
    assert sum(batch.cache_hits for batch in again) == 7
    assert sum(len(ask.gyms) for ask in job.server.asks[first:]) == 5
    list(job.enrich(bundles, run_id="run-3"))
    assert set(job.asked().values()) == {1}


def test_two_runs_at_once_pay_for_each_gym_once(job: PackedJob) -> None:
    job.server.script = lambda ask: Reply(good_packed(ask).content, delay=0.3)
    bundles = job.bundles(60, batch_size=20)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda run: list(job.enrich(bundles, run_id=run)), ["run-1", "run-2"]))

    assert set(job.asked().values()) == {1}
    assert [enriched(found) for found in both] == [ids(60), ids(60)]
    assert_figures_are_the_ledgers(job.database, [batch for found in both for batch in found if batch.llm_calls])


@pytest.mark.parametrize(("first", "second"), [("packed", "combined"), ("combined", "packed")])
def test_an_answer_of_one_variant_never_serves_the_other(job: PackedJob, first: str, second: str) -> None:
    job.server.script = lambda ask: good_packed(ask) if ask.gyms else good(ask)
    bundles = job.bundles(3, batch_size=3)
    for run, variant in enumerate([first, second]):
        (batch,) = job.enrich(bundles, run_id=f"run-{run}", GYM_VARIANT=variant)
        assert batch.cache_hits == 0
        assert batch.llm_calls == (3 if variant == "combined" else 1)


def test_the_published_row_is_the_selected_variants_or_else_the_newest(job: PackedJob) -> None:
    job.server.script = lambda ask: good_packed(ask) if ask.gyms else good(ask)
    bundles = job.bundles(2, batch_size=2)
    (packed,) = job.enrich([("batch-000001", bundles[0][1])])
    write_enriched_batch(job.database, packed)

    def published(selected: str) -> list[str]:
        with job.database.write() as connection:
            publish(connection, Experiment.of_one(VariantSpec.of_kind(selected)))
            return [
                str(
                    (find_published(connection, place_id, Experiment.of_one(VariantSpec.of_kind(selected))) or {})[
                        "variant"
                    ]
                )
                for place_id in ids(2)
            ]

    assert published("combined") == ["packed", "packed"]
    (combined,) = job.enrich([("batch-000001", bundles[0][1][:1])], run_id="run-2", GYM_VARIANT="combined")
    write_enriched_batch(job.database, combined)
    assert published("combined") == ["combined", "packed"]
    assert published("packed") == ["packed", "packed"]


# --- a run that dies -------------------------------------------------------------------------------------

GYMS, IN_FLIGHT = 200, 4


class SlowPacks(LlmServer):
    """Takes a tenth of a second a call; `half_way` is set when half of the gyms were asked about."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.half_way = threading.Event()

    def gyms_asked(self) -> int:
        return sum(len(ask.gyms) for ask in self.asks)

    def _answer(self, ask: Ask) -> Reply:
        if self.gyms_asked() >= GYMS // 2:
            self.half_way.set()
        return Reply(good_packed(ask).content, delay=0.1)


def test_after_kill_9_only_the_calls_in_flight_are_asked_again(database: Database, tmp_path: Path) -> None:
    ingest_gyms(database, tmp_path / "source", GYMS, reviews_each=1)
    with SlowPacks() as server:
        command = Command(database, server, tmp_path)
        command._environment |= {"GYM_VARIANT": "packed", "GYM_LLM_CONCURRENCY": str(IN_FLIGHT)}
        process = command.start()
        assert server.half_way.wait(60), "the run never came half way"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        asked = server.gyms_asked()
        assert asked < GYMS
        with database.read() as connection:
            known = connection.execute(select(func.count()).select_from(tables.llm_cache)).scalar_one()
        in_flight = sum(len(ask.gyms) for ask in server.asks[-IN_FLIGHT:])
        assert asked - in_flight <= known

        half_a_minute_later(database)
        report = command.run()

        assert report["failed"] == 0
        assert server.gyms_asked() - asked == GYMS - known
        with database.read() as connection:
            rows = connection.execute(select(tables.gym_directory)).all()
        assert len(rows) == GYMS
        assert {(row.state, row.variant) for row in rows} == {("enriched", "packed")}
        assert all(row.description.startswith(row.name) for row in rows)
