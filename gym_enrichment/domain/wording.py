"""Which French words a description may consist of: the lexicon `description_words.toml`, and the forms of a word.

What must not live here: which words of a gym's own are added (descriptions.py).
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from gym_enrichment.domain.folding import MARK, fold

_WORD = re.compile(r"[^\W_]+")
# Masculine singular, folded -> what its feminine ends in, where that is not just an "e" more.
_FEMININES = (
    ("teur", "trice"),
    ("eur", "euse"),
    ("eux", "euse"),
    ("if", "ive"),
    ("el", "elle"),
    ("en", "enne"),
    ("on", "onne"),
    ("et", "ette"),
    ("s", "sse"),
    ("c", "que"),
    ("c", "che"),
    ("eau", "elle"),
    ("ou", "olle"),
    ("x", "ce"),
)
_ER = "er e ent ant ante antes ants ait aient a era eront erait eraient ee es ees".split()
_IR = "ir it issent issant issait issaient ira iront irait i ie is ies".split()


def words_in(text: str) -> list[str]:
    """The words and numbers of a text, folded."""
    return _WORD.findall(fold(text).replace(MARK, ""))


def forms(word: str) -> Iterator[str]:
    """A folded noun or adjective with its feminine and its plurals; some that nobody uses are among them."""
    feminines = [word + "e", *(word.removesuffix(end) + she for end, she in _FEMININES if word.endswith(end))]
    if word.endswith("al"):
        yield word[:-1] + "ux"
    if word.endswith("u"):
        yield word + "x"
    for form in (word, *feminines):
        yield form
        if form[-1] not in "sxz":
            yield form + "s"


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The folded forms of the words that every description may use.

    Args:
        words: French words, in lower case or at the beginning of a sentence.
        names: proper names and numbers.
    """

    words: frozenset[str]
    names: frozenset[str]

    def __or__(self, other: "Lexicon") -> "Lexicon":
        return Lexicon(self.words | other.words, self.names | other.names)


@lru_cache(maxsize=1)
def packaged_lexicon() -> Lexicon:
    """The lexicon that ships with the package (read once)."""
    return lexicon(tomllib.loads(resources.files(__package__).joinpath("description_words.toml").read_text("utf-8")))


def lexicon(raw: Mapping[str, Any]) -> Lexicon:
    """All forms of the words in the tables `fixed`, `names`, `words` and `verbs` of a TOML file; others are ignored.

    Raises:
        ValueError: a table is none, a group of it is no line of words, or a verb is no infinitive in -er or -ir.
    """
    words = set(_words_of(raw, "fixed"))
    words.update(form for word in _words_of(raw, "words") for form in forms(word))
    words.update(form for verb in _words_of(raw, "verbs") for form in _conjugated(verb))
    return Lexicon(frozenset(words), frozenset(_words_of(raw, "names")))


def _words_of(raw: Mapping[str, Any], table: str) -> Iterable[str]:
    groups = raw.get(table, {})
    if not isinstance(groups, Mapping) or not all(isinstance(line, str) for line in groups.values()):
        raise ValueError(f"[{table}] has groups, each one line of words")
    return (word for line in groups.values() for word in words_in(line))


def _conjugated(verb: str) -> list[str]:
    """Infinitive, third persons and participles."""
    if len(verb) < 4 or verb[-2:] not in ("er", "ir"):
        raise ValueError(f"the verb {verb!r} is no infinitive in -er or -ir: write its forms in [fixed]")
    stem = verb[:-2]
    if verb.endswith("ir"):
        return [stem + ending for ending in _IR]
    soft = [stem + "e" + ending for ending in ("ant", "ait", "aient")] if stem.endswith("g") else []
    return [*(stem + ending for ending in _ER), *soft]
