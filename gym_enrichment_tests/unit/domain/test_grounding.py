"""What becomes of an LLM's claims when the reviews are read: what they show, what they do not, what is no amenity."""

import pytest

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.domain.grounding import (
    AmenityClaim,
    GroundedAmenities,
    GroundedWomen,
    Mentions,
    ground_amenities,
    ground_women,
    women_statements,
)

VOCABULARY = Vocabulary.default()
REVIEWS = {
    1: "Belle piscine et un sauna.",
    2: "Pas de parking, dommage. Merci à Karim.",
    3: "La piscine est chauffée, il y a un hammam et un trampoline.",
    4: "No sauna for months, and I wish they had a jacuzzi.",
}


def women(claimed: bool | None, cited: list[int], reviews: dict[int, str], name: str) -> GroundedWomen:
    return ground_women(claimed, cited, women_statements(reviews), name)


def grounded(*claims: tuple[str, list[int]], reviews: dict[int, str] = REVIEWS) -> GroundedAmenities:
    claimed = [AmenityClaim(name, numbers) for name, numbers in claims]
    return ground_amenities(claimed, reviews, Mentions(reviews, VOCABULARY), VOCABULARY)


def statuses(found: GroundedAmenities) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {amenity.label: (amenity.status, amenity.reviews) for amenity in found.amenities}


@pytest.mark.parametrize("name", ["Piscine", "PISCINES", "piscine chauffée", "Swimming pool", "مسبح"])
def test_a_claim_that_a_cited_review_shows_is_verified_whatever_it_is_called(name: str) -> None:
    assert statuses(grounded((name, [3]))) == {"Piscine": ("verified", (3, 1))}


@pytest.mark.parametrize("cited", [[], [2], [99], [-1, 0]])
def test_a_claim_that_only_other_reviews_show_is_repaired(cited: list[int]) -> None:
    assert statuses(grounded(("Piscine", cited))) == {"Piscine": ("repaired", (1, 3))}


@pytest.mark.parametrize(("name", "cited"), [("Parking", [2]), ("Jacuzzi", [4]), ("Wi-Fi", [1, 2, 3, 4])])
def test_what_is_denied_wished_for_or_never_said_is_unverified(name: str, cited: list[int]) -> None:
    found = grounded((name, cited))
    assert [(amenity.status, amenity.reviews) for amenity in found.amenities] == [("unverified", ())]
    assert not found.supported


def test_as_many_denials_as_voices_for_it_leave_it_unverified() -> None:
    assert statuses(grounded(("Sauna", [1])))["Sauna"] == ("unverified", ())


def test_one_concept_appears_once_with_all_that_was_cited() -> None:
    assert statuses(grounded(("Piscine", [1]), ("piscines", [3]))) == {"Piscine": ("verified", (1, 3))}


def test_a_claim_of_two_concepts_is_two_claims() -> None:
    assert statuses(grounded(("Piscine et hammam", [3]))) == {
        "Piscine": ("verified", (3, 1)),
        "Hammam": ("verified", (3,)),
    }


def test_the_best_supported_come_first_and_the_unverified_last() -> None:
    found = grounded(("Wi-Fi", [1]), ("Hammam", [3]), ("Piscine", [1]))
    assert [amenity.label for amenity in found.amenities] == ["Piscine", "Hammam", "Wi-Fi"]


def test_at_most_five_reviews_are_named() -> None:
    reviews = dict.fromkeys(range(1, 10), "belle piscine")
    assert statuses(grounded(("Piscine", [9]), reviews=reviews))["Piscine"][1] == (9, 1, 2, 3, 4)


def test_what_the_vocabulary_does_not_know_is_a_proposal_verified_by_its_words() -> None:
    found = grounded(("Trampolines", [3]), ("Tyrolienne", [3]))
    assert not found.amenities
    assert [(p.name, p.status, p.reviews) for p in found.proposals] == [
        ("Trampolines", "verified", (3,)),
        ("Tyrolienne", "unverified", ()),
    ]


@pytest.mark.parametrize(
    "name", ["Ambiance conviviale", "Bon rapport qualité-prix", "Personnel accueillant", "Entrée à 500 DA", "Propreté"]
)
def test_a_judgement_or_a_price_is_not_even_a_proposal(name: str) -> None:
    assert grounded((name, [1])) == GroundedAmenities((), ())


def test_a_denial_is_no_claim() -> None:
    assert grounded(("Pas de sauna", [4])) == GroundedAmenities((), ())


WOMEN = {
    1: "Salle propre.",
    2: "Il y a une salle réservée aux femmes de 9h à 12h.",
    3: "Women only gym upstairs, lovely.",
}


def test_a_yes_that_a_cited_review_states_is_verified_with_its_hours() -> None:
    assert women(True, [2], WOMEN, "Atlas") == GroundedWomen("yes", "verified", (2, 3), ("de 9h à 12h",))


@pytest.mark.parametrize(("claimed", "cited"), [(True, [1]), (True, []), (False, []), (None, [])])
def test_a_yes_that_was_missed_or_badly_cited_is_repaired(claimed: bool | None, cited: list[int]) -> None:
    found = women(claimed, cited, WOMEN, "Atlas")
    assert (found.verdict, found.status) == ("yes", "repaired")


def test_the_name_of_the_gym_is_evidence_zero() -> None:
    assert women(True, [0], {1: "Salle propre."}, "Ladies Gym") == GroundedWomen("yes", "verified", (0,))


def test_a_yes_that_nothing_shows_is_unverified_and_unknown() -> None:
    assert women(True, [1, 7], {1: "Les femmes y sont à l'aise."}, "Atlas") == GroundedWomen(
        "unknown", "unverified", ()
    )
    assert women(True, [1], {1: "La salle est mixte."}, "Atlas").status == "unverified"


def test_a_no_needs_a_review_that_denies_it_else_nobody_knows() -> None:
    assert women(False, [], {4: "La salle est mixte."}, "Atlas") == GroundedWomen("no", "verified", (4,))
    assert women(False, [], {4: "Belle salle."}, "Atlas") == GroundedWomen("unknown", "verified", ())
