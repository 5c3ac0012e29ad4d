"""The rules that an LLM's answer must keep before anything of it is saved.

Each rule returns the reasons it is broken, as sentences that the LLM and people can act on and that quote
no review. What must not live here: parsing JSON (prompts/) and asking again (llm/).
"""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

MOST_AMENITIES = 10
MOST_AMENITY_CHARACTERS = 60
"""An amenity is a search filter: a few words, not a sentence."""
DESCRIPTION_SENTENCES = (3, 4)
DESCRIPTION_CHARACTERS = (60, 1_200)

# A sentence ends at . ! ? or … before white space and a capital, a digit or a quote, or at the end.
# "M. Dupont" and "24 h. sur 24" style abbreviations are kept whole by the lookbehinds.
_SENTENCE_END = re.compile(r"(?<!\bM)(?<!\bMme)(?<!\betc)[.!?…]+[»\")]*(?=\s+[«\"(]?[A-ZÀ-ÖØ-Þ0-9]|\s*$)")
_PRICE = re.compile(
    r"(?:[€$£]\s?\d)|\d[\d .,\u202f\u00a0]*\s?(?:€|\$|£|(?:euros?|dollars?|dinars?|DA|DZD|EUR|USD|CHF|GBP)\b)",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_WORD = re.compile(r"[^\W\d_]+(?:['’])?", re.UNICODE)
# Function words that a paragraph can hardly avoid; only words that the other language does not have.
_FRENCH = frozenset(
    "le la les l' l’ un une des du d' d’ et est sont dans avec pour sur au aux ce cette ses son sa qui que"
    " propose dispose salle également ainsi ou par plus ne pas en de il elle".split()
)
_OTHER = frozenset(
    "the and is are with of for this that its has have it to in at you"  # English
    " el los las y con para por está una del que su"  # Spanish
    " der die das und ist mit für ein eine den im von"  # German
    " og er med til det den en af på".split()  # Danish
)


class AnswerRejected(ValueError):
    """An answer that cannot be used as it is.

    Args:
        reasons: sentences for the LLM and for people, without review text.
        malformed: it is not even of the form that was asked for: cut off, no JSON, not of the schema. That happens
            by chance, and asking again may do.
        usable: what can be made of it if asking again brings nothing better; None if nothing can.
    """

    def __init__(self, reasons: list[str], *, malformed: bool = False, usable: Any = None) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons
        self.malformed = malformed
        self.usable = usable


def split_sentences(text: str, name: str = "") -> list[str]:
    """The sentences of a text, each with its end; a last one without its full stop counts.

    `name` may hold full stops of its own ("Club F. C. Nord") that end no sentence.
    """
    hidden = text.replace(name, "\x00") if name else text
    ends = [match.end() for match in _SENTENCE_END.finditer(hidden)]
    pieces = [hidden[start:end] for start, end in pairwise([0, *ends, len(hidden)])]
    return [piece.replace("\x00", name).strip() for piece in pieces if piece.strip(' \n»")')]


def count_sentences(text: str) -> int:
    """How many sentences a text has."""
    return len(split_sentences(text))


def names_a_price(text: str) -> bool:
    """Whether a text names an amount of money."""
    return _PRICE.search(text) is not None


def looks_french(text: str) -> bool:
    """Whether function words say that a paragraph is French; False for a text without any."""
    words = [word.lower() for word in _WORD.findall(text)]
    french = sum(word in _FRENCH for word in words)
    other = sum(word in _OTHER and word not in _FRENCH for word in words)
    return french >= 2 and french > other


def broken_description_rules(description: str, gym_name: str = "") -> list[str]:
    """Reasons why `description` cannot be published; empty when it can.

    `gym_name` may hold full stops of its own ("Club F. C. Nord") that end no sentence.
    """
    reasons = []
    sentences = len(split_sentences(description, gym_name))
    fewest, most = DESCRIPTION_SENTENCES
    if not fewest <= sentences <= most:
        reasons.append(f"description has {sentences} sentences, it must have {fewest} or {most}")
    shortest, longest = DESCRIPTION_CHARACTERS
    if not shortest <= len(description) <= longest:
        reasons.append(f"description has {len(description)} characters, it must have {shortest} to {longest}")
    if not looks_french(description):
        reasons.append("description is not in French")
    if _PRICE.search(description):
        reasons.append("description names a price")
    return reasons


def broken_character_rules(texts: Iterable[str]) -> list[str]:
    """Control characters have no place in a directory, and Postgres stores no NUL."""
    if any(_CONTROL.search(text) for text in texts):
        return ["the answer holds control characters"]
    return []


def broken_amenity_rules(names: Sequence[str]) -> list[str]:
    """Reasons why `names` cannot become filters; empty when they can."""
    reasons = []
    if len(names) > MOST_AMENITIES:
        reasons.append(f"amenities has {len(names)} entries, at most {MOST_AMENITIES} are allowed")
    if any(not name.strip() for name in names):
        reasons.append("amenities has an empty name")
    if any(len(name) > MOST_AMENITY_CHARACTERS for name in names):
        reasons.append(
            f"amenities has a name of more than {MOST_AMENITY_CHARACTERS} characters: name it in a few words"
        )
    if any(_PRICE.search(name) for name in names):
        reasons.append("amenities names a price")
    return reasons


def broken_women_rules(has_women_hours: bool, evidence: Iterable[int]) -> list[str]:
    """A yes needs at least one review number (or 0, the gym's own name) that shows it."""
    if has_women_hours and not list(evidence):
        return ["has_women_hours is true but women_hours_reviews names no review that shows it"]
    return []
