"""What the database promises: constraints, batches, bundles, enriched batches, its schema. On both kinds."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import CheckConstraint, Table, delete, func, insert, inspect, select
from sqlalchemy.exc import IntegrityError

import gym_enrichment
from gym_enrichment.domain.experiments import Experiment, VariantSpec
from gym_enrichment.domain.models import Bundle, EnrichedBatch, Enrichment, GymFailure
from gym_enrichment.pipeline.bundling import build_bundles
from gym_enrichment.pipeline.ingesting import ingest
from gym_enrichment.storage import tables
from gym_enrichment.storage.batches import UnknownBatch, assign_batches, batch_sizes
from gym_enrichment.storage.bundles import (
    MissingPartition,
    read_bundles,
    require_bundles,
    write_bundles,
)
from gym_enrichment.storage.directory import publish
from gym_enrichment.storage.engine import Database, DatabaseUnreachable, SchemaMismatch, head_revision
from gym_enrichment.storage.enrichments import read_enrichments, write_enriched_batch
from gym_enrichment_tests.raw_data import ingest_gyms, write_gyms

NOW = datetime(2025, 6, 1, tzinfo=UTC)
PACKAGE = Path(gym_enrichment.__file__).parent


def url_of(database: Database) -> str:
    """A URL that says all, for another process."""
    if database.search_path is None:
        return database.url
    return f"{database.url}?options=-csearch_path%3D{database.search_path}"


def together(script: str, *arguments: Sequence[str]) -> list[str]:
    """Run `script` in one process for each of `arguments`, begun at one moment; returns what each printed.

    The script has `database`, opened from its first argument, and calls `begin()` before what must collide.
    """
    preamble = (
        "import sys\n"
        "from gym_enrichment.storage.engine import Database\n"
        "def begin():\n    print('ready', flush=True)\n    sys.stdin.readline()\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", preamble + script, *given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for given in arguments
    ]
    for process in processes:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            pytest.fail(process.communicate()[1])
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=60) for process in processes]
    for process, (_, errors) in zip(processes, ended, strict=True):
        assert process.returncode == 0, errors
    return [printed for printed, _ in ended]


def rows_of(database: Database, table: Table) -> list[dict[str, Any]]:
    with database.read() as connection:
        return [dict(row._mapping) for row in connection.execute(select(table))]


def members_of(database: Database) -> dict[str, str]:
    return {row["place_id"]: row["batch_id"] for row in rows_of(database, tables.batch_members)}


# --- constraints -----------------------------------------------------------------------------------------

_HASH = "0" * 32
GYM = {"place_id": "gym", "content_hash": _HASH, "created_at": NOW, "updated_at": NOW}
REVIEW = {"review_id": "review", "place_id": "gym", "content_hash": _HASH, "updated_at": NOW}
BATCH = {"batch_id": "batch-000001", "number": 1, "created_at": NOW}
MEMBER = {"place_id": "gym", "batch_id": "batch-000001"}
BUNDLE = {
    "place_id": "gym",
    "batch_id": "batch-000001",
    "gym": {},
    "reviews": [],
    "content_hash": _HASH,
    "reviews_total": 0,
    "reviews_with_text": 0,
    "review_tokens": 0,
    "revision": 1,
    "built_at": NOW,
}
ENRICHMENT = {
    "place_id": "gym",
    "variant": "combined",
    "batch_id": "batch-000001",
    "state": "enriched",
    "description": "Une salle.",
    "amenities": [],
    "has_women_hours": False,
    "hours_french": "Non communiqué",
    "evidence": {},
    "model": "test-model",
    "fingerprint": "f" * 64,
    "bundle_hash": _HASH,
    "prompt_tokens": 1,
    "completion_tokens": 1,
    "cost_usd": 0.0,
    "from_cache": False,
    "run_id": "run-1",
    "enriched_at": NOW,
}
FAILURE = {
    "place_id": "gym",
    "variant": "combined",
    "batch_id": "batch-000001",
    "kind": "timeout",
    "message": "no answer",
    "attempts": 1,
    "run_id": "run-1",
    "failed_at": NOW,
}
PUBLISHED = {"place_id": "gym", "state": "pending", "amenities": [], "published_at": NOW}
CALL = {
    "run_id": "run-1",
    "place_id": "gym",
    "variant": "combined",
    "fingerprint": "f" * 64,
    "model": "test-model",
    "attempt": 1,
    "outcome": "ok",
    "prompt_tokens": 1,
    "cached_tokens": 0,
    "completion_tokens": 1,
    "cost_usd": 0.0,
    "latency_seconds": 0.1,
    "started_at": NOW,
}
RUN = {
    "run_id": "run-1",
    "batch_id": "batch-000001",
    "variant": "combined",
    "gyms": 3,
    "enriched": 1,
    "failed": 1,
    "skipped": 1,
    "skipped_budget": 0,
    "llm_calls": 2,
    "cache_hits": 0,
    "prompt_tokens": 1,
    "completion_tokens": 1,
    "cost_usd": 0.0,
    "seconds": 0.1,
    "finished_at": NOW,
}
QUARANTINED = {"source": "f", "line": 1, "kind": "gyms", "reason": "bad", "row_text": "", "created_at": NOW}

# One whole state of the database, in the order in which it can be inserted.
WHOLE: Sequence[tuple[Table, Mapping[str, Any]]] = [
    (tables.gyms, GYM),
    (tables.reviews, REVIEW),
    (tables.batches, BATCH),
    (tables.batch_members, MEMBER),
    (tables.bundles, BUNDLE),
    (tables.enrichments, ENRICHMENT),
    (tables.failures, FAILURE),
    (tables.gym_directory, PUBLISHED),
    (tables.ledger, CALL),
    (tables.batch_runs, RUN),
    (tables.quarantine, QUARANTINED),
]


@pytest.fixture
def whole(database: Database) -> Database:
    """A database with one valid row in each table, and a second gym and batch that nothing refers to."""
    with database.write() as connection:
        for table, row in WHOLE:
            connection.execute(insert(table), [dict(row)])
        connection.execute(insert(tables.gyms), [GYM | {"place_id": "other"}])
        connection.execute(insert(tables.batches), [BATCH | {"batch_id": "batch-000002", "number": 2}])
    return database


OTHER_GYM = {"place_id": "other"}
REFUSED: dict[str, tuple[Table, Mapping[str, Any]]] = {
    "a review without its gym": (tables.reviews, REVIEW | {"review_id": "new", "place_id": "nobody"}),
    "a review without id": (tables.reviews, REVIEW | {"review_id": ""}),
    "a review twice": (tables.reviews, REVIEW),
    "a review with six stars": (tables.reviews, REVIEW | {"review_id": "new", "rating": 6.0}),
    "a gym twice": (tables.gyms, GYM),
    "a gym without id": (tables.gyms, GYM | {"place_id": ""}),
    "a gym with a negative rating": (tables.gyms, GYM | {"place_id": "new", "rating": -1.0}),
    "a member in two batches": (tables.batch_members, MEMBER | {"batch_id": "batch-000002"}),
    "a member without its gym": (tables.batch_members, MEMBER | {"place_id": "nobody"}),
    "a member of no batch": (tables.batch_members, MEMBER | OTHER_GYM | {"batch_id": "batch-000009"}),
    "two batches of one number": (tables.batches, BATCH | {"batch_id": "batch-000003"}),
    "two bundles of one gym": (tables.bundles, BUNDLE | {"batch_id": "batch-000002"}),
    "a bundle without its gym": (tables.bundles, BUNDLE | {"place_id": "nobody"}),
    "a bundle of no batch": (tables.bundles, BUNDLE | OTHER_GYM | {"batch_id": "batch-000009"}),
    "a second enrichment of one gym and variant": (
        tables.enrichments,
        ENRICHMENT | {"batch_id": "batch-000002", "run_id": "run-2"},
    ),
    "an enrichment without its gym": (tables.enrichments, ENRICHMENT | {"place_id": "nobody"}),
    "an enrichment without description": (tables.enrichments, ENRICHMENT | OTHER_GYM | {"description": None}),
    "an enrichment that leaves women's hours open": (
        tables.enrichments,
        ENRICHMENT | OTHER_GYM | {"has_women_hours": None},
    ),
    "an enrichment without model": (tables.enrichments, ENRICHMENT | OTHER_GYM | {"model": None}),
    "an enrichment without fingerprint": (tables.enrichments, ENRICHMENT | OTHER_GYM | {"fingerprint": None}),
    "an enrichment without amenities": (tables.enrichments, ENRICHMENT | OTHER_GYM | {"amenities": None}),
    "an enrichment without hours": (tables.enrichments, ENRICHMENT | OTHER_GYM | {"hours_french": None}),
    "an enrichment of an unknown state": (tables.enrichments, ENRICHMENT | OTHER_GYM | {"state": "half"}),
    "a second failure of one gym and variant": (tables.failures, FAILURE | {"run_id": "run-2"}),
    "a failure without its gym": (tables.failures, FAILURE | {"place_id": "nobody"}),
    "a published row without its gym": (tables.gym_directory, PUBLISHED | {"place_id": "nobody"}),
    "a published row of an unknown state": (tables.gym_directory, PUBLISHED | OTHER_GYM | {"state": "maybe"}),
    "gyms of a run that do not add up": (tables.batch_runs, RUN | {"run_id": "run-2", "gyms": 4}),
    "a run of no batch": (tables.batch_runs, RUN | {"batch_id": "batch-000009"}),
    "negative tokens": (tables.ledger, CALL | {"prompt_tokens": -1}),
    "a negative cost": (tables.ledger, CALL | {"cost_usd": -0.1}),
    "quarantine of an unknown kind": (tables.quarantine, QUARANTINED | {"kind": "cats"}),
    "quarantine twice": (tables.quarantine, QUARANTINED),
}


def test_the_database_refuses_what_cannot_be_true(whole: Database) -> None:
    """One test for all, on one database: each case is rolled back, and nothing of any is left."""
    before = {table.name: rows_of(whole, table) for table, _ in WHOLE}
    accepted = []
    for name, (table, row) in REFUSED.items():
        try:
            with whole.write() as connection:
                connection.execute(insert(table), [dict(row)])
        except IntegrityError:
            continue
        accepted.append(name)

    assert accepted == []
    assert {table.name: rows_of(whole, table) for table, _ in WHOLE} == before


def test_the_database_takes_what_differs_from_the_refused_only_where_it_must(whole: Database) -> None:
    with whole.write() as connection:
        connection.execute(insert(tables.reviews), [REVIEW | {"review_id": "new", "place_id": "other"}])
        connection.execute(insert(tables.batch_members), [MEMBER | OTHER_GYM])
        connection.execute(insert(tables.enrichments), [ENRICHMENT | {"variant": "packed"}, ENRICHMENT | OTHER_GYM])
        connection.execute(insert(tables.batch_runs), [RUN | {"run_id": "run-2"}])
        skipped = dict.fromkeys(("description", "has_women_hours", "model", "fingerprint"))
        row = ENRICHMENT | OTHER_GYM | skipped | {"variant": "fanout", "state": "skipped"}
        connection.execute(insert(tables.enrichments), [row])

    assert len(rows_of(whole, tables.enrichments)) == 4


def test_a_gym_that_is_deleted_takes_everything_about_it_along(whole: Database) -> None:
    with whole.write() as connection:
        connection.execute(delete(tables.gyms).where(tables.gyms.c.place_id == "gym"))

    for table in (
        tables.reviews,
        tables.batch_members,
        tables.bundles,
        tables.enrichments,
        tables.failures,
        tables.gym_directory,
    ):
        assert rows_of(whole, table) == [], table.name
    # What was paid stays on the books.
    assert len(rows_of(whole, tables.ledger)) == 1


# --- batches ---------------------------------------------------------------------------------------------


def test_two_processes_that_assign_at_once_put_every_gym_into_exactly_one_batch(
    database: Database, tmp_path: Path
) -> None:
    ingest_gyms(database, tmp_path, 1_000, reviews_each=1)
    script = (
        "import json\n"
        "from gym_enrichment.storage.batches import assign_batches\n"
        "database = Database(sys.argv[1])\n"
        "database.engine\n"
        "begin()\n"
        "print(json.dumps(assign_batches(database, 70)))\n"
    )
    created = [json.loads(printed) for printed in together(script, *[[url_of(database)]] * 3)]

    sizes = Counter(members_of(database).values())
    assert sum(sizes.values()) == 1_000
    assert max(sizes.values()) <= 70
    assert len(sizes) == 15
    assert sorted(batch for batches in created for batch in batches) == sorted(sizes)


def test_a_batch_is_frozen_and_later_gyms_get_batches_of_their_own(database: Database, tmp_path: Path) -> None:
    ingest_gyms(database, tmp_path, 5, reviews_each=1)
    first = assign_batches(database, 3)
    before = members_of(database)
    ingest_gyms(database, tmp_path, 2, reviews_each=1, first=6)
    second = assign_batches(database, 3)

    assert (first, second) == (["batch-000001", "batch-000002"], ["batch-000003"])
    after = members_of(database)
    assert {place_id: after[place_id] for place_id in before} == before
    assert Counter(after.values()) == {"batch-000001": 3, "batch-000002": 2, "batch-000003": 2}


def test_nothing_new_makes_no_batch(database: Database, tmp_path: Path) -> None:
    assert assign_batches(database, 3) == []
    ingest_gyms(database, tmp_path, 3, reviews_each=1)
    assign_batches(database, 3)

    assert assign_batches(database, 3) == []
    assert len(rows_of(database, tables.batches)) == 1


def test_a_limit_leaves_the_other_gyms_without_a_batch(database: Database, tmp_path: Path) -> None:
    ingest_gyms(database, tmp_path, 10, reviews_each=1)

    assert len(assign_batches(database, 3, most=4)) == 2
    assert Counter(members_of(database).values()) == {"batch-000001": 3, "batch-000002": 1}
    assert len(assign_batches(database, 3)) == 2
    assert len(members_of(database)) == 10


def test_batches_are_of_one_size_when_asked_for(database: Database, tmp_path: Path) -> None:
    ingest_gyms(database, tmp_path, 3, reviews_each=1)
    created = assign_batches(database, 2)
    with database.read() as connection:
        assert batch_sizes(connection, created) == {"batch-000001": 2, "batch-000002": 1}
        with pytest.raises(UnknownBatch, match="batch-000077"):
            batch_sizes(connection, ["batch-000077"])


# --- bundles ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batches", [1, 2, 20])
def test_the_bundles_of_any_number_of_batches_come_from_one_reviews_query(
    database: Database, tmp_path: Path, batches: int
) -> None:
    ingest_gyms(database, tmp_path, 60)
    batch_ids = assign_batches(database, 3)
    before = database.review_queries.value
    built = list(build_bundles(database, batch_ids[:batches], token_budget=500))

    assert database.review_queries.value - before == 1
    assert [batch_id for batch_id, _ in built] == batch_ids[:batches]
    bundles = [bundle for _, found in built for bundle in found]
    assert len(bundles) == 3 * batches
    for bundle in bundles:
        assert {review.review_id.rpartition("-")[0] for review in bundle.reviews} == {
            bundle.place_id.replace("gym", "review")
        }
        assert bundle.reviews_total == bundle.reviews_with_text == len(bundle.reviews) == 2


def test_batches_without_any_review_among_others_get_their_bundles(database: Database, tmp_path: Path) -> None:
    """The reviews come in one stream: a batch that has none must not take its neighbour's."""
    gyms = tmp_path / "gyms.jsonl"
    reviews = tmp_path / "reviews.jsonl"
    gyms.write_text("".join(json.dumps({"place_id": f"g{n}", "name": f"S{n}"}) + "\n" for n in range(8)))
    with_reviews = (2, 3, 6)
    reviews.write_text(
        "".join(
            json.dumps({"review_id": f"r{n}", "place_id": f"g{n}", "text": f"Avis {n}"}) + "\n" for n in with_reviews
        )
    )
    ingest(database, [str(gyms), str(reviews)])
    batch_ids = assign_batches(database, 2)
    wanted = [batch_ids[3], batch_ids[0], batch_ids[1], batch_ids[2]]
    built = dict(build_bundles(database, wanted, token_budget=500))

    found = {bundle.place_id: [r.text for r in bundle.reviews] for bundles in built.values() for bundle in bundles}
    assert found == {f"g{n}": [f"Avis {n}"] if n in with_reviews else [] for n in range(8)}
    assert {batch_id: len(bundles) for batch_id, bundles in built.items()} == dict.fromkeys(batch_ids, 2)


