"""Any file is rows that are taken or quarantined, or an error that names it: no row is lost, none counts twice."""

import csv
import gzip
import io
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import delete, func, select

from gym_enrichment.domain.raw_rows import GYM_COLUMNS, REVIEW_COLUMNS
from gym_enrichment.pipeline.ingesting import ingest
from gym_enrichment.sources import Kind, SourceError, open_source
from gym_enrichment.storage import tables
from gym_enrichment.storage.engine import Database
from gym_enrichment_tests.fuzz import share
from gym_enrichment_tests.fuzz.values import json_values, plain_texts, rows, texts

_PIECES = [
    *(b'{"place_id": "g1"}', b'{"place_id": "g2", "name": "x"}', b'{"place_id":', b"{}", b"[]", b'"', b"{", b"}"),
    *(b"place_id,name", b"place_id;text", b"g1,Un", b'g1,"Un', b",", b";", b"\t", b"\n", b"\r\n", b"\r", b"\n\n"),
    *(
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xfe\xff",
        b"\x00",
        b"\xff",
        b"\xed\xa0\x80",
        b"PAR1",
        b"\x1f\x8b",
        b"SQLite format 3\x00",
    ),
    *(b'{"places": [{"id": "p", "displayName": {}}, 1]}', b'{"review_id": "r", "place_id": "g1"}', b"1e999", b"9" * 99),
]
contents = st.one_of(
    st.lists(st.sampled_from(_PIECES) | st.binary(max_size=8), max_size=12).map(b"".join),
    st.lists(st.sampled_from(_PIECES), max_size=8).map(
        lambda parts: b"".join(parts).decode("utf-8", "replace").encode("utf-16")
    ),
)
ENDINGS = ["jsonl", "csv", "parquet", "db", "jsonl.gz", "csv.gz", "parquet.gz"]
gym_rows = st.lists(rows(GYM_COLUMNS, place_id=st.sampled_from(["g1", "g2", "g3"])), max_size=6)
_cells = plain_texts.map(lambda text: text.replace("\n", " "))
_tables = st.lists(st.tuples(st.sampled_from(["g1", "g2", "g3", ""]), _cells, _cells), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sources")


@pytest.fixture(scope="module")
def storage(folder: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{folder / 'gym.db'}", create=True)
    yield database
    database.unchecked_engine.dispose()


def check_ingest(database: Database, source: Path, given_rows: int) -> None:
    """All given rows are accounted for and stored once, and the same again is unchanged."""
    with database.write() as connection:
        for table in (tables.quarantine, tables.reviews, tables.gyms):
            connection.execute(delete(table))
    first = ingest(database, [str(source)])
    assert first.errors == []
    assert first.gyms.read + first.reviews.read == given_rows
    assert first.gyms.updated == 0
    again = ingest(database, [str(source)])
    assert (again.gyms.new, again.gyms.quarantined) == (0, first.gyms.quarantined)
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(tables.gyms)).scalar_one() == first.gyms.new
        bad = connection.execute(select(func.count()).select_from(tables.quarantine)).scalar_one()
    assert bad == first.gyms.quarantined + first.reviews.quarantined


@pytest.mark.parametrize("ending", ENDINGS)
@given(contents)
def test_any_bytes_are_rows_or_an_error_that_names_the_file(folder: Path, ending: str, content: bytes) -> None:
    path = folder / f"any.{ending}"
    path.write_bytes(gzip.compress(content, 1) if ending.endswith("gz") else content)
    kinds: list[Kind] = ["gyms", "reviews"]
    for kind in kinds:
        try:
            found = list(open_source(str(path)).rows(kind))
        except SourceError as error:
            refusal = str(error)
            assert refusal.startswith(str(path))
            continue
        for raw in found:
            assert raw.line >= 1
            assert (raw.row is None) == bool(raw.error)
            assert len(raw.row_text) <= 2_000
            raw.row_text.encode()


@share(0.2)
@given(
    gym_rows.filter(bool), st.sampled_from(["\n", "\r\n", "\n\n \n"]), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])
)
def test_no_line_of_json_is_lost_or_doubled(
    folder: Path, storage: Database, found: list[dict[str, Any]], end: str, encoding: str
) -> None:
    path = folder / "rows.jsonl"
    lines = [json.dumps({"place_id": "g0"}), *(json.dumps(row) for row in found)]
    path.write_bytes((end.join(lines) + end).encode(encoding))
    check_ingest(storage, path, len(lines))


@share(0.2)
@given(_tables, st.sampled_from(",;\t"), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
def test_no_row_of_a_csv_file_is_lost_or_doubled(
    folder: Path, storage: Database, cells: list[tuple[str, str, str]], delimiter: str, quoting: Any
) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, quoting=quoting)
    writer.writerow(["place_id", "name", "rating"])
    writer.writerows(cells)
    path = folder / "rows.csv.gz"
    path.write_bytes(gzip.compress(stream.getvalue().encode(), 1))
    check_ingest(storage, path, len(cells))


@share(0.2)
@given(_tables, st.sampled_from(["zstd", "snappy", "none"]), st.booleans())
def test_no_row_of_a_parquet_file_is_lost_or_doubled(
    folder: Path, storage: Database, cells: list[tuple[str, str, str]], compression: str, dictionary: bool
) -> None:
    columns = dict(zip(("place_id", "name", "rating"), zip(*cells, strict=True), strict=True))
    path = folder / "rows.parquet"
    pq.write_table(pa.table(columns), path, compression=compression, use_dictionary=dictionary, row_group_size=3)
    check_ingest(storage, path, len(cells))


@share(0.2)
@given(
    st.lists(
        st.tuples(*[st.none() | st.integers(-9, 9) | st.floats() | texts | st.binary(max_size=9)] * 3),
        min_size=1,
        max_size=8,
    )
)
@example([("g1", "\ud800", 4.5)])
def test_no_row_of_a_database_is_lost_or_doubled(folder: Path, storage: Database, cells: list[tuple[Any, ...]]) -> None:
    path = folder / "rows.db"
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE gyms (place_id, name, rating)")
        bound = [tuple(v.encode("utf-8", "surrogatepass") if isinstance(v, str) else v for v in row) for row in cells]
        marks = [", ".join("CAST(? AS TEXT)" if isinstance(v, str) else "?" for v in row) for row in cells]
        for row, mark in zip(bound, marks, strict=True):
            connection.execute(f"INSERT INTO gyms VALUES ({mark})", row)
    connection.close()
    check_ingest(storage, path, len(cells))


@given(rows(REVIEW_COLUMNS, place_id=st.just("g1")), st.sampled_from(["jsonl", "csv"]))
def test_a_row_comes_out_of_a_file_as_it_was_written(folder: Path, row: dict[str, Any], ending: str) -> None:
    path = folder / f"one.{ending}"
    if ending == "jsonl":
        row = json.loads(json.dumps(row)) | {"place_id": "g1", "text": "x"}
        path.write_text(json.dumps(row), encoding="utf-8")
    else:
        row = {"place_id": "g1", "text": "".join(json.dumps(list(row.values()), ensure_ascii=True))}
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerow(row)
    (found,) = open_source(str(path)).rows("reviews")
    assert repr(found.row) == repr(row)  # NaN is not equal to itself


@given(json_values)
def test_any_json_value_in_a_line_is_a_row_or_a_reason(folder: Path, value: Any) -> None:
    path = folder / "value.jsonl"
    path.write_text('{"place_id": "g0"}\n' + json.dumps(value) + "\n", encoding="utf-8")
    first, *others = open_source(str(path)).rows("gyms")
    assert first.row == {"place_id": "g0"}
    assert len(others) == 1
