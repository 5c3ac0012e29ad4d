"""What the pipeline before this one found of a gym: from a row of its database to claims, or why there are none.

What must not live here: judging the claims (pipeline/taking_over.py) and reading the database (sources/database.py).
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

from gym_enrichment.domain.hashing import content_hash
from gym_enrichment.domain.raw_values import (
    RowError,
    check_storable,
    hours_lines,
    label,
    listed,
    place_identifier,
    shown,
)
from gym_enrichment.domain.reviews import clean_text

LEGACY_COLUMNS = ("description", "amenities", "has_women_hours", "hours_french")
"""What the old pipeline wrote of a gym, in its table `gyms` or in one `enrichments` keyed by place_id."""
_TRUTH: Mapping[Any, bool] = {"true": True, "false": False, "1": True, "0": False, 1: True, 0: False}


@dataclass(frozen=True, slots=True)
class LegacyClaims:
    """What the old pipeline says of one gym: nothing of it is checked against reviews yet."""

    place_id: str
    description: str
    amenities: tuple[str, ...]
    has_women_hours: bool | None
    hours_french: str | None


def legacy_from_row(row: Mapping[str, Any]) -> LegacyClaims | None:
    """The claims of a row with some of LEGACY_COLUMNS; None for a gym that the old pipeline did not enrich.

    A column that the table does not have is no error; a task that did not finish leaves its column null.

    Raises:
        RowError: some but not all tasks finished, or a value cannot be what its column says.
    """
    if all(row.get(name) in (None, "") for name in LEGACY_COLUMNS):
        return None
    place_id = place_identifier(row.get("place_id"))
    description = clean_text(label(row.get("description"), "description"))
    if not description:
        raise RowError("description: is missing; expected a finished enrichment: the next run asks about this gym")
    if "amenities" in row and row["amenities"] is None:
        raise RowError("amenities: is null; expected a finished enrichment: the next run asks about this gym")
    lines = hours_lines(row.get("hours_french"), "hours_french") or ()
    return LegacyClaims(
        place_id=place_id,
        description=description,
        amenities=_amenities(row.get("amenities")),
        has_women_hours=_truth(row.get("has_women_hours")),
        hours_french="; ".join(clean_text(line) for line in lines) or None,
    )


def legacy_hash(claims: LegacyClaims) -> str:
    """The content hash of all that was claimed."""
    return content_hash(list(astuple(claims)))


def _amenities(value: Any) -> tuple[str, ...]:
    names = listed(value, "amenities") if isinstance(value, str) else value
    if names is None or names == "":
        return ()
    if not isinstance(names, list | tuple):
        raise RowError(f"amenities: is {shown(names)}; expected a JSON list of names")
    for name in names:
        if not isinstance(name, str):
            raise RowError(f"amenities: holds {shown(name)}; expected only names")
        check_storable(name, "amenities")
    return tuple(dict.fromkeys(cleaned for name in names if (cleaned := clean_text(name))))


def _truth(value: Any) -> bool | None:
    if value is None or value == "":
        return None
    key = value.strip().lower() if isinstance(value, str) else value
    if not isinstance(key, str | int | float) or key not in _TRUTH:
        raise RowError(f"has_women_hours: is {shown(value)}; expected true, false, 1, 0 or null")
    return _TRUTH[key]
