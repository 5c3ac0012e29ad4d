"""What a gym has, in one French vocabulary: finding it in reviews and naming what a model wrote.

Words, traps and denials live in `amenities.toml`; only the reading of text lives here. No I/O but that file (and
an operator's own), nothing about prompts or models.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from itertools import accumulate, compress
from pathlib import Path
from typing import Any

from gym_enrichment.domain.denials import Denials
from gym_enrichment.domain.folding import MARK, fold, pieces
from gym_enrichment.domain.hashing import content_hash
from gym_enrichment.domain.women import women_only_places
from gym_enrichment.domain.wording import Lexicon, forms, lexicon, packaged_lexicon, words_in

__all__ = ["Amenity", "Mention", "Vocabulary", "fold"]

_LANGUAGES = ("fr", "en", "es", "ar")
_ARABIC_PREFIXES = ("", "ال", "و", "وال", "ب", "بال", "لل", "ل", "فال", "كال", "ول", "ولل", "وب", "وبال")
_ARABIC_ENDINGS = ("", "ه", "ات", "ين", "ون")
_MAX_TYPED = 80  # a longer label is no label
_WOMEN_PLACE = "espace-femmes"  # read by the rules of women.py: no list of phrases holds its many forms


def _words(folded: str) -> list[str]:
    return [word for word in pieces(folded)[::2] if word]


@dataclass(frozen=True, slots=True)
class Amenity:
    """One concept: `label` names it in French, `indefinite` is the label inside a sentence ("une piscine").

    Every gym has what is `usual`: it may be said of one whose reviews do not mention it.
    """

    id: str
    label: str
    group: str
    synonyms: tuple[str, ...]
    indefinite: str = ""
    usual: bool = False


@dataclass(frozen=True, slots=True)
class Mention:
    """Where a text names an amenity: `text[start:end]`; `affirmed` is false when it is denied or wished for."""

    amenity_id: str
    start: int
    end: int
    affirmed: bool


@dataclass(frozen=True, slots=True)
class _Head:
    """A word that starts phrases: what it means alone, how long its phrases are, which words come second."""

    alone: str | None
    longest: int
    seconds: frozenset[str]


_TABLES = frozenset({"amenity", "traps", "fixed", "names", "words", "verbs"})
"""What an operator's file may hold."""


