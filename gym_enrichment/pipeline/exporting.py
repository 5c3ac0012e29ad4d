"""Writes the published table to files: CSV, JSON lines, Parquet, and the JSON that a front end reads.

What must not live here: which rows are published (storage/directory.py).
"""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from gym_enrichment.storage.directory import stream_directory, stream_with_raw
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.private_files import create_private
from gym_enrichment.storage.tables import gym_directory

COLUMNS = [column.name for column in gym_directory.columns]
UI_COLUMNS = (
    *("place_id", "name", "address", "city", "lat", "lng", "phone", "website", "rating", "reviews_count", "hours"),
    *("description", "amenities", "has_women_hours", "hours_french"),
)
"""The names of the old pipeline's table `gyms`, which its front end reads; `hours` and `amenities` are lists."""
# Where a spreadsheet may see a formula (OWASP, "CSV Injection"): at the beginning of a cell, and behind what it takes
# for the end of one: where lists are written with commas, Excel expects semicolons between cells, and cuts at them in
# the middle of a quoted cell too. The full-width signs are taken for the plain ones in Japanese and Chinese versions.
_FORMULA = re.compile(r"(^(?='*[\t\r\n])|(?:^|[;\t\r\n])[^\S\t\r\n]*(?='*[=+\-@＝＋－＠]))")
_PARQUET_ROWS = 5_000

Row = Mapping[str, Any]


def export_text(database: Database, form: str, output: TextIO) -> int:
    """Write all published gyms as `csv`, `jsonl` or `ui-json`; returns how many."""
    writers: dict[str, Callable[[Iterator[Row], TextIO], int]] = {
        "csv": _write_csv,
        "jsonl": _write_jsonl,
        "ui-json": _write_ui_json,
    }
    with database.read() as connection:
        rows = stream_with_raw(connection) if form == "ui-json" else stream_directory(connection)
        return writers[form](rows, output)


def export_parquet(database: Database, path: Path) -> int:
    """Write all published gyms as one Parquet file; returns how many."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"rating": pa.float64(), "has_women_hours": pa.bool_(), "amenities": pa.list_(pa.string())}
    moments = {"enriched_at", "published_at"}
    schema = pa.schema(
        [(name, pa.timestamp("us", tz="UTC") if name in moments else types.get(name, pa.string())) for name in COLUMNS]
    )
    written = 0
    with (
        database.read() as connection,
        create_private(path) as file,
        pq.ParquetWriter(file, schema) as writer,
    ):
        rows: list[Row] = []
        for row in stream_directory(connection):
            rows.append(row)
            if len(rows) == _PARQUET_ROWS:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                written += len(rows)
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, schema))
    return written + len(rows)


def _write_csv(rows: Iterator[Row], output: TextIO) -> int:
    writer = csv.writer(output)
    writer.writerow(COLUMNS)
    written = 0
    for written, row in enumerate(rows, start=1):  # noqa: B007 - the count is the result
        writer.writerow([_cell(row[name]) for name in COLUMNS])
    return written


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = "; ".join(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return without_formulas(value) if isinstance(value, str) else value


def without_formulas(text: str) -> str:
    """`text` with an apostrophe wherever a spreadsheet would begin to calculate.

    Nothing is lost: one apostrophe less before each `=`, `+`, `-` and `@` at the beginning or behind a semicolon, tab
    or line break, and before a tab or line break at the beginning, gives the text back (docs/security.md).
    """
    return _FORMULA.sub(r"\1'", text)


def _write_jsonl(rows: Iterator[Row], output: TextIO) -> int:
    written = 0
    for written, row in enumerate(rows, start=1):  # noqa: B007 - the count is the result
        output.write(_json(row) + "\n")
    return written


def _write_ui_json(rows: Iterator[Row], output: TextIO) -> int:
    """One array of objects with UI_COLUMNS, a line each."""
    written = 0
    output.write("[")
    for written, row in enumerate(rows, start=1):
        known = {**(row["extra"] or {}), **{name: value for name, value in row.items() if name != "extra"}}
        output.write(("," if written > 1 else "") + "\n" + _json({name: known.get(name) for name in UI_COLUMNS}))
    output.write("\n]\n")
    return written


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=lambda moment: moment.isoformat())