def built_bundles(database: Database, batch_ids: Sequence[str]) -> dict[str, Bundle]:
    return {b.place_id: b for _, bundles in build_bundles(database, batch_ids, 500) for b in bundles}


def test_building_again_gives_the_same_bundles(database: Database, tmp_path: Path) -> None:
    ingest_gyms(database, tmp_path, 10)
    batch_ids = assign_batches(database, 4)

    assert built_bundles(database, batch_ids) == built_bundles(database, batch_ids)


def test_a_changed_review_changes_only_the_bundle_of_its_gym(database: Database, tmp_path: Path) -> None:
    ingest_gyms(database, tmp_path, 10)
    batch_ids = assign_batches(database, 4)
    before = built_bundles(database, batch_ids)
    _, reviews = write_gyms(tmp_path, 10)
    path = Path(reviews)
    path.write_text(path.read_text().replace("Bonne salle 3, avis 0", "Mauvaise salle 3, avis 0"))
    report = ingest(database, [reviews])
    assert (report.reviews.updated, report.reviews.unchanged) == (1, 19)

    after = built_bundles(database, batch_ids)
    changed = {place_id for place_id in before if before[place_id].content_hash != after[place_id].content_hash}
    assert changed == {"gym-0003"}
    assert after["gym-0003"].revision > before["gym-0003"].revision
    assert {place_id: bundle for place_id, bundle in after.items() if place_id not in changed} == {
        place_id: bundle for place_id, bundle in before.items() if place_id not in changed
    }


