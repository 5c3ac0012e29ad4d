"""What every source gives: rows with their lines, still unchecked.

What must not live here: reading a format, and what a value may be (`domain/raw_values`).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, Protocol

from gym_enrichment.domain.place_details import is_place_details
from gym_enrichment.domain.raw_rows import GYM_COLUMNS, REVIEW_COLUMNS, row_text
from gym_enrichment.sources.errors import SourceError

Kind = Literal["gyms", "reviews", "enrichments"]
"""What a source holds rows of; `enrichments` are what the old pipeline found, and only its database has them."""
Shape = Literal["gyms", "reviews", "details"]

SHAPES_OF: Mapping[Kind, frozenset[Shape]] = {
    "gyms": frozenset({"gyms", "details"}),
    "reviews": frozenset({"reviews", "details"}),
    "enrichments": frozenset(),
}
"""In which shapes of row of a file there may be something of a kind: details of a place hold both."""

_REVIEW_MARKS = ("review_id", "text", "published_at", "published_raw", "published_at_str")


class RawRow(NamedTuple):
    """One row as a source holds it: either `row`, or `error` and what can be shown of the row.

    `line` is where it starts, from 1: the physical line of a text file, else the number of the row. `size` is about
    how many bytes a good row takes: whoever collects rows bounds them by it.
    """

    line: int
    row: dict[str, Any] | None
    error: str | None = None
    shown: str = ""
    size: int = 0

    @property
    def row_text(self) -> str:
        """The row for quarantine: cut, without private values. Made only when asked for: few rows are bad."""
        return self.shown if self.row is None else row_text(self.row)


class Source(Protocol):
    """Something that holds gyms, reviews or both."""

    @property
    def name(self) -> str:
        """How people know it, and how quarantine stores it; never with a password."""

    def rows(self, kind: Kind) -> Iterator[RawRow]:
        """The rows of a kind, streamed; nothing when the source holds none of that kind.

        Raises:
            SourceError: it cannot be read (any more); rows given before that are good.
        """


def shape_of(columns: Mapping[str, Any]) -> Shape | None:
    """What a row is, by its columns; None when they tell nothing."""
    if "place_id" not in columns:
        return "details" if is_place_details(columns) else None
    # A loop, not any(): this runs for every row.
    for mark in _REVIEW_MARKS:
        if mark in columns:
            return "reviews"
    return "gyms"


def shape_of_columns(name: str, columns: list[str]) -> Shape:
    """What a table is, by its header.

    Raises:
        SourceError: `place_id` is missing, or a column is there twice.
    """
    twice = sorted({column for column in columns if column and columns.count(column) > 1})
    if twice:
        raise SourceError(f"{name}: the column {twice[0]!r} is there twice; expected each column once")
    shape = shape_of(dict.fromkeys(columns))
    if shape is None:
        raise SourceError(missing_columns(name, columns))
    return shape


def missing_columns(name: str, columns: list[str]) -> str:
    """The message for a table without `place_id`."""
    found = ", ".join(repr(column[:60]) for column in columns[:30]) or "none"
    return (
        f"{name}: the column place_id is missing. Columns found: {found}. Needed for gyms: place_id (then"
        f" {', '.join(GYM_COLUMNS[1:])}); for reviews: place_id (then"
        f" {', '.join(column for column in REVIEW_COLUMNS if column != 'place_id')}); or Google Places details"
        " (id, displayName, ...)"
    )
