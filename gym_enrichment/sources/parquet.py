"""Parquet files, read by batches of rows.

What must not live here: pandas; the rows stay plain Python.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gym_enrichment.sources.errors import SourceError
from gym_enrichment.sources.rows import SHAPES_OF, Kind, RawRow, Shape, shape_of_columns
from gym_enrichment.sources.streams import DAMAGE, damaged, open_bytes

_BATCH_ROWS = 1_000


class Parquet:
    """A `.parquet` file; gzip around it is unpacked to a temporary file, as its index is at its end."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name

    @cached_property
    def shape(self) -> Shape:
        """What the rows are, by the columns.

        Raises:
            SourceError: not Parquet, damaged, or `place_id` is missing.
        """
        with self._opened() as file:
            return shape_of_columns(self.name, list(file.schema_arrow.names))

    def rows(self, kind: Kind) -> Iterator[RawRow]:
        """As `Source.rows`."""
        if self.shape not in SHAPES_OF[kind]:
            return
        line = 0
        with self._opened() as file:
            batches = file.iter_batches(batch_size=_BATCH_ROWS)
            while True:
                try:
                    batch = next(batches, None)
                except (pa.ArrowException, *DAMAGE) as error:
                    raise damaged(self.name, line + 1, error, unit="row") from error
                if batch is None:
                    return
                for raw in _batch_rows(batch, line):
                    if self.shape == "details" and kind == "reviews" and not (raw.row and raw.row.get("reviews")):
                        continue
                    yield raw
                line += batch.num_rows

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        with open_bytes(self.path, self.name) as stream, tempfile.TemporaryFile() as unpacked:
            try:
                if self.path.suffix.lower() == ".gz":
                    shutil.copyfileobj(stream, unpacked)
                    unpacked.seek(0)
                    file = pq.ParquetFile(unpacked)
                else:
                    file = pq.ParquetFile(stream)
            except (pa.ArrowException, *DAMAGE) as error:
                raise SourceError(f"{self.name}: is not a whole Parquet file: {str(error)[:200]}") from error
            yield file


def _batch_rows(batch: Any, before: int) -> Iterator[RawRow]:
    try:
        rows = batch.to_pylist()
    except (ValueError, OverflowError, pa.ArrowException):
        # One value in it is not Unicode, or no date of Python's: find its row, keep the others.
        for index in range(batch.num_rows):
            try:
                yield RawRow(before + index + 1, batch.slice(index, 1).to_pylist()[0])
            except (ValueError, OverflowError, pa.ArrowException) as error:
                reason = f"row: cannot be read: {type(error).__name__}; expected UTF-8 text and possible dates"
                yield RawRow(before + index + 1, None, reason)
        return
    for index, row in enumerate(rows, start=before + 1):
        yield RawRow(index, row)
