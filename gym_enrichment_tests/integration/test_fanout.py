"""Variant `fanout`: three calls about one gym side by side, against a real HTTP server, on both databases."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from gym_enrichment.domain.experiments import Experiment, VariantSpec
from gym_enrichment.domain.models import EnrichedBatch
from gym_enrichment.llm.endpoint import describe_endpoint, open_endpoint
from gym_enrichment.llm.errors import RunStopped
from gym_enrichment.pipeline.enriching.enricher import Enricher
from gym_enrichment.pipeline.estimating import estimate
from gym_enrichment.storage.directory import find_published, publish
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.enrichments import find_failures, write_enriched_batch
from gym_enrichment_tests.integration.test_enriching import Batches, Job
from gym_enrichment_tests.integration.test_packed import assert_figures_are_the_ledgers, enriched, ids
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good_content

DESCRIPTION, AMENITIES, WOMEN = "gym_description", "gym_amenities", "gym_women_hours"


def part_of(ask: Ask) -> str:
    return str(ask.body["response_format"]["json_schema"]["name"])


def part_content(ask: Ask, **changed: Any) -> str:
    """The fields that the schema asks for, of an answer that keeps every rule."""
    wanted = ask.body["response_format"]["json_schema"]["schema"]["required"]
    answer = json.loads(good_content(ask.name)) | changed
    return json.dumps({name: answer[name] for name in wanted}, ensure_ascii=False)


def good_part(ask: Ask) -> Reply:
    """The script of a server that is well."""
    return Reply(part_content(ask))


def failing(part: str, name: str, reply: Reply) -> Callable[[Ask], Reply]:
    """One part of one gym gets `reply`, everything else is well."""
    return lambda ask: reply if (part_of(ask), ask.name) == (part, name) else good_part(ask)


class FanoutJob(Job):
    """A job whose variant is `fanout`, unless a test says otherwise."""

    def settings(self, **changed: Any) -> Any:
        return super().settings(**{"GYM_VARIANT": "fanout"} | changed)

    def enrich_offline(self, bundles: Batches, variant: str, **changed: Any) -> list[EnrichedBatch]:
        """The answers are those of the local rules."""
        settings = self.settings(GYM_LLM="offline", GYM_VARIANT=variant, **changed)
        with open_endpoint(settings) as endpoint:
            return list(Enricher(settings, endpoint).enrich(bundles, f"offline-{variant}"))

    def asked(self) -> Counter[tuple[str, str]]:
        return Counter((ask.name, part_of(ask)) for ask in self.server.asks)


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with LlmServer(good_part) as running:
        yield running


@pytest.fixture
def job(database: Database, server: LlmServer, tmp_path: Path) -> FanoutJob:
    return FanoutJob(database, server, tmp_path)


def everything(batch: EnrichedBatch) -> list[Any]:
    """What a directory could see of a batch: all that says nothing of how it was asked."""
    asked = {"variant", "prompt_version", "fingerprint", "setup_hash", "prompt_tokens", "completion_tokens", "cost_usd"}
    rows = sorted(batch.enrichments, key=lambda row: row.place_id)
    return [{name: value for name, value in asdict(row).items() if name not in asked} for row in rows]


# --- all is well -----------------------------------------------------------------------------------------


def test_each_gym_is_asked_about_in_exactly_three_calls(job: FanoutJob) -> None:
    found = list(job.enrich(job.bundles(10, batch_size=5)))

    assert enriched(found) == ids(10)
    expected = {(f"Salle {number:04d}", part) for number in range(1, 11) for part in (DESCRIPTION, AMENITIES, WOMEN)}
    assert job.asked() == Counter(expected)
    assert sum(batch.llm_calls for batch in found) == 30
    assert_figures_are_the_ledgers(job.database, found)
    for gym in (gym for batch in found for gym in batch.enrichments):
        assert (gym.variant, gym.prompt_version, gym.model) == ("fanout", "fanout-1", "gpt-4o-mini")
        assert (gym.prompt_tokens, gym.completion_tokens) == (3_000, 300)


def test_the_three_calls_about_one_gym_are_in_flight_at_once_and_read_the_same_reviews(job: FanoutJob) -> None:
    job.server.script = lambda ask: Reply(part_content(ask), delay=1.0)
    list(job.enrich(job.bundles(1, batch_size=1)))
    assert job.server.most_in_flight == 3
    first, second, third = job.server.asks
    assert first.reviews == second.reviews == third.reviews
    assert first.reviews


def test_the_results_are_those_of_combined_for_the_same_facts(job: FanoutJob) -> None:
    gyms = [
        {"place_id": "gym-0001", "name": "Salle 0001", "hours": ["Monday: 9:00 AM – 5:00 PM"]},
        {"place_id": "gym-0002", "name": "Salle 0002", "city": "Oran", "hours": ["selon saison, de 8h à 20h"]},
        {"place_id": "gym-0003", "name": "Salle 0003"},
    ]
    texts = {
        "gym-0001": ["Musculation et vestiaires propres", "Créneau réservé aux femmes le mardi de 9h à 11h"],
        "gym-0002": ["Great weights room and lockers, sauna too", "Pas de parking"],
        "gym-0003": [],
    }
    reviews = [
        {"review_id": f"{place_id}-{number}", "place_id": place_id, "text": text}
        for place_id, found in texts.items()
        for number, text in enumerate(found)
    ]
    bundles = job.bundles_of(gyms, reviews, batch_size=3)
    (by_rules,) = job.enrich_offline(bundles, "fanout")
    (in_one_call,) = job.enrich_offline(bundles, "combined")

    assert (by_rules.llm_calls, in_one_call.llm_calls) == (6, 2)
    assert everything(by_rules) == everything(in_one_call)
    assert {gym.place_id: gym.has_women_hours for gym in by_rules.enrichments}["gym-0001"] is True
    assert all(gym.amenities for gym in by_rules.enrichments if gym.state == "enriched")


def test_rows_are_published_and_the_next_run_asks_nothing(job: FanoutJob) -> None:
    bundles = job.bundles(3, batch_size=3)
    (batch,) = job.enrich(bundles)
    write_enriched_batch(job.database, batch)
    with job.database.write() as connection:
        publish(connection, Experiment.of_one(VariantSpec.of_kind("fanout")))
    with job.database.read() as connection:
        published = find_published(connection, "gym-0001", Experiment.of_one(VariantSpec.of_kind("fanout")))
    assert published is not None
    (first,) = (gym for gym in batch.enrichments if gym.place_id == "gym-0001")
    assert published["description"] == first.description
    job.server.asks.clear()
    (again,) = job.enrich(bundles, run_id="run-2")
    assert (job.server.asks, again.llm_calls, again.cost_usd, again.cache_hits) == ([], 0, 0.0, 3)
    assert (again.enrichments, sorted(again.kept)) == ([], ["gym-0001", "gym-0002", "gym-0003"])
    assert len({gym.fingerprint for gym in batch.enrichments}) == 3


def test_the_three_travel_through_the_batch_api_too(job: FanoutJob) -> None:
    bundles = job.bundles(3, batch_size=3)
    (at_once,) = job.enrich_offline(bundles, "fanout", GYM_LLM_CACHE_TTL=0)
    (within_a_day,) = job.enrich_offline(
        bundles, "fanout", GYM_LLM_CACHE_TTL=0, GYM_LLM_MODE="batch", GYM_LLM_BATCH_POLL=0.2
    )
    assert within_a_day.llm_calls == at_once.llm_calls == 9
    assert everything(within_a_day) == everything(at_once)


# --- one of the three ------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [DESCRIPTION, AMENITIES, WOMEN])
@pytest.mark.parametrize(
    "reply",
    [Reply(status=500), Reply("Bien sûr !"), Reply(finish_reason="content_filter"), Reply(status=400)],
    ids=["server error", "no JSON", "content filter", "bad request"],
)
def test_a_failed_call_fails_its_gym_and_is_the_only_one_asked_again(job: FanoutJob, part: str, reply: Reply) -> None:
    bundles = job.bundles(4, batch_size=4)
    job.server.script = failing(part, "Salle 0002", reply)
    (batch,) = job.enrich(bundles)
    write_enriched_batch(job.database, batch)
    assert enriched([batch]) == ["gym-0001", "gym-0003", "gym-0004"]
    (failure,) = batch.failures
    assert (failure.place_id, failure.variant) == ("gym-0002", "fanout")
    assert failure.message.startswith(part.removeprefix("gym_"))
    assert_figures_are_the_ledgers(job.database, [batch])

    job.server.asks.clear()
    job.server.script = good_part
    (again,) = job.enrich(bundles, run_id="run-2")
    assert job.asked() == {("Salle 0002", part): 1}
    assert (again.llm_calls, len(again.failures)) == (1, 0)
    write_enriched_batch(job.database, again)
    with job.database.read() as connection:
        assert not find_failures(connection)
    mended = next(gym for gym in again.enrichments if gym.place_id == "gym-0002")
    assert not mended.from_cache
    assert mended.prompt_tokens == 1_000


def test_an_answer_that_breaks_a_rule_is_sent_back_alone_with_the_reasons(job: FanoutJob) -> None:
    def script(ask: Ask) -> Reply:
        broken = part_of(ask) == DESCRIPTION and len(ask.body["messages"]) == 2
        return Reply(part_content(ask, **({"description": "Trop court."} if broken else {})))

    job.server.script = script
    (batch,) = job.enrich(job.bundles(1, batch_size=1))
    assert job.asked() == {("Salle 0001", DESCRIPTION): 2, ("Salle 0001", AMENITIES): 1, ("Salle 0001", WOMEN): 1}
    sent_back = next(ask for ask in job.server.asks if len(ask.body["messages"]) == 4)
    reasons = sent_back.body["messages"][-1]["content"]
    assert "description has 1 sentences" in reasons
    assert "amenities" not in reasons
    assert batch.enrichments[0].description != "Trop court."
    assert_figures_are_the_ledgers(job.database, [batch])


def test_a_description_that_goes_on_claiming_too_much_is_mended_as_in_combined(job: FanoutJob) -> None:
    description = (
        "Salle 0001 est une salle de sport ouverte à tous. Elle dispose d'un espace de musculation et de vestiaires."
        " Une piscine olympique est à disposition. La salle se trouve au rez-de-chaussée."
    )
    bundles = job.bundles(1, batch_size=1)
    job.server.script = lambda ask: Reply(part_content(ask, description=description))
    (in_parts,) = job.enrich(bundles)
    (in_one_call,) = job.enrich(bundles, run_id="run-2", GYM_VARIANT="combined")
    assert in_parts.enrichments[0].statuses["description"] == "repaired"
    assert "piscine" not in str(in_parts.enrichments[0].description)
    assert everything(in_parts) == everything(in_one_call)
    assert (in_parts.llm_calls, in_one_call.llm_calls) == (4, 2)


def test_when_several_fail_all_are_named_and_what_all_three_cost_is_counted(job: FanoutJob) -> None:
    job.server.script = lambda ask: good_part(ask) if part_of(ask) == WOMEN else Reply("{}")
    (batch,) = job.enrich(job.bundles(1, batch_size=1))
    (failure,) = batch.failures
    assert "description: " in failure.message
    assert "amenities: " in failure.message
    assert failure.attempts == batch.llm_calls == len(job.server.asks)
    assert_figures_are_the_ledgers(job.database, [batch])


def test_what_stops_the_run_stops_all_three(job: FanoutJob) -> None:
    bundles = job.bundles(3, batch_size=3)
    job.server.script = lambda ask: Reply(status=401)
    with pytest.raises(RunStopped):
        list(job.enrich(bundles))


def test_a_budget_that_ends_between_the_three_leaves_the_gym_unasked_and_counts_what_was_paid(job: FanoutJob) -> None:
    bundles = job.bundles(1, batch_size=1)
    job.server.script = lambda ask: Reply(part_content(ask), delay=0.2)
    # One call fits: at least its completion limit is held back for it, and much less is spent.
    (batch,) = job.enrich(bundles, GYM_BUDGET_USD=0.0007, GYM_LLM_CONCURRENCY=1)
    assert batch.unasked == ["gym-0001"]
    assert 0 < batch.llm_calls < 3
    assert batch.llm_calls == job.ledger_rows() == len(job.server.asks)
    assert batch.prompt_tokens == 1_000 * batch.llm_calls

    job.server.asks.clear()
    (again,) = job.enrich(bundles, run_id="run-2")
    assert len(job.server.asks) == 3 - batch.llm_calls
    assert enriched([again]) == ["gym-0001"]


# --- estimates -------------------------------------------------------------------------------------------


def test_an_estimate_counts_three_calls_a_gym_and_then_only_those_that_lack_an_answer(job: FanoutJob) -> None:
    bundles = job.bundles(4, batch_size=4)
    settings = job.settings(GYM_TOKEN_BUDGET=500)
    endpoint = describe_endpoint(settings)
    batch_ids = [batch_id for batch_id, _ in bundles]
    found = estimate(settings, endpoint, Experiment.of_one(VariantSpec.of_kind(settings.variant)), batch_ids)
    assert (found.gyms, found.to_ask, found.cached, found.llm_calls) == (4, 4, 0, 12)

    job.server.script = failing(AMENITIES, "Salle 0003", Reply(status=400))
    list(job.enrich(bundles))
    found = estimate(settings, endpoint, Experiment.of_one(VariantSpec.of_kind(settings.variant)), batch_ids)
    assert (found.gyms, found.to_ask, found.cached, found.llm_calls) == (4, 1, 3, 1)
