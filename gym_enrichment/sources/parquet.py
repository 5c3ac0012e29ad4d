"""Parquet files, read by batches of rows.

What must not live here: pandas; the rows stay plain Python.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gym_enrichment.sources.errors import SourceError
from gym_enrichment.sources.rows import SHAPES_OF, Kind, RawRow, Shape, shape_of_columns
from gym_enrichment.sources.streams import DAMAGE, LONGEST_LINE, bomb, damaged, most_unpacked, open_bytes

_BATCH_ROWS = 1_000
_MOST_BATCH_BYTES = 64 * 1024 * 1024
"""A larger batch is taken apart row by row."""


class Parquet:
    """A `.parquet` file; gzip around it is unpacked to a temporary file, as its index is at its end."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name

    @cached_property
    def shape(self) -> Shape:
        """What the rows are, by the columns.

        Raises:
            SourceError: not Parquet, damaged, a decompression bomb, or `place_id` is missing.
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
                    file = _open(unpacked, self.name)
                else:
                    file = _open(stream, self.name)
            except (pa.ArrowException, *DAMAGE) as error:
                raise SourceError(f"{self.name}: is not a whole Parquet file: {str(error)[:200]}") from error
            yield file


def _open(stream: Any, name: str) -> Any:
    """The file, its texts read as dictionaries: where a text repeats, a small file can hold a gigabyte."""
    metadata = pq.read_metadata(stream)
    unpacked = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    # A row takes a byte at least: ids differ.
    if max(unpacked, metadata.num_rows) > most_unpacked(os.fstat(stream.fileno()).st_size):
        raise bomb(name)
    columns = [metadata.schema.column(number) for number in range(metadata.num_columns)]
    texts = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
    stream.seek(0)
    return pq.ParquetFile(stream, read_dictionary=texts)


def _batch_rows(batch: Any, before: int) -> Iterator[RawRow]:
    size = _plain_bytes(batch)
    if size <= _MOST_BATCH_BYTES:
        try:
            rows = _decoded(batch).to_pylist()
        except (ValueError, OverflowError, pa.ArrowException):
            pass  # one value in it is not Unicode, or no date of Python's: find its row, keep the others
        else:
            each = size // max(1, batch.num_rows)
            for index, row in enumerate(rows, start=before + 1):
                yield RawRow(index, row, size=each)
            return
    for index in range(batch.num_rows):
        yield _row(batch.slice(index, 1), before + index + 1)


def _row(one: Any, line: int) -> RawRow:
    size = _plain_bytes(one)
    if size > LONGEST_LINE:
        return RawRow(line, None, f"row: is longer than {LONGEST_LINE:,} bytes; expected a shorter one")
    try:
        return RawRow(line, one.to_pylist()[0], size=size)
    except (ValueError, OverflowError, pa.ArrowException) as error:
        reason = f"row: cannot be read: {type(error).__name__}; expected UTF-8 text and possible dates"
        return RawRow(line, None, reason)


def _plain_bytes(batch: Any) -> int:
    """How many bytes the texts of a batch take as Python objects, where each repetition counts."""
    return sum(_bytes_of(column) for column in batch.columns)


def _bytes_of(array: Any) -> int:
    kind = array.type
    if pa.types.is_dictionary(kind) and _is_text(kind.value_type):
        lengths = pc.binary_length(array.dictionary.cast(pa.large_binary()))
        return pc.sum(lengths.take(array.indices)).as_py() or 0
    if pa.types.is_struct(kind):
        return sum(map(_bytes_of, array.flatten()))
    if pa.types.is_map(kind):
        start, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
        return sum(_bytes_of(part.slice(start, end - start)) for part in (array.keys, array.items))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _bytes_of(array.flatten())
    return int(array.nbytes)


def _is_text(kind: Any) -> bool:
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary))


def _decoded(batch: Any) -> Any:
    """With plain columns again, which become Python objects twice as fast."""
    columns = [c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for c in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