class Vocabulary:
    """The amenities, how to find them, and the words of which descriptions consist.

    Build one with `default` or `load`; it never changes afterwards. `hash` changes when other amenities may be found in
    a text. `lexicon` holds what every description may use,
    `words_of` what a description may use besides if the gym has an amenity.
    """

    def __init__(
        self,
        amenities: Sequence[Amenity],
        traps: Sequence[str],
        denials: Mapping[str, Any],
        plain: Lexicon | None = None,
    ) -> None:
        self.lexicon = plain or packaged_lexicon()
        self._words_of: dict[str, frozenset[str]] = {}
        self.amenities: tuple[Amenity, ...] = tuple(amenities)
        self.hash = content_hash([[[a.id, a.group, a.synonyms] for a in amenities], traps, denials])
        self._by_id = {amenity.id: amenity for amenity in amenities}
        self._denial_cues = denials
        self._phrases: dict[tuple[str, ...], str] = {}  # singular words -> amenity id, "" for a trap
        self._exact: dict[tuple[str, ...], str] = {}  # words as they stand -> the same
        entries = list(_entries(amenities, traps))
        self._singular = _singulars({word for _, words, _ in entries for word in words})
        for amenity_id, words, exact in entries:
            self._add(amenity_id, words, exact)
        self._heads = self._index()

    @classmethod
    def default(cls) -> Vocabulary:
        """The vocabulary that ships with the package (built once)."""
        return _default()

    @classmethod
    def load(cls, path: str | Path) -> Vocabulary:
        """The packaged vocabulary and the amenities, traps and words of an operator's TOML file of the same shape.

        Raises ValueError, naming the file and the entry, for unreadable TOML, a missing id or label, an id given
        twice, one synonym under two ids, words not in lines, or an unknown table; OSError when the file cannot be read.
        """
        packaged = _packaged()
        try:
            extra = tomllib.loads(Path(path).read_text(encoding="utf-8"))
            _check_tables(extra)
            amenities = [*_amenities(packaged), *_amenities(extra)]
            traps = [*packaged["traps"], *_strings(extra, "traps", "the file")]
            return cls(amenities, traps, packaged["denials"], packaged_lexicon() | lexicon(extra))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from error

    @cached_property
    def _denials(self) -> Denials:
        # Compiled by the first text: a tenth of a second that most processes need not wait.
        return Denials.compiled(self._denial_cues, {amenity.id: amenity.group for amenity in self.amenities})

    def get(self, amenity_id: str) -> Amenity:
        """The amenity of that id; KeyError when there is none."""
        return self._by_id[amenity_id]

    def words_of(self, amenity_id: str) -> frozenset[str]:
        """The folded forms of the words of an amenity's label, and of its synonyms of one word.

        A word out of a longer synonym says something else without the others ("olympique", of "barres olympiques").
        """
        known = self._words_of.get(amenity_id)
        if known is None:
            amenity = self._by_id[amenity_id]
            names = [words_in(name) for name in (amenity.label, amenity.indefinite, *amenity.synonyms)]
            said = {word for place, words in enumerate(names) if place < 2 or len(words) == 1 for word in words}
            known = self._words_of[amenity_id] = frozenset(form for word in said for form in forms(word))
        return known

    def mentions(self, text: str) -> list[Mention]:
        """Every mention in a text, in order; the longest phrase wins; time is linear in the text."""
        folded = fold(text)
        parts = pieces(folded)
        words = parts[::2]
        if MARK in folded:
            words = tuple(word.replace(MARK, "") for word in words)
        found = self._matches(words)
        women = women_only_places(text, folded, words) if _WOMEN_PLACE in self._by_id else []
        if not found and not women:
            return []
        ends = list(accumulate(map(len, parts)))
        places = [(amenity_id, ends[2 * a] - len(parts[2 * a]), ends[2 * b]) for amenity_id, a, b in found]
        affirmed = self._denials.standing(folded, places)
        mentions = [Mention(*place, yes) for place, yes in zip(places, affirmed, strict=True)]
        if women or any(amenity_id == _WOMEN_PLACE for amenity_id, _, _ in places):
            kept = [mention for mention in mentions if mention.amenity_id != _WOMEN_PLACE]
            said = [Mention(_WOMEN_PLACE, place.start, place.end, place.verdict == "yes") for place in women]
            mentions = sorted([*kept, *said], key=lambda mention: mention.start)
        return mentions

    def resolve(self, label: str) -> Amenity | None:
        """The concept that a free label names ("piscines chauffées", "swiming pool"), None when unsure.

        A label that names two concepts or denies one names none. A misspelling of one letter is forgiven from
        five letters on, of two from nine letters on, when only one concept is that near.
        """
        if len(label) > _MAX_TYPED:
            return None
        words = _words(fold(label))
        exact = self._lookup(words)
        if exact:
            return self._by_id[exact]
        mentions = self.mentions(label)
        if mentions:
            ids = {mention.amenity_id for mention in mentions}
            sure = len(ids) == 1 and all(mention.affirmed for mention in mentions)
            return self._by_id[ids.pop()] if sure else None
        return self._nearest(" ".join(words))

    def _add(self, amenity_id: str, words: tuple[str, ...], exact: bool) -> None:
        table = self._exact if exact else self._phrases
        key = words if exact else tuple(self._singular[word] for word in words)
        known = table.setdefault(key, amenity_id)
        if known != amenity_id and known and amenity_id:
            raise ValueError(f"the synonym {' '.join(words)!r} is under both {known!r} and {amenity_id!r}")

    def _index(self) -> dict[str, _Head]:
        forms: dict[str, list[str]] = {}
        for form, word in self._singular.items():
            forms.setdefault(word, []).append(form)
        longest: dict[str, int] = {}
        seconds: dict[str, set[str]] = {}
        for key in (*self._phrases, *(tuple(self._singular[word] for word in key) for key in self._exact)):
            longest[key[0]] = max(longest.get(key[0], 0), len(key))
            seconds.setdefault(key[0], set()).update(forms[key[1]] if len(key) > 1 else ())
        return {
            form: _Head(self._lookup([form]), longest[word], frozenset(seconds[word]))
            for form, word in self._singular.items()
            if word in longest
        }

    def _lookup(self, words: Sequence[str]) -> str | None:
        known = self._exact.get(tuple(words))
        if known is None:
            singulars = map(self._singular.get, words)
            known = self._phrases.get(tuple(singulars))  # type: ignore[arg-type]  # None finds nothing
        return known

    def _matches(self, words: Sequence[str]) -> list[tuple[str, int, int]]:
        """(id, first word, last word) of every match; most words start none, so they are passed over in bulk."""
        heads = self._heads
        found: list[tuple[str, int, int]] = []
        free_from = 0
        for first in compress(range(len(words)), map(heads.__contains__, words)):
            if first < free_from:
                continue
            head = heads[words[first]]
            hit, size = head.alone, 1
            if first + 1 < len(words) and words[first + 1] in head.seconds:
                longer = range(min(head.longest, len(words) - first), 1, -1)
                tried = ((self._lookup(words[first : first + n]), n) for n in longer)
                hit, size = next(((known, n) for known, n in tried if known is not None), (hit, size))
            if hit is not None:
                free_from = first + size
                if hit:
                    found.append((hit, first, free_from - 1))
        return found

    def _nearest(self, typed: str) -> Amenity | None:
        allowed = 2 if len(typed) >= 9 else 1 if len(typed) >= 5 else 0
        if not allowed:
            return None
        near: dict[str, int] = {}
        for phrase, amenity_id in self._phrases.items():
            name = " ".join(phrase)
            if amenity_id and name[0] == typed[0] and abs(len(name) - len(typed)) <= allowed:
                distance = _distance(name, typed, allowed)
                if distance <= allowed:
                    near[amenity_id] = min(distance, near.get(amenity_id, distance))
        best = [amenity_id for amenity_id, distance in near.items() if distance == min(near.values())]
        return self._by_id[best[0]] if len(best) == 1 else None


