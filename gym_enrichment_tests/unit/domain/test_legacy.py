"""Rows of the old pipeline become claims, nothing, or a reason."""

from typing import Any

import pytest

from gym_enrichment.domain.legacy import LegacyClaims, legacy_from_row, legacy_hash
from gym_enrichment.domain.raw_values import RowError

ROW: dict[str, Any] = {
    "place_id": "g1",
    "description": "Une salle.",
    "amenities": '["Sauna", "Piscine"]',
    "has_women_hours": 1,
    "hours_french": "lundi: 6h; mardi: Fermé",
}


def test_a_finished_row_is_read_as_it_was_written() -> None:
    claims = LegacyClaims("g1", "Une salle.", ("Sauna", "Piscine"), True, "lundi: 6h; mardi: Fermé")
    assert legacy_from_row(ROW) == claims


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"amenities": ["Sauna", " ", "Sauna"]}, {"amenities": ("Sauna",)}),
        ({"amenities": "[]"}, {"amenities": ()}),
        ({"has_women_hours": "False"}, {"has_women_hours": False}),
        ({"has_women_hours": 0.0}, {"has_women_hours": False}),
        ({"has_women_hours": None}, {"has_women_hours": None}),
        ({"hours_french": '["lundi: 6h"]'}, {"hours_french": "lundi: 6h"}),
        ({"hours_french": " "}, {"hours_french": None}),
        ({"description": "Une\u0007 <b>salle</b>.\n"}, {"description": "Une salle."}),
    ],
)
def test_spellings_that_say_the_same(changed: dict[str, Any], found: dict[str, Any]) -> None:
    claims = legacy_from_row(ROW | changed)
    assert {name: getattr(claims, name) for name in found} == found


def test_columns_that_the_table_does_not_have_are_no_error() -> None:
    claims = legacy_from_row({"place_id": "g1", "description": "Une salle."})
    assert claims == LegacyClaims("g1", "Une salle.", (), None, None)


def test_a_gym_of_which_nothing_was_found_is_nothing() -> None:
    assert legacy_from_row({"place_id": "g1", "description": None, "amenities": None, "hours_french": ""}) is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"description": None}, "description: is missing"),
        ({"amenities": None}, "amenities: is null"),
        ({"amenities": "[oops"}, "amenities: '\\[oops' is not a JSON list"),
        ({"amenities": '{"a": 1}'}, "amenities: is an object"),
        ({"amenities": "Sauna"}, "amenities: is 'Sauna'"),
        ({"amenities": [3]}, "amenities: holds int 3"),
        ({"has_women_hours": 2}, "has_women_hours: is int 2"),
        ({"has_women_hours": [1]}, "has_women_hours: is a list"),
        ({"description": 7}, "description: is int 7"),
        ({"description": "Une\x00 salle"}, "description: holds a NUL"),
        ({"amenities": ["\ud800"]}, "amenities: holds bytes"),
        ({"place_id": ""}, "place_id: is missing"),
    ],
)
def test_what_cannot_be_used_says_why(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(RowError, match=f"^{reason}"):
        legacy_from_row(ROW | changed)


def test_other_claims_have_another_hash() -> None:
    rows = [ROW, ROW | {"has_women_hours": 0}, ROW | {"amenities": '["Sauna"]'}, ROW | {"description": "Autre."}]
    assert len({legacy_hash(claims) for row in rows if (claims := legacy_from_row(row))}) == len(rows)