def test_a_new_star_without_a_new_word_raises_the_revision_and_keeps_the_content(
    database: Database, tmp_path: Path
) -> None:
    ingest_gyms(database, tmp_path, 2)
    batch_ids = assign_batches(database, 4)
    before = built_bundles(database, batch_ids)
    _, reviews = write_gyms(tmp_path, 1)
    path = Path(reviews)
    path.write_text(path.read_text().replace('"rating": 4', '"rating": 2'))
    ingest(database, [reviews])

    after = built_bundles(database, batch_ids)
    assert {place_id: bundle.content_hash for place_id, bundle in after.items()} == {
        place_id: bundle.content_hash for place_id, bundle in before.items()
    }
    assert after["gym-0001"].revision > before["gym-0001"].revision
    assert after["gym-0002"].revision == before["gym-0002"].revision


def test_bundles_come_back_from_the_database_as_they_were_written(database: Database, tmp_path: Path) -> None:
    ingest_gyms(database, tmp_path, 5)
    batch_ids = assign_batches(database, 3)
    built = dict(build_bundles(database, batch_ids, token_budget=500))
    for batch_id, bundles in built.items():
        write_bundles(database, batch_id, bundles)
        write_bundles(database, batch_id, bundles)

    assert {batch_id: read_bundles(database, batch_id) for batch_id in batch_ids} == built