def _distance(left: str, right: str, bound: int) -> int:
    """Edit distance, or more than `bound` as soon as that is certain."""
    previous = list(range(len(right) + 1))
    for row, a in enumerate(left, 1):
        current = [row]
        for column, b in enumerate(right, 1):
            change = previous[column - 1] + (a != b)
            current.append(min(previous[column] + 1, current[column - 1] + 1, change))
        if min(current) > bound:
            return bound + 1
        previous = current
    return previous[-1]


def _entries(amenities: Iterable[Amenity], traps: Iterable[str]) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """(id, words, exact) of every phrase; traps have the id ""."""
    seen: set[str] = set()
    for amenity in amenities:
        if amenity.id in seen:
            raise ValueError(f"the amenity id {amenity.id!r} is given twice")
        seen.add(amenity.id)
        for synonym in amenity.synonyms:
            yield from _variants(amenity.id, synonym)
    for trap in traps:
        yield from _variants("", trap)


def _variants(amenity_id: str, synonym: str) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    words = tuple(_words(fold(synonym)))
    if not words:
        raise ValueError(f"the synonym {synonym!r} has no word")
    if not synonym.startswith("="):
        yield amenity_id, tuple(map(_without_article, words)), False
    elif _is_arabic(words[0]):
        for prefix in _ARABIC_PREFIXES:
            yield amenity_id, (prefix + _without_article(words[0]), *words[1:]), True
    else:
        yield amenity_id, words, True


def _is_arabic(word: str) -> bool:
    return "ء" <= word[0] <= "ي"


def _without_article(word: str) -> str:
    return word[2:] if word.startswith("ال") and len(word) > 4 else word


def _singulars(words: set[str]) -> dict[str, str]:
    """Each word of the vocabulary and its likely plurals and singular -> one form of it."""
    forms: dict[str, str] = {}
    for word in sorted(words, key=lambda w: (len(w), w)):
        if word in forms:
            continue
        forms[word] = word
        if _is_arabic(word):
            for form in _arabic_forms(word):
                forms.setdefault(form, word)
            continue
        if len(word) < 3 or not word.isascii():
            continue
        plurals = [word + "s"] if word[-1] != "s" else []
        plurals += [word + "es"] if word[-1] in "dhjlnorsxyz" else []
        plurals += [word + "x"] if word[-1] == "u" else []
        plurals += [word[:-1] + "ies"] if word.endswith("y") else []
        singular = [word[:-1]] if word[-1] == "s" and word[-2] != "s" and len(word) > 4 else []
        darja = ["l" + form for form in (word, *plurals)] if len(word) > 3 else []  # its article: "lvestiaires"
        for form in (*plurals, *singular, *darja):
            forms.setdefault(form, word)
    return forms


def _arabic_forms(word: str) -> Iterator[str]:
    """An Arabic word with what is written in one with it: conjunction, preposition, article, regular endings."""
    stem = word.removesuffix("ه")
    endings = _ARABIC_ENDINGS if len(stem) > 2 else ("", word.removeprefix(stem))
    for prefix in _ARABIC_PREFIXES:
        yield prefix + word
        yield from (prefix + stem + ending for ending in endings if ending or stem == word)


def _check_tables(raw: Mapping[str, Any]) -> None:
    if unknown := sorted(set(raw) - _TABLES):
        raise ValueError(f"{unknown[0]!r} is unknown; expected {', '.join(sorted(_TABLES))}")


def _amenities(raw: Mapping[str, Any]) -> list[Amenity]:
    entries = raw.get("amenity", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("amenities are written as [[amenity]] tables")
    return [_amenity(entry) for entry in entries]


def _amenity(entry: Mapping[str, Any]) -> Amenity:
    amenity_id, label, group = (entry.get(key) for key in ("id", "label", "group"))
    if not isinstance(amenity_id, str) or not re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", amenity_id):
        raise ValueError(f"the amenity {entry!r} needs an id in kebab-case")
    if not isinstance(label, str) or not label.strip():
        raise ValueError(f"the amenity {amenity_id!r} needs a label")
    group = group if isinstance(group, str) else "services"
    synonyms = (label, *(s for language in _LANGUAGES for s in _strings(entry, language, amenity_id)))
    indefinite = entry.get("indefinite")
    sentence_form = indefinite if isinstance(indefinite, str) and indefinite else f"« {label} »"
    usual = entry.get("usual") is True
    return Amenity(amenity_id, label, group, tuple(dict.fromkeys(synonyms)), sentence_form, usual)


def _strings(raw: Mapping[str, Any], key: str, where: str) -> list[str]:
    values = raw.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) and value.strip() for value in values):
        raise ValueError(f"{key!r} of {where} is not a list of non-empty strings")
    return values


def _packaged() -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath("amenities.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _default() -> Vocabulary:
    raw = _packaged()
    return Vocabulary(_amenities(raw), raw["traps"], raw["denials"])
