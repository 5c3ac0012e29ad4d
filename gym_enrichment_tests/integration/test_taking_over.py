"""What the old pipeline found comes over, is judged, is kept and is left, on both databases."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import event, inspect, select, update
from sqlalchemy.exc import IntegrityError

from gym_enrichment.domain.experiments import LEGACY, Experiment, ExperimentError, Shadow, VariantSpec
from gym_enrichment.domain.rollout import Plan, Step
from gym_enrichment.llm.endpoint import describe_endpoint
from gym_enrichment.pipeline.bundling import build_bundles
from gym_enrichment.pipeline.choosing import choose_batches
from gym_enrichment.pipeline.enriching.enricher import Enricher
from gym_enrichment.pipeline.estimating import estimate
from gym_enrichment.pipeline.experimenting import (
    begin_experiment,
    begin_rollout,
    change_experiment,
    compare_variants,
    end_experiment,
    look_at_rollout,
    set_rollout,
)
from gym_enrichment.pipeline.ingesting import IngestReport, ingest
from gym_enrichment.pipeline.reporting import gather_report
from gym_enrichment.pipeline.statistics import prometheus_text, statistics
from gym_enrichment.pipeline.taking_over import take_over
from gym_enrichment.storage import tables
from gym_enrichment.storage.bundles import write_bundles
from gym_enrichment.storage.engine import Database, _alembic_config
from gym_enrichment.storage.enrichments import find_enrichments, write_enriched_batch
from gym_enrichment.storage.experiments import experiment_in_force
from gym_enrichment.storage.raw_lookups import find_quarantined
from gym_enrichment.storage.tables import gym_directory, gyms, ledger, metadata, reviews
from gym_enrichment_tests.integration.test_enriching import Job
from gym_enrichment_tests.llm_server import LlmServer, Reply, good_content
from gym_enrichment_tests.old_pipeline import AUTHOR, BOASTFUL, PHOTO, TRUE, gym, write_old_database

COMBINED = VariantSpec.of_kind("combined")


class Owner(Job):
    """Someone who has the old pipeline's database."""

    def take_in(self, *sources: Path | str) -> IngestReport:
        """What `gym-enrichment ingest` does."""
        paths = [str(source) for source in sources]
        report = ingest(self.database, paths)
        take_over(self.settings(), paths, report)
        return report

    def run(self, run_id: str = "run") -> int:
        """What `gym-enrichment run` does, without Dagster; returns how many requests that took."""
        before, settings = len(self.server.asks), self.settings()
        batches = list(build_bundles(self.database, choose_batches(settings).batch_ids, settings.token_budget))
        for batch_id, bundles in batches:
            write_bundles(self.database, batch_id, bundles)
        for batch in Enricher(settings, describe_endpoint(settings)).enrich(batches, run_id):
            write_enriched_batch(self.database, batch)
        return len(self.server.asks) - before

    def to_ask(self) -> int:
        """What `gym-enrichment estimate` says."""
        settings = self.settings()
        with self.database.read() as connection:
            experiment = experiment_in_force(connection, settings.variant)
        return estimate(settings, describe_endpoint(settings), experiment, choose_batches(settings).batch_ids).to_ask

    def published(self, column: str = "variant") -> dict[str, Any]:
        with self.database.read() as connection:
            query = select(gym_directory.c.place_id, gym_directory.c[column])
            return {row[0]: row[1] for row in connection.execute(query)}

    def legacy(self, place_id: str) -> dict[str, Any]:
        with self.database.read() as connection:
            found = find_enrichments(connection, place_id)
        return next(dict(row) for row in found if row["variant"] == LEGACY)

    def new_review(self, place_id: str, text: str = "Il y a aussi un hammam.") -> None:
        path = self.folder / f"new-{place_id}.jsonl"
        path.write_text(json.dumps({"review_id": f"{place_id}-new", "place_id": place_id, "text": text}) + "\n")
        assert not ingest(self.database, [str(path)]).errors


@pytest.fixture
def owner(database: Database, tmp_path: Path) -> Iterator[Owner]:
    with LlmServer() as server:
        yield Owner(database, server, tmp_path)


def old(owner: Owner, *rows: dict[str, Any], **options: Any) -> Path:
    path = owner.folder / "old pipeline.db"
    path.unlink(missing_ok=True)
    return write_old_database(path, rows, **options)


def everything(database: Database) -> str:
    with database.read() as connection:
        return str([connection.execute(select(table)).all() for table in metadata.sorted_tables])


