"""Files of one JSON object a line.

What must not live here: what the objects' values may be.
"""

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from gym_enrichment.domain.raw_rows import broken_row_text, row_text
from gym_enrichment.sources.errors import SourceError
from gym_enrichment.sources.rows import SHAPES_OF, Kind, RawRow, Shape, missing_columns, shape_of
from gym_enrichment.sources.streams import LONGEST_LINE, bounded_lines, open_text_bytes

_NOUNS = {"gyms": "a gym", "reviews": "a review", "details": "Google Places details"}


class JsonLines:
    """A `.jsonl` file. Its first line that tells what it is decides; rows of another shape are refused.

    A line `{"places": [...]}`, as a search of Google Places answers, counts as its places.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name

    def rows(self, kind: Kind) -> Iterator[RawRow]:
        """As `Source.rows`. Lines of details without reviews are no rows of reviews, nor are broken ones."""
        if self.shape not in SHAPES_OF[kind]:
            return
        for raw in self._all_rows():
            if self.shape == "details" and kind == "reviews" and (raw.row is None or not raw.row.get("reviews")):
                continue
            yield self._of_this_shape(raw)

    @cached_property
    def shape(self) -> Shape:
        """What the rows are.

        Raises:
            SourceError: no line tells; or the file cannot be read.
        """
        columns: list[str] | None = None
        problem = ""
        for raw in self._all_rows():
            if raw.row is None:
                problem = problem or f"line {raw.line}: {raw.error}"
                continue
            found = shape_of(raw.row)
            if found is not None:
                return found
            columns = columns or list(raw.row)
        if columns is not None:
            raise SourceError(missing_columns(self.name, columns))
        if problem:
            raise SourceError(f"{self.name}: no line is a JSON object. {problem}; expected one object a line")
        raise SourceError(f"{self.name}: is empty; expected rows")

    def _of_this_shape(self, raw: RawRow) -> RawRow:
        if raw.row is None:
            return raw
        found = shape_of(raw.row)
        if found is None or found == self.shape:
            return raw
        error = f"row: looks like {_NOUNS[found]} in a file of {self.shape}; expected {_NOUNS[self.shape]}"
        return RawRow(raw.line, None, error, raw.row_text)

    def _all_rows(self) -> Iterator[RawRow]:
        with open_text_bytes(self.path, self.name) as stream:
            for number, (line, cut) in enumerate(bounded_lines(stream, self.name), start=1):
                if cut:
                    text = line[:10_000].decode("utf-8", "backslashreplace")
                    error = f"row: is longer than {LONGEST_LINE:,} bytes; expected a shorter line"
                    yield RawRow(number, None, error, broken_row_text(text))
                elif not line.isspace():
                    yield from _parsed(number, line)


def _parsed(number: int, line: bytes) -> Iterable[RawRow]:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        reason = f"row: is not UTF-8 at byte {error.start + 1} ({line[error.start]:#04x}); expected UTF-8"
        return [RawRow(number, None, reason, broken_row_text(line.decode("utf-8", "backslashreplace")))]
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        reason = f"row: is not JSON: {error.msg} at column {error.colno}; expected one JSON object"
        return [RawRow(number, None, reason, broken_row_text(text))]
    except (ValueError, RecursionError) as error:
        # A number of more digits than Python reads, or a hundred thousand open brackets.
        why = "nested too deeply" if isinstance(error, RecursionError) else "a number has too many digits"
        return [RawRow(number, None, f"row: is not usable JSON: {why}", broken_row_text(text))]
    if isinstance(value, dict) and "places" not in value:
        return (RawRow(number, value, size=len(line)),)
    return _objects(number, value, len(line))


def _objects(number: int, value: Any, size: int) -> Iterator[RawRow]:
    if isinstance(value, dict) and set(value) <= {"places", "nextPageToken"} and isinstance(value.get("places"), list):
        for place in value["places"]:
            yield from _objects(number, place, size // len(value["places"]))
    elif isinstance(value, dict):
        yield RawRow(number, value, size=size)
    else:
        error = f"row: is JSON of type {_JSON_TYPES[type(value)]}; expected an object"
        yield RawRow(number, None, error, row_text(value))


_JSON_TYPES = {list: "array", str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}