def test_bundles_that_were_never_built_are_named(database: Database, tmp_path: Path) -> None:
    ingest_gyms(database, tmp_path, 2)
    first, second = assign_batches(database, 1)
    ((_, bundles),) = build_bundles(database, [first], token_budget=500)
    write_bundles(database, first, bundles)

    require_bundles(database, [first])
    with pytest.raises(MissingPartition, match=second):
        require_bundles(database, [first, second])
    with pytest.raises(MissingPartition, match=first):
        read_enrichments(database, first, Experiment.of_one(VariantSpec.of_kind("combined")))
    with pytest.raises(UnknownBatch, match="batch-000099"):
        list(build_bundles(database, [first, "batch-000099"], token_budget=500))


# --- enriched batches ------------------------------------------------------------------------------------


def enriched(place_id: str, description: str = "Une salle.", **changed: Any) -> Enrichment:
    whole_row = Enrichment(
        place_id=place_id,
        variant="combined",
        state="enriched",
        description=description,
        amenities=["Sauna"],
        has_women_hours=False,
        hours_french="lundi: 06:00 – 22:00",
        evidence={"amenities": {"Sauna": ["r1"]}, "has_women_hours": []},
        bundle_hash=_HASH,
        model="test-model",
        prompt_version="combined-1",
        fingerprint="f" * 64,
        setup_hash=_HASH,
        prompt_tokens=1_000,
        completion_tokens=100,
        cost_usd=0.001,
    )
    return replace(whole_row, **changed)