def test_everything_comes_over_with_one_command_and_no_author_or_photo(owner: Owner) -> None:
    report = owner.take_in(old(owner, gym("a"), gym("b", name="Salle d'Été")))
    counted = {"new": 2, "updated": 0, "unchanged": 0, "quarantined": 0}
    assert report.errors == []
    assert report.as_dict() == {"gyms": counted, "reviews": {**counted, "new": 6}, "enrichments": counted}
    assert owner.published() == {"a": LEGACY, "b": LEGACY}
    assert owner.published("description")["a"] == TRUE
    assert owner.published("amenities")["a"] == ["Sauna", "Piscine", "Espace musculation"]
    assert owner.published("city") == {"a": "Oran", "b": "Oran"}
    row = owner.legacy("a")
    assert (row["cost_usd"], row["prompt_tokens"], row["model"], row["prompt_version"]) == (0, 0, None, None)
    assert row["statuses"]["description"] == "verified"
    assert sorted(row["evidence"]["amenities"]["Sauna"]) == ["a-0", "a-1"]
    assert row["unpublished"] == {"amenities": [], "proposals": {}}
    with owner.database.read() as connection:
        assert connection.execute(select(ledger)).all() == []
        extras = connection.execute(select(gyms.c.extra)).scalars().all()
    assert extras == [{"lat": 35.7, "lng": -0.63, "reviews_count": 3}] * 2
    assert AUTHOR not in everything(owner.database)
    assert PHOTO not in everything(owner.database)


def test_what_does_not_hold_is_set_aside_with_its_reason(owner: Owner) -> None:
    boasting = gym(
        "a",
        description=BOASTFUL,
        amenities=json.dumps(["Sauna", "Hammam", "Salle de projection", "Sauna à 20 €"]),
        has_women_hours=1,
        hours_french="lundi: 00:00 – 04:00",
    )
    english = gym("b", description="A great gym.", hours=None)
    owner.take_in(old(owner, boasting, english))
    row = owner.legacy("a")
    assert row["amenities"] == ["Sauna"]
    assert not row["has_women_hours"]
    assert "hammam" not in row["description"]
    assert "Karim" not in row["description"]
    assert row["statuses"]["description"] == "repaired"
    aside = row["unpublished"]
    assert aside["amenities"] == ["Hammam"]
    assert list(aside["proposals"]) == ["Salle de projection"]
    assert aside["refused_amenities"] == {"Sauna à 20 €": "amenities names a price"}
    assert aside["description"]["said"] == BOASTFUL
    assert "description mentions 'Hammam', which the reviews do not show" in aside["description"]["reasons"]
    assert aside["has_women_hours"] == "no review shows it"
    assert aside["hours_french"] == "the old pipeline's hours are not those of the source"
    assert row["hours_osm"] == "Mo-Fr 06:00-22:00; Sa-Su unknown"
    # Hours that no source states are not published, however well they are written.
    assert owner.legacy("b")["hours_french"] == "Non communiqué"
    assert "description is not in French" in owner.legacy("b")["unpublished"]["description"]["reasons"]


def test_bad_rows_are_quarantined_and_the_others_come(owner: Owner) -> None:
    path = old(
        owner,
        gym("good"),
        gym("good", name="Another of that id"),
        gym("unfinished", description=None),
        gym("untouched", description=None, amenities=None, has_women_hours=None, hours_french=None),
        gym("broken", amenities="[oops"),
        gym("hours", hours="{oops"),
        gym("women", has_women_hours=7),
        gym(None, name="nobody"),  # type: ignore[arg-type]
    )
    report = owner.take_in(path)
    assert report.enrichments.new == 1
    assert owner.published() == {
        "good": LEGACY,
        **dict.fromkeys(("unfinished", "untouched", "broken", "women"), None),
    }
    with owner.database.read() as connection:
        rows = find_quarantined(connection)
    reasons = [(row["line"], row["reason"].partition(":")[0]) for row in rows if row["kind"] == "enrichments"]
    assert reasons == [
        (3, "description"),
        (5, "amenities"),
        (6, "place_id"),
        (7, "has_women_hours"),
        (8, "place_id"),
    ]
    assert [row["line"] for row in rows if row["kind"] == "gyms"] == [2, 6, 8]


def writes_during(owner: Owner, *sources: Path) -> tuple[IngestReport, list[str]]:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.split()[0] in {"INSERT", "UPDATE", "DELETE"}:
            statements.append(statement)

    settings, paths = owner.settings(), [str(source) for source in sources]
    event.listen(settings.database.engine, "before_cursor_execute", note)
    try:
        report = ingest(settings.database, paths)
        take_over(settings, paths, report)
        return report, statements
    finally:
        event.remove(settings.database.engine, "before_cursor_execute", note)


