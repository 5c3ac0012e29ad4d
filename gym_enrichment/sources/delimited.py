"""CSV files: comma, semicolon or tab; quoted cells may hold line breaks.

What must not live here: guessing an encoding. Bytes that are not UTF-8 are refused row by row: a guess between
cp1252, latin-1 and Mac Roman would put wrong letters into names without anybody noticing.
"""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from gym_enrichment.domain.raw_rows import private_columns, row_text
from gym_enrichment.sources.errors import SourceError
from gym_enrichment.sources.rows import SHAPES_OF, Kind, RawRow, Shape, shape_of_columns
from gym_enrichment.sources.streams import LONGEST_LINE, bounded_lines, open_text_bytes

_DELIMITERS = (",", ";", "\t")
# Stands for the rest of a line that was cut; Unicode promises that this is never a character of a text.
_CUT = "\ufdd0"
_SURROGATES = tuple(chr(code) for code in range(0xDC80, 0xDD00))


class Delimited:
    """A `.csv` file with a header line."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name

    @cached_property
    def shape(self) -> Shape:
        """What the rows are, by the header.

        Raises:
            SourceError: no usable header, or the file cannot be read.
        """
        with self._reader() as (header, _):
            return shape_of_columns(self.name, header)

    def rows(self, kind: Kind) -> Iterator[RawRow]:
        """As `Source.rows`."""
        if self.shape not in SHAPES_OF[kind]:
            return
        with self._reader() as (header, reader):
            # With a cell too many or too few, a name may stand in any column: then the row is not shown.
            show_uneven = not private_columns(header)
            while True:
                line = reader.line_num + 1
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield RawRow(line, None, f"row: is not CSV: {error}; expected quoted cells that are closed")
                    continue
                if cells:
                    yield _checked(line, header, cells, show_uneven)

    @contextmanager
    def _reader(self) -> Iterator[tuple[list[str], Any]]:
        """The header's cells, and the reader behind it (line numbers count physical lines)."""
        # The limit is one of the whole process; ours is the same for every file.
        csv.field_size_limit(LONGEST_LINE)
        with open_text_bytes(self.path, self.name) as stream:
            lines = self._lines(stream)
            first = next(lines, "")
            if not first.strip():
                raise SourceError(f"{self.name}: the first line is blank; expected the names of the columns")
            if any(mark in first for mark in (_CUT, "\x00", *_SURROGATES)):
                raise SourceError(f"{self.name}: the first line is not UTF-8 text; save the file as CSV UTF-8")
            delimiter = _delimiter(first)
            reader = csv.reader(_again(first, lines), delimiter=delimiter, strict=True)
            try:
                header = [cell.strip() for cell in next(reader)]
            except csv.Error as error:
                raise SourceError(f"{self.name}: the first line is not CSV: {error}") from error
            yield header, reader

    def _lines(self, stream: Any) -> Iterator[str]:
        for line, cut in bounded_lines(stream, self.name):
            yield (
                line[:1000].decode("utf-8", "surrogateescape") + _CUT
                if cut
                else line.decode("utf-8", "surrogateescape")
            )


def _again(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _delimiter(header: str) -> str:
    """The delimiter with which `place_id` is a column; else the one that gives most columns."""

    def score(delimiter: str) -> tuple[bool, int]:
        try:
            cells = [cell.strip() for cell in next(csv.reader([header], delimiter=delimiter))]
        except (csv.Error, StopIteration):
            return False, 0
        return "place_id" in cells, len(cells)

    return max(_DELIMITERS, key=score)


def _checked(line: int, header: list[str], cells: list[str], show_uneven: bool) -> RawRow:
    row = {column: cell for column, cell in zip(header, cells, strict=False) if column}
    text = "".join(cells)
    if _CUT in text:
        return RawRow(line, None, f"row: has a line longer than {LONGEST_LINE:,} bytes; expected a shorter one")
    if len(cells) != len(header):
        error = f"row: has {len(cells)} cells; expected {len(header)}, as the header"
        shown = row_text(cells) if show_uneven else "(not shown: a cell of it may be a person's name)"
        return RawRow(line, None, error, shown)
    if [cell.strip() for cell in cells] == header:
        return RawRow(line, None, "row: is the header again; expected values", row_text(row))
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            error = "row: is not UTF-8; expected UTF-8 (in a spreadsheet: save as CSV UTF-8)"
            return RawRow(line, None, error, row_text(row))
    return RawRow(line, row, size=len(text))