def skipped(place_id: str) -> Enrichment:
    return Enrichment(
        place_id=place_id,
        variant="combined",
        state="skipped",
        description=None,
        amenities=[],
        has_women_hours=None,
        hours_french="lundi: Fermé",
        evidence={},
        bundle_hash=_HASH,
    )


def failure(place_id: str) -> GymFailure:
    return GymFailure(place_id, "combined", "timeout", "no answer within the time limit", 6)


def batch_of(*results: Enrichment | GymFailure, batch_id: str = "batch-000001", run_id: str = "run-1") -> EnrichedBatch:
    good = [result for result in results if isinstance(result, Enrichment)]
    bad = [result for result in results if isinstance(result, GymFailure)]
    return EnrichedBatch(batch_id, run_id, "combined", good, bad, (), (), len(results), 0, 1, 1, 0.1, 0.5)


@pytest.fixture
def batched(database: Database, tmp_path: Path) -> Database:
    """Six gyms in two batches of three."""
    ingest_gyms(database, tmp_path, 6, reviews_each=1)
    assign_batches(database, 3)
    return database


def published(database: Database) -> dict[str, dict[str, Any]]:
    return {row["place_id"]: row for row in rows_of(database, tables.gym_directory)}


def test_a_gym_that_fails_keeps_its_previous_good_row(batched: Database) -> None:
    write_enriched_batch(batched, batch_of(enriched("gym-0001", "Ancienne."), enriched("gym-0002")))
    write_enriched_batch(batched, batch_of(failure("gym-0001"), enriched("gym-0002", "Neuve."), run_id="run-2"))

    rows = {row["place_id"]: row for row in rows_of(batched, tables.enrichments)}
    assert rows["gym-0001"]["description"] == "Ancienne."
    assert rows["gym-0001"]["run_id"] == "run-1"
    assert rows["gym-0002"]["description"] == "Neuve."
    assert [row["place_id"] for row in rows_of(batched, tables.failures)] == ["gym-0001"]
    assert published(batched)["gym-0001"]["state"] == "enriched"
    assert published(batched)["gym-0001"]["description"] == "Ancienne."


def test_a_gym_that_succeeds_loses_its_old_failure(batched: Database) -> None:
    write_enriched_batch(batched, batch_of(failure("gym-0001"), failure("gym-0002")))
    write_enriched_batch(batched, batch_of(enriched("gym-0001"), failure("gym-0002"), run_id="run-2"))

    (left,) = rows_of(batched, tables.failures)
    assert (left["place_id"], left["run_id"], left["attempts"]) == ("gym-0002", "run-2", 6)
    assert published(batched)["gym-0001"]["state"] == "enriched"