def test_a_second_ingest_writes_nothing_and_a_changed_claim_only_itself(owner: Owner) -> None:
    rows = [gym("a"), gym("b"), gym("bad", amenities="[oops")]
    path = old(owner, *rows)
    owner.take_in(path)
    before = everything(owner.database)
    report, statements = writes_during(owner, path)
    assert statements == []
    assert (report.enrichments.unchanged, report.enrichments.quarantined) == (2, 1)
    assert everything(owner.database) == before

    rows[1]["amenities"] = '["Piscine"]'
    report = owner.take_in(old(owner, *rows))
    assert (report.gyms.updated, report.enrichments.updated, report.enrichments.unchanged) == (0, 1, 1)
    assert owner.published("amenities")["b"] == ["Piscine"]


def test_a_run_asks_about_none_until_reviews_change_and_newer_rows_stay(owner: Owner) -> None:
    path = old(owner, gym("a"), gym("b"), gym("open", description=None, amenities=None, has_women_hours=None))
    owner.take_in(path)
    assert owner.to_ask() == 1
    assert owner.run() == 1
    assert owner.server.names() == ["Salle open"]
    assert owner.published() == {"a": LEGACY, "b": LEGACY, "open": "combined"}
    assert choose_batches(owner.settings()).gyms == 0

    owner.new_review("a")
    assert owner.published()["a"] == LEGACY
    # The same claims do not become those of the new reviews by being ingested again.
    owner.take_in(path)
    assert owner.to_ask() == 1
    assert owner.run("second") == 1
    assert owner.published() == {"a": "combined", "b": LEGACY, "open": "combined"}
    newer = owner.published("description")["a"]

    # A gym that was asked about is one like all others from then on: old claims do not come back.
    owner.take_in(old(owner, gym("a", amenities='["Piscine"]'), gym("b")))
    assert owner.published("description")["a"] == newer
    assert owner.run("third") == 0


def test_an_experiment_that_names_it_moves_gyms_to_and_fro(owner: Owner) -> None:
    owner.take_in(old(owner, *(gym(f"g{n:02d}") for n in range(20)), gym("open", description=None, amenities=None)))
    assert owner.run() == 1
    experiment = Experiment.begun("renew", [VariantSpec.of_kind(LEGACY), COMBINED], {LEGACY: 1.0})
    begin_experiment(owner.database, experiment, "test", "begin")
    owner.new_review("g00")
    # Neither a gym that it has nothing of, nor one whose reviews changed, waits for its share.
    assert owner.run("first") == 1
    assert {gym for gym, variant in owner.published().items() if variant != LEGACY} == {"g00", "open"}

    half = change_experiment(owner.database, "test", "half", {LEGACY: 0.5, "combined": 0.5}).experiment
    moved = {gym for gym in owner.published() if half.variant_of(gym) == "combined"} - {"g00", "open"}
    assert 4 < len(moved) < 16
    assert owner.run("half") == len(moved)
    after = {gym for gym, variant in owner.published().items() if variant == "combined"}
    assert after == moved | {"g00", "open"}

    change_experiment(owner.database, "test", "back", {LEGACY: 1.0, "combined": 0.0})
    assert {gym for gym, variant in owner.published().items() if variant == "combined"} == {"g00", "open"}
    change_experiment(owner.database, "test", "all", {LEGACY: 0.0, "combined": 1.0})
    assert owner.run("all") == 20 - 1 - len(moved)
    assert set(owner.published().values()) == {"combined"}
    end_experiment(owner.database, "test", "done")
    assert owner.run("afterwards") == 0
    assert set(owner.published().values()) == {"combined"}


def test_gyms_that_stay_are_no_part_of_an_experiment_without_it(owner: Owner) -> None:
    owner.take_in(old(owner, gym("a"), gym("b")))
    new = VariantSpec("new", "combined", "gpt-4.1-mini")
    experiment = Experiment.begun("models", [COMBINED, new], {"combined": 0.5, "new": 0.5}, Shadow("new", 1.0))
    begin_experiment(owner.database, experiment, "test", "begin")
    assert owner.run() == 0
    assert owner.run("again") == 0
    assert set(owner.published().values()) == {LEGACY}


