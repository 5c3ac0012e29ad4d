"""Experiments on a real database: SQL and Python give gyms the same variant, and only moved gyms are asked about."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from gym_enrichment.domain.experiments import Experiment, ExperimentError, Shadow, VariantSpec
from gym_enrichment.domain.rollout import Plan, Step
from gym_enrichment.llm.endpoint import describe_endpoint
from gym_enrichment.pipeline.enriching.variants import variants_of
from gym_enrichment.pipeline.estimating import estimate
from gym_enrichment.pipeline.experimenting import (
    begin_experiment,
    begin_rollout,
    change_experiment,
    compare_variants,
    end_experiment,
    required_version,
    set_rollout,
)
from gym_enrichment.pipeline.trying import try_variant
from gym_enrichment.storage.batches import batches_moved, batches_to_enrich, gyms_waiting_for
from gym_enrichment.storage.bundles import write_bundles
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.enrichments import read_enrichments, write_enriched_batch
from gym_enrichment.storage.experiments import ChangedMeanwhile, add_version, assigned_variant, in_shadow
from gym_enrichment.storage.tables import enrichments, gym_directory, gyms, ledger
from gym_enrichment_tests.integration.test_enriching import Batches, Job
from gym_enrichment_tests.llm_server import LlmServer, Reply, good
from gym_enrichment_tests.raw_data import ingest_gyms

OLD, NEW = VariantSpec("old", "combined", "gpt-4o-mini"), VariantSpec("new", "combined", "gpt-4.1-mini")


class ExperimentJob(Job):
    """Runs what the database says."""

    def prepared(self, count: int, batch_size: int) -> Batches:
        batches = self.bundles(count, batch_size)
        for batch_id, bundles in batches:
            write_bundles(self.database, batch_id, bundles)
        return batches

    def prepared_more(self) -> Batches:
        ingest_gyms(self.database, self.folder / "more", 20, first=1_001)
        batches = self.bundle_new(20)
        for batch_id, bundles in batches:
            write_bundles(self.database, batch_id, bundles)
        return batches

    def run(self, batches: Batches, run_id: str, **changed: Any) -> None:
        for batch in self.enrich(batches, run_id, **changed):
            write_enriched_batch(self.database, batch)

    def published(self) -> dict[str, str | None]:
        with self.database.read() as connection:
            query = select(gym_directory.c.place_id, gym_directory.c.variant)
            return {row.place_id: row.variant for row in connection.execute(query)}

    def asked(self) -> Counter[tuple[str, str]]:
        """How often each gym was asked about with each variant."""
        with self.database.read() as connection:
            query = select(ledger.c.place_id, ledger.c.variant)
            return Counter((row.place_id, row.variant) for row in connection.execute(query))


@pytest.fixture
def job(database: Database, tmp_path: Path) -> Iterator[ExperimentJob]:
    with LlmServer() as server:
        yield ExperimentJob(database, server, tmp_path)


def test_sql_and_python_agree_about_every_gym_after_any_change(database: Database, tmp_path: Path) -> None:
    ingest_gyms(database, tmp_path, 300, reviews_each=1)
    third = VariantSpec("third", "packed")
    step = Experiment.begun("été 50%", [OLD, NEW, third], {"old": 1.0}, Shadow("third", 0.3))
    for shares in ({"old": 0.5, "new": 0.5}, {"old": 0.2, "new": 0.3, "third": 0.5}, {"new": 1.0}, {"old": 1.0}):
        step = step.with_shares(shares)
        with database.read() as connection:
            query = select(gyms.c.place_id, assigned_variant(step), in_shadow(step))
            found = {row[0]: (row[1], bool(row[2])) for row in connection.execute(query)}
        assert len(found) == 300
        assert found == {gym: (step.variant_of(gym), step.shadow_of(gym) is not None) for gym in found}
    assert 60 < sum(shadowed for _, shadowed in found.values()) < 120


def test_a_raised_share_asks_about_the_moved_gyms_alone_and_publishes_them(job: ExperimentJob) -> None:
    batches = job.prepared(60, batch_size=20)
    begin_experiment(job.database, Experiment.begun("x", [OLD, NEW], {"old": 1.0}), "test", "begin")
    job.run(batches, "run-1")
    assert set(job.published().values()) == {"old"}

    half = change_experiment(job.database, "test", "half", {"old": 0.5, "new": 0.5}).experiment
    moved = {place_id for place_id in job.published() if half.variant_of(place_id) == "new"}
    with job.database.read() as connection:
        assert gyms_waiting_for(connection, half, "new") == len(moved)
        waiting = batches_moved(connection, half, None, 10)
        assert waiting == sorted(batch for batch, bundles in batches if moved & {b.place_id for b in bundles})
        assert batches_moved(connection, half, waiting[0], 1) == waiting[1:2]
    # Until it is asked about, a moved gym is seen as it was.
    assert set(job.published().values()) == {"old"}
    before = len(job.server.asks)
    job.run(batches, "run-2")
    assert {ask.body["model"] for ask in job.server.asks[before:]} == {"gpt-4.1-mini"}
    assert len(job.server.asks) - before == len(moved)
    assert {gym for gym, variant in job.published().items() if variant == "new"} == moved
    with job.database.read() as connection:
        assert batches_moved(connection, half, None, 10) == []
        experiments = connection.execute(select(enrichments.c.experiment).distinct()).scalars().all()
    assert experiments == ["x"]

    # Back and on again: nobody is asked, and everybody is seen with what there is.
    change_experiment(job.database, "test", "back", {"old": 1.0})
    assert set(job.published().values()) == {"old"}
    change_experiment(job.database, "test", "again", {"old": 0.5, "new": 0.5})
    assert {gym for gym, variant in job.published().items() if variant == "new"} == moved
    job.run(batches, "run-3")
    assert set(job.asked().values()) == {1}
    batch_id, bundles = batches[0]
    rows = read_enrichments(job.database, batch_id, half)
    assert [(row.place_id, row.variant) for row in rows] == [(b.place_id, half.variant_of(b.place_id)) for b in bundles]


def test_the_shadow_is_asked_about_but_never_published(job: ExperimentJob) -> None:
    batches = job.prepared(40, batch_size=40)
    started = Experiment.begun("x", [OLD, NEW], {"old": 1.0}, Shadow("new", 0.5))
    begin_experiment(job.database, started, "test", "look at it first")
    settings = job.settings()
    hashes = {name: v.setup_hash for name, v in variants_of(started, settings, describe_endpoint(settings)).items()}
    planned = estimate(settings, describe_endpoint(settings), started, [batches[0][0]])
    job.run(batches, "run-1")

    shadowed = {place_id for place_id in job.published() if started.shadow_of(place_id)}
    assert 10 < len(shadowed) < 30
    assert planned.llm_calls == len(job.server.asks) == 40 + len(shadowed)
    assert set(job.published().values()) == {"old"}
    with job.database.read() as connection:
        assert batches_to_enrich(connection, started, hashes) == []
    _, _, agreeing = compare_variants(job.database)
    assert {name: (share.count, share.of) for name, share in agreeing.items() if name != "amenities"} == {
        "has_women_hours": (len(shadowed), len(shadowed)),
        "hours_french": (len(shadowed), len(shadowed)),
        "description_verified_by_both": (len(shadowed), len(shadowed)),
    }
    # The gym whose own variant fails is not seen with the shadow's answer either.
    job.server.script = lambda ask: Reply(status=400) if ask.body["model"] == OLD.model else good(ask)
    more = job.prepared_more()
    job.run(more, "run-2")
    assert {job.published()[bundle.place_id] for _, bundles in more for bundle in bundles} == {None}


def test_of_two_who_change_it_at_once_one_is_told(database: Database, tmp_path: Path) -> None:
    ingest_gyms(database, tmp_path, 3)
    begun = begin_experiment(database, Experiment.begun("x", [OLD, NEW], {"old": 1.0}), "test", "begin")
    changed = replace(begun, version=2, changed_at=datetime.now(UTC))

    def change(_: int) -> bool:
        try:
            add_version(database, changed)
        except ChangedMeanwhile:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(change, range(8))) == [False] * 7 + [True]


def test_what_cannot_be_is_refused_and_an_end_gives_the_settings_their_say(job: ExperimentJob) -> None:
    batches = job.prepared(6, batch_size=6)
    with pytest.raises(ExperimentError, match="no experiment is in force"):
        required_version(job.database)
    plan = Plan("old", "new", (Step(0.5, 1), Step(1.0, 1)))
    begin_rollout(job.database, "x", plan, [OLD, NEW], "test", "begin")
    with pytest.raises(ExperimentError, match="experiment x is in force"):
        begin_experiment(job.database, Experiment.begun("y", [OLD], {"old": 1.0}), "test", "too")
    with pytest.raises(ExperimentError, match="follow its plan"):
        change_experiment(job.database, "test", "by hand", {"old": 1.0})
    with pytest.raises(ExperimentError, match=r"30% is no step of the plan, which has 0%, 50%, 100%"):
        set_rollout(job.database, 0.3, "test", "by hand")
    assert set_rollout(job.database, 0.0, "test", "nobody yet").experiment.shares == {"old": 1.0, "new": 0.0}
    end_experiment(job.database, "test", "enough")
    job.run(batches, "run-1", GYM_VARIANT="fanout")
    assert set(job.published().values()) == {"fanout"}


def test_a_test_of_a_variant_saves_nothing_and_is_not_paid_for_again(job: ExperimentJob) -> None:
    batches = job.prepared(8, batch_size=4)
    begin_experiment(job.database, Experiment.begun("x", [OLD, NEW], {"old": 1.0}), "test", "begin")
    trial = try_variant(job.settings(), "new", 6)
    assert [found.variant for found in trial.enrichments] == ["new"] * 6
    assert (trial.figures["enriched"], trial.figures["llm_calls"]) == (6, 6)
    assert set(job.published().values()) == {None}
    change_experiment(job.database, "test", "all of it", {"new": 1.0})
    job.run(batches, "run-1")
    assert len(job.server.asks) == 8
    with pytest.raises(ExperimentError, match="no variant 'neu'"):
        try_variant(job.settings(), "neu", 1)
    assert try_variant(job.settings(), "old", 2, publish=True).figures["enriched"] == 2
    assert set(job.published().values()) == {"new"}
