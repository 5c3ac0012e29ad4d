"""Small files that unpack to large ones, and rows too large to collect: memory and disk stay bounded."""

import gzip
import json
import sqlite3
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gym_enrichment.pipeline.ingesting import ingest
from gym_enrichment.sources.parquet import Parquet
from gym_enrichment.sources.streams import UNPACKED_FREELY
from gym_enrichment.storage.engine import Database

MEGABYTE = 1024 * 1024
BOMB = "unpacks to more than 200 times its size"


def one_error(database: Database, source: Path) -> str:
    (error,) = ingest(database, [str(source)]).errors
    return error


def write_parquet(path: Path, names: Sequence[Any], **how: Any) -> Path:
    pq.write_table(pa.table({"place_id": [f"g{n}" for n in range(len(names))], "name": names}), path, **how)
    return path


@pytest.mark.parametrize("name", ["gyms.jsonl.gz", "gyms.csv.gz", "gyms.parquet.gz"])
def test_a_gzip_bomb_is_left_after_a_bounded_part(sqlite_database: Database, tmp_path: Path, name: str) -> None:
    with gzip.open(tmp_path / name, "wb") as file:
        file.write(b"place_id\n" if "csv" in name else b'{"place_id": "g1"}\n')
        for _ in range(UNPACKED_FREELY // MEGABYTE + 20):
            file.write(bytes(MEGABYTE))
    assert (tmp_path / name).stat().st_size < MEGABYTE
    assert BOMB in one_error(sqlite_database, tmp_path / name)


def test_an_honest_file_that_repeats_itself_is_read(sqlite_database: Database, tmp_path: Path) -> None:
    with gzip.open(tmp_path / "gyms.jsonl.gz", "wb") as file:
        file.write(b'{"place_id": "g1", "name": "Un"}\n' * 20_000)
    report = ingest(sqlite_database, [str(tmp_path / "gyms.jsonl.gz")])
    assert (report.gyms.new, report.gyms.unchanged, report.errors) == (1, 19_999, [])


def test_a_parquet_bomb_is_refused_by_its_own_index(sqlite_database: Database, tmp_path: Path) -> None:
    names = [f"{n}" + "x" * MEGABYTE for n in range(UNPACKED_FREELY // MEGABYTE + 10)]
    path = write_parquet(tmp_path / "gyms.parquet", names, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < MEGABYTE // 4
    assert BOMB in one_error(sqlite_database, path)


def test_a_parquet_text_that_repeats_is_not_unpacked_a_thousand_times(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "gyms.parquet", ["x" * 8 * MEGABYTE] * 40)
    tracemalloc.start()
    try:
        assert sum(raw.row is not None for raw in Parquet(path, "gyms").rows("gyms")) == 40
        assert tracemalloc.get_traced_memory()[1] < 50 * MEGABYTE
    finally:
        tracemalloc.stop()


def test_a_parquet_row_that_is_too_large_is_quarantined_alone(sqlite_database: Database, tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "gyms.parquet", ["Un", *["x" * 11 * MEGABYTE] * 10, "Deux"])
    report = ingest(sqlite_database, [str(path)])
    assert (report.gyms.new, report.gyms.quarantined, report.errors) == (2, 10, [])


def test_large_rows_are_collected_in_small_chunks(sqlite_database: Database, tmp_path: Path) -> None:
    row = json.dumps({"place_id": "g1", "name": "x" * MEGABYTE})
    (tmp_path / "gyms.jsonl").write_text(f"{row}\n" * 40)
    told: list[int] = []
    source = str(tmp_path / "gyms.jsonl")
    report = ingest(sqlite_database, [source], ["gyms"], lambda *progress: told.append(progress[2]))
    assert told == [16, 32, 40]
    assert report.gyms.quarantined == 40


def test_a_database_with_a_value_too_large_is_refused(sqlite_database: Database, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "old.db") as connection:
        connection.execute("CREATE TABLE gyms (place_id TEXT PRIMARY KEY, name TEXT)")
        connection.executemany("INSERT INTO gyms VALUES (?, ?)", [("g1", "Un"), ("g2", "x" * 11 * MEGABYTE)])
    connection.close()
    assert "cannot be read at row 1: string or blob too big" in one_error(sqlite_database, tmp_path / "old.db")