def test_a_shadow_compares_new_answers_with_old_findings_and_publishes_none(owner: Owner) -> None:
    owner.take_in(old(owner, gym("a"), gym("b")))
    variants = [VariantSpec.of_kind(LEGACY), COMBINED]
    begin_experiment(
        owner.database, Experiment.begun("look", variants, {LEGACY: 1.0}, Shadow("combined", 1.0)), "test", "look"
    )
    assert owner.run() == 2
    assert owner.run("again") == 0
    assert set(owner.published().values()) == {LEGACY}
    _, compared, agreeing = compare_variants(owner.database)
    assert [comparison.counts.enriched for comparison in compared] == [2, 2]
    assert agreeing["hours_french"].of == 2


def test_a_rollout_from_it_is_judged_by_bounds_where_nothing_is_known_of_the_old(owner: Owner) -> None:
    owner.take_in(old(owner, *(gym(f"g{n}") for n in range(4))))
    owner.run()
    shown = json.loads(good_content()) | {"amenities": [{"name": "Sauna", "reviews": [1]}]}
    owner.server.script = lambda _: Reply(json.dumps(shown))
    plan = Plan(LEGACY, "combined", [Step(0.5, 0), Step(1.0, 0)], min_gyms=1)
    begin_rollout(owner.database, "away", plan, [VariantSpec.of_kind(LEGACY), COMBINED], "test", "go")
    set_rollout(owner.database, 1.0, "test", "all")
    assert owner.run("moved") == 4
    decision = look_at_rollout(owner.database)
    assert decision is not None
    found = {finding.name: finding for finding in decision.findings}
    assert (found["cost_per_gym"].old, found["cost_per_gym"].bound) == (None, None)
    assert (found["failure_rate"].old, found["failure_rate"].bound) == (None, 0.02)
    assert found["unverified_share"].old == 0
    assert decision.action == "finish"


def test_it_stands_beside_the_others_in_statistics_and_report(owner: Owner) -> None:
    owner.take_in(old(owner, gym("a"), gym("b"), gym("open", description=None, amenities=None)))
    owner.run()
    found = statistics(owner.database)
    assert {name: (row["gyms_found"], row["llm_calls"]) for name, row in found["variants"].items()} == {
        LEGACY: (2, 0),
        "combined": (1, 1),
    }
    assert [row["gyms"] for row in found["found"] if row["variant"] == LEGACY] == [2]
    assert found["directory"] == {"enriched": 3}
    sample = 'gym_enrichment_found{variant="legacy",prompt_version="",model="",what="gyms"} 2'
    assert sample in prometheus_text(owner.database).splitlines()
    report = gather_report(owner.database)
    assert [(row.variant, row.gyms, row.calls) for row in report.variants] == [("combined", 1, 1), (LEGACY, 2, 0)]
    assert {view.name for view in report.gallery.gyms} == {"Salle a", "Salle b", "Salle open"}


@pytest.mark.parametrize("names", [[LEGACY], [LEGACY, "x"]])
def test_it_cannot_be_the_only_variant_or_the_name_of_another(names: list[str]) -> None:
    specs = [VariantSpec(name, "combined" if len(names) > 1 else LEGACY) for name in names]
    with pytest.raises(ExperimentError, match="is what the old pipeline found"):
        Experiment.begun("x", specs, {names[0]: 1.0})


