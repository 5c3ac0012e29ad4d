"""What the offline engine answers: only what was found, in honest French, in the agreed shape, quickly."""

import re
from typing import Any

import pytest

from gym_enrichment.llm.offline.engine import NOT_STATED, answer

WEEK = [f"{day}: 08:00 – 22:00" for day in ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")]
GYM = {"name": "Salle Atlas", "city": "Oran", "hours": WEEK}
REVIEWS = {
    "1": "Belle piscine et un sauna, les cours de yoga sont bien.",
    "2": "La piscine est propre, pas de parking.",
    "3": "Espace femmes très calme, cours de zumba.",
}


def sentences(description: str) -> int:
    return len(re.findall(r"[.…](?= [A-ZÉÀ]|$)", description))


def names(result: dict[str, Any]) -> list[str]:
    return [amenity["name"] for amenity in result["amenities"]]


def test_the_answer_has_exactly_the_agreed_keys() -> None:
    result = answer(GYM, REVIEWS)
    assert list(result) == ["description", "amenities", "has_women_hours", "women_hours_reviews", "hours_french"]
    assert all(set(amenity) == {"name", "reviews"} for amenity in result["amenities"])  # type: ignore[attr-defined]


def test_amenities_come_most_supported_first_with_the_reviews_that_affirm_them() -> None:
    result: dict[str, Any] = answer(GYM, REVIEWS)
    assert result["amenities"][0] == {"name": "Piscine", "reviews": [1, 2]}
    assert {"Sauna", "Yoga", "Zumba"} <= set(names(result))


def test_what_is_only_denied_is_no_amenity() -> None:
    assert "Parking" not in names(answer(GYM, REVIEWS))
    assert names(answer(GYM, {"1": "le parking est grand", "2": "no parking", "3": "pas de parking"})) == []


def test_at_most_ten_amenities_with_at_most_five_reviews_each() -> None:
    everything = "piscine, sauna, hammam, jacuzzi, parking, yoga, zumba, pilates, wifi, douches, casiers, boutique"
    result: dict[str, Any] = answer(GYM, {str(n): everything for n in range(1, 21)})
    assert len(result["amenities"]) == 10
    assert all(amenity["reviews"] == [1, 2, 3, 4, 5] for amenity in result["amenities"])


def test_women_only_hours_name_their_reviews_and_the_name_counts_as_zero() -> None:
    assert answer(GYM, REVIEWS)["women_hours_reviews"] == [3]
    named = answer({"name": "Ladies Gym", "city": "Oran"}, {"7": "a women only room upstairs"})
    assert (named["has_women_hours"], named["women_hours_reviews"]) == (True, [0, 7])
    mixed = answer({"name": "Fit", "city": "Oran"}, {"1": "la salle est mixte"})
    assert (mixed["has_women_hours"], mixed["women_hours_reviews"]) == (False, [])


@pytest.mark.parametrize("hours", [None, [], ["on verra bien"], 12, "lundi"])
def test_hours_that_cannot_be_read_are_said_to_be_unknown(hours: object) -> None:
    result = answer({"name": "Fit", "city": "Oran", "hours": hours}, {})
    assert result["hours_french"] == NOT_STATED
    assert "lorsqu'ils sont connus" in str(result["description"])


def test_hours_that_can_be_read_are_printed_in_french() -> None:
    english = ["Monday: 6:00 AM – 10:00 PM", "Tuesday: Closed"]
    printed = str(answer({"name": "Fit", "hours": english}, {})["hours_french"])
    assert printed.startswith("lundi: 06:00")
    assert "; mardi: Fermé" in printed


@pytest.mark.parametrize(
    "gym", [GYM, {"name": "Fit", "city": "Le Caire", "hours": None}, {}, {"name": "N" * 900, "city": "C" * 900}]
)
@pytest.mark.parametrize(
    "reviews", [{}, {"1": ""}, REVIEWS, {"1": "piscine"}, {"1": "yoga et zumba, pilates, cours de danse"}]
)
def test_a_description_has_three_or_four_sentences_of_reasonable_length(
    gym: dict[str, object], reviews: dict[str, str]
) -> None:
    description = str(answer(gym, reviews)["description"])
    assert 120 <= len(description) <= 600
    assert 3 <= sentences(description) <= 4
    assert "  " not in description


def test_a_description_says_only_what_was_found() -> None:
    full = str(answer(GYM, REVIEWS)["description"])
    assert "Salle Atlas" in full
    assert "à Oran" in full
    assert "une piscine" in full
    assert "des cours de yoga" in full
    assert "réservés aux femmes" in full
    assert "parking" not in full
    empty = str(answer({"name": "Salle Atlas", "city": "Le Caire"}, {})["description"])
    assert "au Caire" in empty
    assert "Les avis disponibles ne précisent pas d'équipement particulier." in empty
    assert "femmes" not in empty


def test_a_description_never_repeats_a_review_a_price_or_a_judgement() -> None:
    reviews = {"1": "Excellente piscine, coach Karim super, 3500 DA par mois, le meilleur hammam"}
    description = str(answer(GYM, reviews)["description"]).lower()
    assert "hammam" in description
    assert not re.search(r"karim|3500|\bda\b|excellent|super|meilleur", description)


def test_the_same_question_has_the_same_answer() -> None:
    assert answer(GYM, REVIEWS) == answer(GYM, dict(reversed(REVIEWS.items())))


def test_only_the_beginning_of_an_endless_review_is_read() -> None:
    endless = "une phrase sans rien. " * 5_000
    assert answer(GYM, {"1": "Il y a un sauna. " + endless})["amenities"]
    assert not answer(GYM, {"1": endless + "Il y a un sauna."})["amenities"]