def test_a_success_of_one_batch_forgives_no_failure_of_another(batched: Database) -> None:
    write_enriched_batch(batched, batch_of(failure("gym-0004"), batch_id="batch-000002"))
    write_enriched_batch(batched, batch_of(enriched("gym-0001")))

    assert [row["place_id"] for row in rows_of(batched, tables.failures)] == ["gym-0004"]


def test_the_directory_says_what_became_of_each_gym(batched: Database) -> None:
    write_enriched_batch(batched, batch_of(enriched("gym-0001"), skipped("gym-0002"), failure("gym-0003")))
    assert set(published(batched)) == {"gym-0001", "gym-0002", "gym-0003"}
    with batched.write() as connection:
        publish(connection, Experiment.of_one(VariantSpec.of_kind("combined")))

    rows = published(batched)
    assert {place_id: row["state"] for place_id, row in rows.items()} == {
        "gym-0001": "enriched",
        "gym-0002": "skipped",
        "gym-0003": "failed",
        "gym-0004": "pending",
        "gym-0005": "pending",
        "gym-0006": "pending",
    }
    good, without, bad = (rows[f"gym-000{n}"] for n in (1, 2, 3))
    assert (good["name"], good["city"]) == ("Salle 0001", "Oran")
    assert (good["description"], good["amenities"], good["has_women_hours"]) == ("Une salle.", ["Sauna"], False)
    assert (good["hours_french"], good["model"]) == ("lundi: 06:00 – 22:00", "test-model")
    assert (without["description"], without["amenities"], without["hours_french"]) == (None, [], "lundi: Fermé")
    assert (bad["name"], bad["description"], bad["amenities"]) == ("Salle 0003", None, [])


def test_published_at_moves_only_for_rows_that_changed(batched: Database) -> None:
    """A failed batch that is materialized again serves its good gyms from the cache: they say what they said."""
    write_enriched_batch(batched, batch_of(enriched("gym-0001"), enriched("gym-0002"), failure("gym-0003")))
    before = published(batched)
    cached: dict[str, Any] = {"from_cache": True, "prompt_tokens": 0, "completion_tokens": 0, "cost_usd": 0.0}
    again = batch_of(
        enriched("gym-0001", **cached), enriched("gym-0002", "Neuve."), enriched("gym-0003"), run_id="run-2"
    )
    write_enriched_batch(batched, again)

    after = published(batched)
    moved = {place_id for place_id in after if after[place_id]["published_at"] != before[place_id]["published_at"]}
    assert moved == {"gym-0002", "gym-0003"}


def test_publishing_without_a_change_writes_nothing(batched: Database) -> None:
    write_enriched_batch(batched, batch_of(enriched("gym-0001"), skipped("gym-0002"), failure("gym-0003")))
    with batched.write() as connection:
        assert publish(connection, Experiment.of_one(VariantSpec.of_kind("combined"))) == 3
    before = published(batched)
    with batched.write() as connection:
        assert publish(connection, Experiment.of_one(VariantSpec.of_kind("combined"))) == 0

    assert published(batched) == before


def test_a_changed_fact_of_a_gym_moves_its_published_row_alone(batched: Database, tmp_path: Path) -> None:
    write_enriched_batch(batched, batch_of(*(enriched(f"gym-000{n}") for n in (1, 2, 3))))
    before = published(batched)
    renamed = tmp_path / "renamed.jsonl"
    renamed.write_text(json.dumps({"place_id": "gym-0002", "name": "Nouveau nom", "city": "Oran"}))
    ingest(batched, [str(renamed)])
    with batched.write() as connection:
        assert publish(connection, Experiment.of_one(VariantSpec.of_kind("combined")), "batch-000001") == 1

    after = published(batched)
    assert after["gym-0002"]["name"] == "Nouveau nom"
    assert after["gym-0002"]["published_at"] > before["gym-0002"]["published_at"]
    assert after["gym-0001"] == before["gym-0001"]


def test_a_run_is_booked_once_however_often_it_is_written(batched: Database) -> None:
    batch = batch_of(enriched("gym-0001"), skipped("gym-0002"), failure("gym-0003"))
    write_enriched_batch(batched, batch)
    write_enriched_batch(batched, batch)

    (run,) = rows_of(batched, tables.batch_runs)
    assert (run["gyms"], run["enriched"], run["skipped"], run["failed"]) == (3, 1, 1, 1)


