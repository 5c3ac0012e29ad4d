"""What people found by reading a gym's reviews, as one row of a labels file says it.

What must not live here: reading files, and comparing labels with what was published (`metrics`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

LabelVerdict = Literal["true", "false", "ambiguous", "none"]


@dataclass(frozen=True, slots=True)
class Label:
    """One gym's label. What a labels file does not speak of is None, and is not scored.

    `verdict`: hours or a space for women only; "none" when nobody says anything of it. `amenities` are what the
    reviews support, `amenities_absent` what they deny, wish for or say is gone. `hours_french` are the expected
    lines; `()` when there is nothing that could be stated. `women_hours` are times as a review writes them.
    """

    place_id: str
    verdict: LabelVerdict
    evidence_review_ids: tuple[str, ...] = ()
    why: str = ""
    amenities: frozenset[str] | None = None
    amenities_absent: frozenset[str] = frozenset()
    hours_french: tuple[str, ...] | None = None
    women_hours: str | None = None


def parse_label(row: Mapping[str, Any]) -> Label:
    """A label from one row of a labels file; unknown fields are passed over.

    Only `place_id` and `verdict` are needed. A row with `hours_french: null` says that no hours can be stated, a
    row without the field says nothing of hours.

    Raises:
        ValueError: naming the field (and never quoting its text) that is missing or of the wrong kind.
    """
    place_id = row.get("place_id")
    if not isinstance(place_id, str) or not place_id.strip():
        raise ValueError("the label's field 'place_id' must be a text that is not empty")
    verdict = row.get("verdict")
    if isinstance(verdict, bool):
        verdict = str(verdict).lower()
    if verdict not in get_args(LabelVerdict):
        raise ValueError(
            f"the field 'verdict' of the label of {place_id} must be one of {', '.join(get_args(LabelVerdict))}"
        )
    amenities = _texts(row, "amenities", place_id)
    hours = _texts(row, "hours_french", place_id)
    return Label(
        place_id=place_id,
        verdict=cast(LabelVerdict, verdict),
        evidence_review_ids=_texts(row, "evidence_review_ids", place_id) or (),
        why=_text(row, "why", place_id) or "",
        amenities=None if amenities is None else frozenset(amenities),
        amenities_absent=frozenset(_texts(row, "amenities_absent", place_id) or ()),
        hours_french=() if hours is None and "hours_french" in row else hours,
        women_hours=_text(row, "women_hours", place_id),
    )


def _text(row: Mapping[str, Any], field: str, place_id: str) -> str | None:
    value = row.get(field)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"the field {field!r} of the label of {place_id} must be a text")
    return value


def _texts(row: Mapping[str, Any], field: str, place_id: str) -> tuple[str, ...] | None:
    value = row.get(field)
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"the field {field!r} of the label of {place_id} must be a list of texts")
    return tuple(value)
