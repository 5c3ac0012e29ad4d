"""Ingest as users meet it: counts, revisions, repeats, sources of every form, on both databases."""

import gzip
import json
import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import event, select

from gym_enrichment.pipeline import ingesting
from gym_enrichment.pipeline.ingesting import IngestReport, ingest
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.raw import quarantine_counts, raw_counts
from gym_enrichment.storage.tables import gyms, quarantine, reviews

GYMS: list[dict[str, Any]] = [
    {"place_id": "g1", "name": "Un", "city": "Lyon", "hours": ["lundi: 6h", "mardi: 7h"], "rating": 4.5},
    {"place_id": "g2", "name": "Déux", "hours": None, "lat": 1.5},
]
REVIEWS: list[dict[str, Any]] = [
    {"review_id": "r1", "place_id": "g1", "text": "Très bien 💪", "rating": 5, "published_at": "2024-05-31"},
    {"review_id": "r2", "place_id": "g1", "text": "", "rating": None, "published_at": "il y a 2 mois"},
    {"review_id": "r3", "place_id": "g2", "text": 'Ligne 1\nLigne 2; "fin", voilà', "author_name": "Jean Dupont"},
]


def jsonl(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return str(path)


def stored(database: Database, table: Any, *columns: str) -> list[tuple[Any, ...]]:
    with database.read() as connection:
        chosen = [table.c[name] for name in columns]
        return [tuple(row) for row in connection.execute(select(*chosen).order_by(*chosen[:1]))]


def counts(new: int = 0, updated: int = 0, unchanged: int = 0, quarantined: int = 0) -> dict[str, int]:
    return {"new": new, "updated": updated, "unchanged": unchanged, "quarantined": quarantined}


def writes_during(database: Database, sources: list[str]) -> tuple[IngestReport, list[str]]:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.split()[0] in {"INSERT", "UPDATE", "DELETE"} or "IMMEDIATE" in statement:
            statements.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        return ingest(database, sources), statements
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


@pytest.fixture
def sources(tmp_path: Path) -> list[str]:
    # Reviews first: the order of the arguments must not matter.
    return [jsonl(tmp_path / "reviews.jsonl", REVIEWS), jsonl(tmp_path / "gyms.jsonl", GYMS)]


def test_gyms_and_reviews_come_in_whatever_the_order_of_the_sources(database: Database, sources: list[str]) -> None:
    report = ingest(database, sources)
    assert report.as_dict() == {"gyms": counts(new=2), "reviews": counts(new=3)}
    assert report.errors == []
    assert stored(database, gyms, "place_id", "name", "hours", "rating", "extra") == [
        ("g1", "Un", ["lundi: 6h", "mardi: 7h"], 4.5, {}),
        ("g2", "Déux", None, None, {"lat": 1.5}),
    ]
    assert stored(database, reviews, "review_id", "text") == [
        ("r1", "Très bien 💪"),
        ("r2", ""),
        ("r3", 'Ligne 1\nLigne 2; "fin", voilà'),
    ]
    with database.read() as connection:
        assert raw_counts(connection) == {"gyms": 2, "reviews": 3}
        assert quarantine_counts(connection) == {"gyms": 0, "reviews": 0}


def test_the_same_again_is_unchanged_and_writes_nothing(database: Database, sources: list[str], tmp_path: Path) -> None:
    bad = jsonl(tmp_path / "bad.jsonl", [{"review_id": "x", "place_id": "nowhere"}, {**REVIEWS[0], "text": "autre"}, 7])
    first = ingest(database, [*sources, bad])
    before = stored(database, quarantine, "id", "created_at", "line", "reason")
    again, writes = writes_during(database, [*sources, bad])
    assert first.reviews.quarantined == 3
    assert again.as_dict() == {"gyms": counts(unchanged=2), "reviews": counts(unchanged=3, quarantined=3)}
    assert writes == []
    assert stored(database, quarantine, "id", "created_at", "line", "reason") == before


def test_only_what_changed_is_updated_and_raises_the_revision_of_its_gym(
    database: Database, sources: list[str], tmp_path: Path
) -> None:
    ingest(database, sources)
    assert stored(database, gyms, "place_id", "revision") == [("g1", 2), ("g2", 2)]
    more = [{**REVIEWS[0], "text": "Bof"}, REVIEWS[1], {**REVIEWS[1], "review_id": "r4", "text": "Neuf"}]
    report = ingest(database, [jsonl(tmp_path / "more.jsonl", more)])
    assert report.as_dict()["reviews"] == counts(new=1, updated=1, unchanged=1)
    assert stored(database, gyms, "place_id", "revision") == [("g1", 3), ("g2", 2)]
    report = ingest(database, [jsonl(tmp_path / "gym.jsonl", [{**GYMS[1], "name": "Deux"}, GYMS[0]])])
    assert report.as_dict()["gyms"] == counts(updated=1, unchanged=1)
    assert stored(database, gyms, "place_id", "revision") == [("g1", 3), ("g2", 3)]


def test_a_new_gym_starts_at_revision_one(database: Database, tmp_path: Path) -> None:
    ingest(database, [jsonl(tmp_path / "gyms.jsonl", GYMS)])
    assert stored(database, gyms, "revision") == [(1,), (1,)]


def test_one_kind_can_be_ingested_alone(database: Database, sources: list[str]) -> None:
    assert ingest(database, sources, kinds=("gyms",)).as_dict()["reviews"] == counts()
    assert ingest(database, sources, kinds=("reviews",)).as_dict() == {"gyms": counts(), "reviews": counts(new=3)}


def test_identical_repeats_are_unchanged_and_contradictions_quarantined_across_chunks_and_sources(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingesting, "ROWS_PER_CHUNK", 2)
    rows = [REVIEWS[0], REVIEWS[0], {**REVIEWS[0], "text": "contradiction"}, REVIEWS[1], REVIEWS[0]]
    paths = [
        jsonl(tmp_path / "gyms.jsonl", [*GYMS, GYMS[0], {**GYMS[1], "name": "Trois"}]),
        jsonl(tmp_path / "one.jsonl", rows),
        jsonl(tmp_path / "two.jsonl", [{**REVIEWS[1], "text": "contradiction"}, REVIEWS[1], REVIEWS[2]]),
    ]
    report = ingest(database, paths)
    assert report.as_dict() == {
        "gyms": counts(new=2, unchanged=1, quarantined=1),
        "reviews": counts(new=3, unchanged=3, quarantined=2),
    }
    assert stored(database, reviews, "review_id", "text")[0] == ("r1", REVIEWS[0]["text"])
    reasons = {row[1] for row in stored(database, quarantine, "id", "reason")}
    assert {reason.partition(":")[0] for reason in reasons} == {"duplicate place_id", "duplicate review_id"}
    again = ingest(database, paths)
    assert again.as_dict() == {
        "gyms": counts(unchanged=3, quarantined=1),
        "reviews": counts(unchanged=6, quarantined=2),
    }


def test_a_review_of_no_gym_waits_in_quarantine_until_its_gym_comes(database: Database, sources: list[str]) -> None:
    only_reviews, only_gyms = sources
    assert ingest(database, [only_reviews]).as_dict()["reviews"] == counts(quarantined=3)
    assert len(stored(database, quarantine, "line")) == 3
    assert ingest(database, [only_gyms, only_reviews]).as_dict()["reviews"] == counts(new=3)
    assert stored(database, quarantine, "line") == []


def test_a_review_that_comes_back_under_another_gym_is_quarantined(
    database: Database, sources: list[str], tmp_path: Path
) -> None:
    ingest(database, sources)
    report = ingest(database, [jsonl(tmp_path / "moved.jsonl", [{**REVIEWS[0], "place_id": "g2"}])])
    assert report.as_dict()["reviews"] == counts(quarantined=1)
    assert stored(database, reviews, "review_id", "place_id")[0] == ("r1", "g1")


def test_mended_lines_and_lines_that_are_gone_leave_quarantine(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "gyms.jsonl"
    jsonl(path, [GYMS[0], {"place_id": ""}, {"place_id": "g3", "rating": -1}, [], 5])
    assert ingest(database, [str(path)]).gyms.quarantined == 4
    jsonl(path, [GYMS[0], {"place_id": "g4"}, {"place_id": "g3", "rating": -1}])
    assert ingest(database, [str(path)]).as_dict()["gyms"] == counts(new=1, unchanged=1, quarantined=1)
    assert stored(database, quarantine, "line", "kind") == [(3, "gyms")]


def test_the_author_is_nowhere_in_the_database(database: Database, tmp_path: Path) -> None:
    secret = "Jean Dupont"
    gym = {**GYMS[0], "author": secret, "reviews_data": [{"name": secret}], "deep": {"user": {"name": secret}}}
    rows = [{**REVIEWS[0], "user": {"name": secret}}, {**REVIEWS[1], "rating": 9, "author_name": secret}]
    broken = tmp_path / "broken.jsonl"
    jsonl(broken, rows)
    with broken.open("a") as stream:
        stream.write(f'{{"review_id": "r9", "authorAttribution": {{"displayName": "{secret}"}}, "text": \n')
    ingest(database, [jsonl(tmp_path / "gyms.jsonl", [gym]), str(broken)])
    whole = []
    with database.read() as connection:
        for table in (gyms, reviews, quarantine):
            whole += [str(tuple(row)) for row in connection.execute(select(table))]
    assert len(whole) == 4
    assert secret not in "".join(whole)


@pytest.mark.parametrize("ending", ["jsonl", "ndjson", "csv", "parquet", "jsonl.gz", "csv.gz", "parquet.gz"])
def test_every_file_format_gives_the_same_rows(sqlite_database: Database, tmp_path: Path, ending: str) -> None:
    paths = []
    for name, rows in (("gyms", GYMS), ("reviews", REVIEWS)):
        path = tmp_path / f"with space {name}.{ending.removesuffix('.gz')}"
        write_table(path, rows)
        if ending.endswith(".gz"):
            packed = path.with_name(path.name + ".gz")
            packed.write_bytes(gzip.compress(path.read_bytes()))
            path = packed
        paths.append(str(path))
    assert ingest(sqlite_database, paths).as_dict() == {"gyms": counts(new=2), "reviews": counts(new=3)}
    again = ingest(sqlite_database, [jsonl(tmp_path / "g.jsonl", GYMS), jsonl(tmp_path / "r.jsonl", REVIEWS)])
    if not ending.startswith("csv"):  # CSV says numbers of extra as text, and null like empty text
        assert again.as_dict() == {"gyms": counts(unchanged=2), "reviews": counts(unchanged=3)}
    assert again.errors == []


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([{key: row.get(key) for key in columns} for row in rows]), path)
    elif path.suffix == ".csv":
        import csv

        with path.open("w", newline="") as stream:
            writer = csv.writer(stream, delimiter=";")
            writer.writerow(columns)
            for row in rows:
                value = {**row, "hours": json.dumps(row["hours"])} if row.get("hours") else row
                writer.writerow([value.get(key) for key in columns])
    else:
        jsonl(path, rows)


def test_google_places_details_bring_gyms_and_reviews(database: Database, tmp_path: Path) -> None:
    place = {
        "id": "ChIJ1",
        "displayName": {"text": "Le Gym"},
        "reviews": [
            {"name": "places/ChIJ1/reviews/a", "originalText": {"text": "Super"}, "text": {"text": "Great"}},
            {"name": "places/ChIJ1/reviews/b", "rating": 7, "authorAttribution": {"displayName": "Jean"}},
            {"name": "places/ChIJ1/reviews/c", "rating": 8},
        ],
    }
    other = {"id": "ChIJ2", "displayName": {"text": "Sans avis"}}
    path = jsonl(tmp_path / "details.jsonl", [{"places": [place, other]}, {"id": "ChIJ3", "formattedAddress": "x"}])
    report = ingest(database, [path])
    assert report.as_dict() == {"gyms": counts(new=3), "reviews": counts(new=1, quarantined=2)}
    assert stored(database, reviews, "review_id", "text") == [("places/ChIJ1/reviews/a", "Super")]
    assert ingest(database, [path]).as_dict() == {
        "gyms": counts(unchanged=3),
        "reviews": counts(unchanged=1, quarantined=2),
    }


def old_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.executescript("""
            CREATE TABLE gyms (place_id TEXT PRIMARY KEY, name TEXT, address TEXT, lat REAL, lng REAL, phone TEXT,
                website TEXT, rating REAL, reviews_count INTEGER, hours TEXT, photo_urls TEXT);
            CREATE TABLE reviews (review_id TEXT PRIMARY KEY, place_id TEXT, author_name TEXT, rating INTEGER,
                text TEXT, published_at_str TEXT);
            CREATE TABLE places (place_id TEXT PRIMARY KEY, source_city TEXT, status TEXT);
            INSERT INTO gyms VALUES ('g1', 'Un', 'rue', 1.5, 2.5, NULL, '', 4.5, 2, '["lundi: 6h"]', '["http://p"]');
            INSERT INTO reviews VALUES ('r1', 'g1', 'Jean Dupont', 5, 'Bien', 'il y a 2 mois');
            INSERT INTO reviews VALUES ('r2', 'g1', 'Jean Dupont', 4, 'Bof', '2024-05-31');
            INSERT INTO reviews VALUES ('r3', 'g1', 'Jean Dupont', 40, CAST(x'ff' AS TEXT), '2024-05-31');
            INSERT INTO places VALUES ('g1', 'Lyon', 'done');
        """)
    connection.close()


@pytest.mark.parametrize("spelling", ["old pipeline.db", "sqlite:///{folder}/old pipeline.db"])
def test_the_earlier_pipelines_database_comes_over_without_its_authors(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    old_database(tmp_path / "old pipeline.db")
    monkeypatch.chdir(tmp_path)
    before = (tmp_path / "old pipeline.db").read_bytes()
    report = ingest(database, [spelling.format(folder=tmp_path)])
    assert report.as_dict() == {"gyms": counts(new=1), "reviews": counts(new=2, quarantined=1)}
    assert stored(database, gyms, "place_id", "city", "hours", "website") == [("g1", "Lyon", ["lundi: 6h"], None)]
    assert stored(database, gyms, "extra") == [({"lat": 1.5, "lng": 2.5, "reviews_count": 2},)]
    assert [row[0] for row in stored(database, reviews, "published_raw")].count("il y a 2 mois") == 1
    assert "Jean" not in str(stored(database, quarantine, "row_text", "reason"))
    assert (tmp_path / "old pipeline.db").read_bytes() == before


def test_a_postgres_database_is_a_source_and_a_copy_of_ours_comes_over_whole(
    postgres_database: Database, sqlite_database: Database, sources: list[str], postgres_url: str
) -> None:
    ingest(postgres_database, sources)
    url = f"{postgres_url}?options=-csearch_path%3D{postgres_database.search_path}"
    report = ingest(sqlite_database, [url])
    assert report.errors == []
    assert report.as_dict() == {"gyms": counts(new=2), "reviews": counts(new=3)}
    for table in (gyms, reviews):
        columns = ("place_id" if table is gyms else "review_id", "content_hash")
        assert stored(sqlite_database, table, *columns) == stored(postgres_database, table, *columns)


def test_two_ingests_at_once_neither_deadlock_nor_count_twice(postgres_database: Database, tmp_path: Path) -> None:
    many = [{"review_id": f"r{n}", "place_id": f"g{1 + n % 2}", "text": "x"} for n in range(3000)]
    paths = [
        jsonl(tmp_path / "gyms.jsonl", GYMS),
        jsonl(tmp_path / "a.jsonl", many),
        jsonl(tmp_path / "b.jsonl", many[::-1]),
    ]
    assert postgres_database.engine
    reports: list[IngestReport] = []

    def run(order: list[str]) -> None:
        reports.append(ingest(postgres_database, order))

    threads = [threading.Thread(target=run, args=(order,)) for order in (paths, [paths[0], paths[2], paths[1]])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(reports) == 2
    assert sum(report.reviews.new for report in reports) == 3000
    assert sum(report.gyms.new for report in reports) == 2
    assert all(report.reviews.read == 6000 for report in reports)


def test_progress_is_told_after_every_chunk(
    sqlite_database: Database, sources: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingesting, "ROWS_PER_CHUNK", 2)
    told: list[tuple[str, int]] = []
    ingest(sqlite_database, sources, progress=lambda kind, _source, done: told.append((kind, done)))
    assert told == [("gyms", 2), ("reviews", 2), ("reviews", 3)]


REAL = Path(os.environ.get("GYM_REAL_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


@pytest.mark.skipif(not (REAL / "gyms.jsonl").exists(), reason=f"no real data in {REAL}: set GYM_REAL_DATA")
def test_all_real_rows_come_in_and_stay_unchanged(sqlite_database: Database) -> None:
    paths = [str(REAL / name) for name in ("reviews.jsonl", "gyms.jsonl")]
    first, again = ingest(sqlite_database, paths), ingest(sqlite_database, paths)
    assert (first.gyms.quarantined, first.reviews.quarantined) == (0, 0)
    assert again.gyms.unchanged == first.gyms.read == 310
    assert again.reviews.unchanged == first.reviews.read == 19_247
