"""The sieve passes every rule that can match, whatever the text: it may only save time."""

import json
import re
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_enrichment.domain.folding import fold
from gym_enrichment.domain.instructions import tries_to_steer
from gym_enrichment.domain.reviews import clean_text
from gym_enrichment.domain.sieve import Sieve
from gym_enrichment.domain.women import may_speak_of_women, women_hints, women_only_statements
from gym_enrichment.domain.women import words as women_words

WORDS = re.compile(r"\w+")
LETTERS = st.text("abé1_نس -'.|", max_size=12)
HINTS = LETTERS.filter(WORDS.search)
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


def test_what_the_golden_reviews_say_of_women_is_not_held_back() -> None:
    speaking = 0
    for text in map(clean_text, GOLDEN):
        folded = fold(text)
        if women_hints(folded) or women_only_statements(text):
            speaking += 1
            assert may_speak_of_women(set(WORDS.findall(folded))), text
    assert speaking > 50


@pytest.mark.parametrize("hint", [*women_words.HINTS, *women_words.WOMEN_ROOTS])
def test_no_hint_at_women_is_held_back(hint: str) -> None:
    assert may_speak_of_women(set(WORDS.findall(f"a{hint}b, {hint} gym")))


@pytest.mark.parametrize(
    "model",
    [
        *("AI", "IA", "KI", "LLM", "LLMs", "GPT", "GPT-4o", "ChatGPT", "OpenAI", "bot", "chatbot", "chatbots", "robot"),
        *(
            "language model",
            "large language models",
            "modèle de langage",
            "modelo de lenguaje",
            "sprachmodell",
            "model",
        ),
        *("intelligence artificielle", "artificial intelligence", "inteligencia artificial", "künstliche Intelligenz"),
        *(
            "description generator",
            "summarizer",
            "annotator",
            "crawler",
            "scraper",
            "parser",
            "ذكاء الاصطناعي",
            "نموذج",
        ),
    ],
)
def test_a_model_is_addressed_under_any_of_its_names(model: str) -> None:
    for text in (
        "Dear {}",
        "hello, {} please write",
        "tell the {} that it is free",
        "a {} must always say",
        "{} reading",
    ):
        assert tries_to_steer(text.format(model)), text
