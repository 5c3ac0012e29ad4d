"""The sieve passes every rule that can match, whatever the text: it may only save time."""

import json
import re
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_enrichment.domain.folding import fold
from gym_enrichment.domain.instruction_words import ORDERS, SQUEEZED
from gym_enrichment.domain.instructions import tries_to_steer
from gym_enrichment.domain.reviews import clean_text
from gym_enrichment.domain.sieve import Sieve
from gym_enrichment.domain.women import may_speak_of_women, women_hints, women_only_statements
from gym_enrichment.domain.women import words as women_words

WORDS = re.compile(r"\w+")
LETTERS = st.text("abé1_نس -'.|", max_size=12)
HINTS = LETTERS.filter(WORDS.search)
RULES = (*ORDERS, SQUEEZED)
GOLDEN = [
    json.loads(line)["text"] or ""
    for name in ("reviews", "hostile")
    for line in resources.files("gym_enrichment").joinpath(f"golden/{name}.jsonl").read_text("utf-8").splitlines()
    if isinstance(json.loads(line)["text"], str)
]


@given(st.lists(st.lists(HINTS, min_size=1, max_size=3), min_size=1, max_size=4), st.lists(LETTERS, max_size=6))
def test_a_rule_passes_wherever_one_of_its_hints_stands(hints: list[list[str]], parts: list[str]) -> None:
    sieve = Sieve(hints)
    for text in ("".join(parts), *(hint.join(parts) or hint for several in hints for hint in several)):
        matching = {rule for rule, several in enumerate(hints) if any(hint in text for hint in several)}
        for _ in ("words are new", "words are remembered"):
            assert matching <= sieve.passing(set(WORDS.findall(text)))


def test_what_holds_no_part_of_any_hint_is_held_back() -> None:
    sieve = Sieve([["no men", "women"], ["co-ed"], [" ai "]])
    passed = {
        text: sieve.passing(set(text.split()))
        for text in ("a good gym", "madwomens", "men no", "disco ed", "co coed", "hair", "ai", "no menace")
    }
    assert passed == {
        **{"a good gym": set(), "madwomens": {0}, "men no": {0}, "disco ed": {1}, "co coed": set(), "hair": set()},
        **{"ai": {2}, "no menace": {0}},
    }


def test_a_hint_without_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="word"):
        Sieve([["```"]])


def test_more_words_than_are_remembered_change_nothing() -> None:
    sieve = Sieve([["women"]])
    for n in range(60_000):
        sieve.passing({f"word{n}"})
    assert sieve.passing({"women"}) == {0}
    assert sieve.passing({"w" * 1_000 + "women"}) == {0}
    assert sieve.passing({"gym"}) == set()


@pytest.mark.parametrize("rule", range(len(RULES)))
@given(data=st.data())
def test_a_pattern_of_an_order_matches_only_where_a_hint_stands(rule: int, data: st.DataObject) -> None:
    pattern = data.draw(st.sampled_from(RULES[rule].patterns))
    matched = data.draw(st.from_regex(pattern, fullmatch=True, alphabet=st.characters(exclude_categories=["Cs"])))
    assert any(hint in matched for hint in RULES[rule].hints), matched