def executed(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(script)
    return path


def test_a_table_of_its_own_is_read_whatever_columns_it_has(owner: Owner) -> None:
    script = """
        CREATE TABLE gyms (place_id TEXT PRIMARY KEY, name TEXT, hours TEXT);
        CREATE TABLE enrichments (place_id TEXT PRIMARY KEY, description TEXT);
        INSERT INTO gyms VALUES ('a', 'Salle A', NULL), ('b', 'Salle B', NULL);
        INSERT INTO enrichments VALUES ('b', NULL), ('a', 'La salle est située en ville. Elle propose des vestiaires. '
            || 'Les horaires sont indiqués sur sa fiche.'), ('unknown', 'Une salle.');
    """
    report = owner.take_in(executed(owner.folder / "small.sqlite3", script))
    assert (report.enrichments.new, report.enrichments.quarantined) == (1, 1)
    assert owner.published("state") == {"a": "enriched", "b": "pending"}


def test_a_description_in_other_databases_is_nothing_of_the_old_pipeline(owner: Owner) -> None:
    script = """
        CREATE TABLE gyms (place_id TEXT PRIMARY KEY, name TEXT, description TEXT);
        INSERT INTO gyms VALUES ('a', 'Salle A', 'Our own words.');
    """
    report = owner.take_in(executed(owner.folder / "other.db", script))
    assert report.as_dict().keys() == {"gyms", "reviews"}
    with owner.database.read() as connection:
        assert connection.execute(select(gyms.c.extra)).scalar_one() == {"description": "Our own words."}


def test_a_database_of_ours_is_no_database_of_the_old_pipeline(
    owner: Owner, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    owner.take_in(old(owner, gym("a")))
    other = Owner(Database(f"sqlite:///{tmp_path / 'copy' / 'gym.db'}", create=True), owner.server, tmp_path / "copy")
    url = owner.settings().database_url
    assert url is not None
    report = other.take_in(url.get_secret_value())
    assert report.as_dict() == {
        "gyms": {"new": 1, "updated": 0, "unchanged": 0, "quarantined": 0},
        "reviews": {"new": 3, "updated": 0, "unchanged": 0, "quarantined": 0},
    }


@pytest.mark.parametrize("wal", [False, True])
def test_nothing_is_written_to_the_source_or_beside_it(owner: Owner, wal: bool) -> None:
    folder = owner.folder / "read only"
    folder.mkdir()
    path = write_old_database(folder / "old.db", [gym("a")], wal=wal)
    path.chmod(0o444)
    before = path.read_bytes(), path.stat().st_mtime_ns
    folder.chmod(0o555)
    try:
        assert owner.take_in(path).enrichments.new == 1
        assert (path.read_bytes(), path.stat().st_mtime_ns) == before
        assert [found.name for found in folder.iterdir()] == ["old.db"]
    finally:
        folder.chmod(0o755)


def test_what_is_only_in_the_log_of_a_running_pipeline_is_read(owner: Owner) -> None:
    path = old(owner, gym("a"), wal=True)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("UPDATE gyms SET name = 'Salle nouvelle'")
        writer.commit()
        assert owner.take_in(path).errors == []
    assert owner.published("name") == {"a": "Salle nouvelle"}


def test_many_gyms_come_in_transactions_of_some(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gym_enrichment.pipeline.taking_over._GYMS_AT_ONCE", 3)
    rows = [gym(f"g{n}") for n in range(8)]
    assert owner.take_in(old(owner, *rows)).enrichments.new == 8
    # A gym whose review is gone has its claim judged by what is left.
    with owner.database.write() as connection:
        connection.execute(update(reviews).values(text="Bien."))
    assert owner.take_in(old(owner, *(row | {"amenities": '["Sauna"]'} for row in rows))).enrichments.updated == 8


def test_a_database_from_before_keeps_its_rows_indexes_and_keys(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'gym.db'}")
    config = _alembic_config()
    with database.unchecked_engine.connect().execution_options(gym_writes=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        for statement in (
            "INSERT INTO gyms (place_id, content_hash, created_at, updated_at)"
            " VALUES ('a', 'h', '2026-01-01', '2026-01-01')",
            "INSERT INTO batches VALUES ('batch-000001', 1, '2026-01-01')",
            "INSERT INTO enrichments (place_id, variant, batch_id, state, amenities, hours_french, evidence,"
            " bundle_hash, prompt_tokens, completion_tokens, cost_usd, from_cache, run_id, enriched_at)"
            " VALUES ('a', 'combined', 'batch-000001', 'skipped', '[]', 'x', '{}', 'h', 0, 0, 0, 0, 'r', '2026-01-01')",
            "INSERT INTO quarantine VALUES (7, 's', 1, 'gyms', 'why', 'row', '2026-01-01')",
        ):
            connection.exec_driver_sql(statement)

    def indexes_and_keys() -> list[Any]:
        inspector = inspect(database.unchecked_engine)
        return [
            (inspector.get_indexes(table), inspector.get_foreign_keys(table), inspector.get_unique_constraints(table))
            for table in ("enrichments", "quarantine")
        ]

    before = indexes_and_keys()
    database.migrate()
    assert indexes_and_keys() == before
    with database.write() as connection:
        assert connection.execute(select(tables.quarantine.c.id)).scalar_one() == 7
        assert connection.execute(select(tables.enrichments.c.variant)).scalar_one() == "combined"
        whole = "UPDATE enrichments SET state='enriched', description='d', has_women_hours=1, fingerprint='f', variant="
        connection.exec_driver_sql(whole + "'legacy'")
        with pytest.raises(IntegrityError, match="enriched_is_whole"):
            connection.exec_driver_sql(whole + "'combined'")
        connection.exec_driver_sql("UPDATE quarantine SET kind = 'enrichments'")
        with pytest.raises(IntegrityError, match="kind_known"):
            connection.exec_driver_sql("UPDATE quarantine SET kind = 'others'")
