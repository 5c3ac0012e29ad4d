"""Repeats are found as if every review were held against every earlier one."""

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.domain.models import Review
from gym_enrichment.domain.readings import Reading, Repeats

VOCABULARY = Vocabulary.default()
TEXTS = st.lists(st.sampled_from("salle piscine sauna femmes propre calme 24h coach".split()), max_size=12).map(
    " ".join
)


def says_no_more(later: Reading, earlier: Reading) -> bool:
    return later.all_facts <= earlier.all_facts and max(later.women.values(), default=0) <= max(
        earlier.women.values(), default=0
    )


@given(st.lists(TEXTS, max_size=12))
def test_near_repeats_are_those_of_every_pair(texts: list[str]) -> None:
    repeats, said = Repeats(), []
    for number, text in enumerate(texts):
        reading = Reading(number, Review(str(number), "gym", text), VOCABULARY)
        most = ceil(0.7 * len(reading.runs))
        expected = bool(reading.runs) and any(
            len(reading.runs & earlier.runs) >= most and says_no_more(reading, earlier) for earlier in said
        )
        assert repeats.near(reading) == expected
        if not expected:
            said.append(reading)


def test_the_same_words_are_a_repeat_whatever_their_punctuation() -> None:
    repeats = Repeats()
    found = [
        repeats.exact(Reading(number, Review(str(number), "gym", text), VOCABULARY))
        for number, text in enumerate(["Très bonne salle !", "tres BONNE salle...", "bonne salle", "👍", "👍", "💪"])
    ]
    assert found == [False, True, False, False, True, False]