def test_a_batch_that_cannot_be_saved_whole_is_not_saved_at_all(batched: Database) -> None:
    write_enriched_batch(batched, batch_of(enriched("gym-0001", "Ancienne."), failure("gym-0002")))
    before = {table.name: rows_of(batched, table) for table in (tables.enrichments, tables.failures)}
    broken = batch_of(enriched("gym-0001", "Neuve."), enriched("gym-0002"), failure("nobody"), run_id="run-2")
    with pytest.raises(IntegrityError):
        write_enriched_batch(batched, broken)

    assert {table.name: rows_of(batched, table) for table in (tables.enrichments, tables.failures)} == before
    assert len(rows_of(batched, tables.batch_runs)) == 1


_WRITER = """
from dataclasses import replace
from gym_enrichment.domain.models import EnrichedBatch, Enrichment, GymFailure
from gym_enrichment.storage.enrichments import write_enriched_batch
database, who, parity = Database(sys.argv[1]), sys.argv[2], int(sys.argv[3])
gyms = [f"gym-{n:04d}" for n in range(1, 101)]
if parity:
    gyms.reverse()
good = [
    Enrichment(gym, "combined", "enriched", who, [who], False, who, {}, "0" * 32, who, "1", who, who)
    for n, gym in enumerate(gyms) if int(gym[-1]) % 2 == parity or n < 20
]
bad = [GymFailure(gym, "combined", "timeout", who, 1) for gym in gyms if gym not in {g.place_id for g in good}]
database.engine
begin()
for turn in range(8):
    run_id = f"{who}-{turn}"
    batch = EnrichedBatch("batch-000001", run_id, "combined", good, bad, (), (), 100, 0, 0, 0, 0.0, 0.0)
    write_enriched_batch(database, batch)
"""


def test_two_processes_that_write_one_batch_take_turns_and_do_not_mix(database: Database, tmp_path: Path) -> None:
    """Each succeeds for its half of the gyms and fails for the other, in opposite orders."""
    ingest_gyms(database, tmp_path, 100, reviews_each=1)
    assign_batches(database, 100)
    together(_WRITER, [url_of(database), "even", "0"], [url_of(database), "odd", "1"])

    assert len(rows_of(database, tables.batch_runs)) == 16
    good = {row["place_id"]: row for row in rows_of(database, tables.enrichments)}
    bad = {row["place_id"]: row for row in rows_of(database, tables.failures)}
    assert len(good) == 100
    for row in good.values():
        who = row["run_id"].partition("-")[0]
        assert row["description"] == row["model"] == row["hours_french"] == who
        assert row["amenities"] == [who]
    # The last to write: its failures, and nothing of the other's, whose gyms it enriched.
    last = {row["run_id"] for row in bad.values()}
    assert len(last) == 1
    last_run = last.pop()
    assert last_run.endswith("-7")
    by_last = {place_id for place_id, row in good.items() if row["run_id"] == last_run}
    assert by_last.isdisjoint(bad)
    assert len(by_last) + len(bad) == 100
    shown = published(database)
    assert {place_id: row["description"] for place_id, row in shown.items()} == {
        place_id: row["description"] for place_id, row in good.items()
    }


# --- schema ----------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without our schema, of both kinds in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty' / 'gym.db'}"
        return
    server: str = request.getfixturevalue("postgres_url")
    schema = f"empty_{os.getpid()}_{abs(hash(request.node.name)) % 10**8}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
        yield f"{server}?options=-csearch_path%3D{schema}"
        connection.execute("SET lock_timeout = '10s'")
        connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())


def can_count_gyms(database: Database) -> bool:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(tables.gyms)).scalar_one() == 0


def test_a_database_without_our_schema_is_refused_with_what_to_do(empty_url: str) -> None:
    with pytest.raises(SchemaMismatch, match=r"no gym_enrichment schema.*doctor --migrate"):
        can_count_gyms(Database(empty_url))
    assert Database(empty_url).schema_revision() is None


def test_a_migrated_database_is_taken_and_migrating_again_changes_nothing(empty_url: str) -> None:
    assert Database(empty_url).migrate() == head_revision()
    assert Database(empty_url).migrate() == head_revision()
    assert can_count_gyms(Database(empty_url))


def test_the_embedded_default_is_made_on_first_use(empty_url: str) -> None:
    assert can_count_gyms(Database(empty_url, create=True))


def test_four_processes_that_migrate_at_once_all_succeed(empty_url: str) -> None:
    script = (
        "from sqlalchemy import select\n"
        "from gym_enrichment.storage.tables import gyms\n"
        "database = Database(sys.argv[1], create=True)\n"
        "begin()\n"
        "with database.read() as connection:\n"
        "    print(len(connection.execute(select(gyms)).all()))\n"
    )
    assert together(script, *[[empty_url]] * 4) == ["0\n"] * 4


_NEXT_MIGRATION = '''"""A later one."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    op.add_column("gyms", sa.Column("stars", sa.Integer()))
'''


@pytest.fixture
def next_version(tmp_path: Path) -> dict[str, str]:
    """An environment in which the package is a later version, with one migration more."""
    later = tmp_path / "later" / "gym_enrichment"
    shutil.copytree(PACKAGE, later, ignore=shutil.ignore_patterns("__pycache__"))
    migration = later / "storage" / "migrations" / "versions" / "9999_later.py"
    migration.write_text(_NEXT_MIGRATION.format(head=head_revision()))
    return dict(os.environ) | {"PYTHONPATH": str(later.parent)}


def run_next_version(environment: Mapping[str, str], script: str, url: str) -> str:
    preamble = "import sys\nfrom gym_enrichment.storage.engine import Database, SchemaMismatch\n"
    return subprocess.run(
        [sys.executable, "-c", preamble + script, url],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
    ).stdout


def test_a_database_behind_or_ahead_of_this_version_is_refused_with_what_to_do(
    empty_url: str, next_version: Mapping[str, str]
) -> None:
    Database(empty_url).migrate()
    refused = "try:\n    Database(sys.argv[1]).engine\nexcept SchemaMismatch as error:\n    print(error)\n"
    behind = run_next_version(next_version, refused, empty_url)
    assert f"{head_revision()} is behind 9999" in behind
    assert "doctor --migrate" in behind

    assert run_next_version(next_version, "print(Database(sys.argv[1]).migrate())", empty_url) == "9999\n"
    for use in (can_count_gyms, Database.migrate):
        with pytest.raises(SchemaMismatch, match=f"9999 is ahead of this version \\({head_revision()}\\): upgrade"):
            use(Database(empty_url))


@pytest.mark.parametrize("whose", ["sqlite_database", "postgres_owner"])
def test_a_later_version_takes_its_data_along(
    request: pytest.FixtureRequest, whose: str, next_version: Mapping[str, str]
) -> None:
    database: Database = request.getfixturevalue(whose)
    with database.write() as connection:
        connection.execute(insert(tables.gyms), [dict(GYM)])
    script = (
        "from sqlalchemy import text\n"
        "found = Database(sys.argv[1])\n"
        "found.migrate()\n"
        "with found.read() as connection:\n"
        "    print(connection.execute(text('SELECT place_id, stars FROM gyms')).all())\n"
    )
    assert run_next_version(next_version, script, url_of(database)) == "[('gym', None)]\n"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])
def test_the_urls_that_people_paste_work(postgres_database: Database, scheme: str) -> None:
    pasted = Database(url_of(postgres_database).replace("postgresql://", f"{scheme}://"))

    assert not pasted.is_sqlite
    assert can_count_gyms(pasted)
    pasted.unchecked_engine.dispose()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://root@127.0.0.1/gyms", "postgresql://127.0.0.1:port/x"])
def test_other_urls_are_refused_with_one_line(url: str) -> None:
    with pytest.raises(DatabaseUnreachable) as refused:
        can_count_gyms(Database(url))
    assert "\n" not in str(refused.value)


def test_a_server_that_is_down_is_named_without_its_password() -> None:
    with pytest.raises(DatabaseUnreachable, match="GYM_DATABASE_URL") as refused:
        can_count_gyms(Database("postgresql://gym:hush-hush@127.0.0.1:1/gyms"))

    assert "127.0.0.1:1" in str(refused.value)
    assert "hush-hush" not in str(refused.value)


def test_a_password_in_the_query_is_not_shown() -> None:
    assert "hush-hush" not in Database("postgresql://127.0.0.1:1/gyms?user=gym&password=hush-hush").shown


def test_the_names_of_constraints_are_those_of_the_tables(database: Database) -> None:
    """A later migration drops a constraint by the name that the tables give it."""
    found = inspect(database.engine)
    for table in tables.metadata.sorted_tables:
        named = {str(c.name) for c in table.constraints if isinstance(c, CheckConstraint)}
        stored = {str(c["name"]) for c in found.get_check_constraints(table.name)}
        assert stored == named, table.name
        assert found.get_pk_constraint(table.name)["name"] == table.primary_key.name
        assert {str(k["name"]) for k in found.get_foreign_keys(table.name)} == {
            str(k.name) for k in table.foreign_key_constraints
        }
        assert {str(i["name"]) for i in found.get_indexes(table.name) if not i.get("duplicates_constraint")} == {
            str(i.name) for i in table.indexes
        }


def test_ctrl_c_waits_for_the_end_of_a_transaction(database: Database) -> None:
    """It would leave SQLite's write lock behind otherwise, for which everybody who cleans up waits."""

    def interrupted() -> None:
        with database.write() as connection:
            signal.raise_signal(signal.SIGINT)
            connection.execute(insert(tables.gyms), [dict(GYM)])

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    with database.write() as connection:
        assert connection.execute(select(tables.gyms.c.place_id)).scalars().all() == [GYM["place_id"]]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
