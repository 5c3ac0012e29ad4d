"""What a gym has, in one French vocabulary: finding it in reviews and naming what a model wrote.

Words, traps and denials live in `amenities.toml`; only the reading of text lives here. No I/O but that file (and
an operator's own), nothing about prompts or models.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import accumulate, compress, pairwise
from pathlib import Path
from typing import Any

_LANGUAGES = ("fr", "en", "es", "ar")
_TATWEEL = "\u0640"  # stands for every combining mark in folded text: a word character that is dropped later
_SPECIAL = {"œ": "o", "æ": "a", "ø": "o", "ß": "s", "ð": "d", "þ": "t", "ł": "l", "ı": "i", "ؤ": "و", "ئ": "ي"}
_ARABIC = {"ة": "ه", "ى": "ي", "أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا"}
_ARABIC_PREFIXES = ("", "ال", "و", "وال", "ب", "بال", "لل", "ل", "فال")
_FOREIGN = re.compile(r"[^\x00-\x7f]+")
_NO_WORD = re.compile(r"(\W+)")
_GAP = r"(?:[^\w.!?;:,\n•؟،]+)"  # what may stand between two words of one clause
_LIST_GAP = re.compile(
    r"[\s,/&+-]*(?:(?:and|or|nor|et|ou|ni|o|y|e|a|an|any|the|de|d|un|une|des|du|even|no|aucun|sans|sin|او|و|ولا)"
    r"[\s,/&+'’-]+){0,3}[\s,/&+'’-]*"
)
_WINDOW = 80  # characters read on each side of a mention
_MAX_TYPED = 80  # a longer label is no label


def _fold_table() -> dict[int, str]:
    table: dict[int, str] = {}
    for code in (*range(0xC0, 0x250), *range(0x300, 0x370), *range(0x610, 0x6E0), *range(0x1E00, 0x1F00)):
        char = chr(code)
        lower = char.lower() if len(char.lower()) == 1 else unicodedata.normalize("NFD", char.lower())[0]
        if unicodedata.combining(char):
            table[code] = _TATWEEL
        else:
            base = unicodedata.normalize("NFD", lower)[0]
            table[code] = _SPECIAL.get(lower) or _ARABIC.get(lower) or base
    return table


_FOLD = _fold_table()


def fold(text: str) -> str:
    """Lower case without accents, Arabic letters unified, the length and every position kept."""
    if text.isascii():
        return text.lower()
    lowered = text.lower()
    if len(lowered) != len(text):  # "İ" grows when lowered
        lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return _FOREIGN.sub(lambda run: run[0].translate(_FOLD), lowered)


def _words(folded: str) -> list[str]:
    return [word for word in _pieces(folded)[::2] if word]


def _pieces(folded: str) -> list[str]:
    """Words at even places, what separates them at odd ones (the first and the last word may be empty)."""
    return _NO_WORD.split(folded)


@dataclass(frozen=True, slots=True)
class Amenity:
    """One concept: `label` names it in French, `indefinite` is the label inside a sentence ("une piscine")."""

    id: str
    label: str
    group: str
    synonyms: tuple[str, ...]
    indefinite: str = ""


@dataclass(frozen=True, slots=True)
class Mention:
    """Where a text names an amenity: `text[start:end]`; `affirmed` is false when it is denied or wished for."""

    amenity_id: str
    start: int
    end: int
    affirmed: bool


@dataclass(frozen=True, slots=True)
class _Denials:
    before: re.Pattern[str]
    after: re.Pattern[str]
    kept_by: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class _Head:
    """A word that starts phrases: what it means alone, how long its phrases are, which words come second."""

    alone: str | None
    longest: int
    seconds: frozenset[str]


class Vocabulary:
    """The amenities and how to find them. Build one with `default` or `load`; it never changes afterwards."""

    def __init__(self, amenities: Sequence[Amenity], traps: Sequence[str], denials: Mapping[str, Any]) -> None:
        self.amenities: tuple[Amenity, ...] = tuple(amenities)
        self._by_id = {amenity.id: amenity for amenity in amenities}
        self._denials = _compile_denials(denials)
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
        """The packaged vocabulary and the amenities and traps of an operator's TOML file of the same shape.

        Raises ValueError, naming the file and the entry, for unreadable TOML, a missing id or label, an id given
        twice, or one synonym under two ids; OSError when the file cannot be read.
        """
        packaged = _packaged()
        try:
            extra = tomllib.loads(Path(path).read_text(encoding="utf-8"))
            amenities = [*_amenities(packaged), *_amenities(extra)]
            traps = [*packaged["traps"], *_strings(extra, "traps", "the file")]
            return cls(amenities, traps, packaged["denials"])
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from error

    def get(self, amenity_id: str) -> Amenity:
        """The amenity of that id; KeyError when there is none."""
        return self._by_id[amenity_id]

    def mentions(self, text: str) -> list[Mention]:
        """Every mention in a text, in order; the longest phrase wins; time is linear in the text."""
        folded = fold(text)
        pieces = _pieces(folded)
        words = pieces[::2]
        if _TATWEEL in folded:
            words = [word.replace(_TATWEEL, "") for word in words]
        found = self._matches(words)
        if not found:
            return []
        ends = list(accumulate(map(len, pieces)))
        places = [(amenity_id, ends[2 * a] - len(pieces[2 * a]), ends[2 * b]) for amenity_id, a, b in found]
        affirmed = _affirmed(folded, places, self._denials)
        return [Mention(*place, yes) for place, yes in zip(places, affirmed, strict=True)]

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

    def _matches(self, words: list[str]) -> list[tuple[str, int, int]]:
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


def _affirmed(folded: str, places: Sequence[tuple[str, int, int]], denials: _Denials) -> list[bool]:
    """For each mention whether it stands; a denial reaches along a list ("no sauna, pool or gym floor")."""
    before = [
        bool(denials.before.search(folded, max(floor, start - _WINDOW), start))
        for (_, start, _), floor in zip(places, (0, *(end for _, _, end in places)), strict=False)
    ]
    after = [bool(denials.after.match(folded, end, end + _WINDOW)) for _, _, end in places]
    joined = [
        bool(_LIST_GAP.fullmatch(folded, left[2], right[1])) and right[1] - left[2] <= 20
        for left, right in pairwise(places)
    ]
    for i, linked in enumerate(joined):
        before[i + 1] = before[i + 1] or (linked and before[i])
    for i in range(len(joined) - 1, -1, -1):
        after[i] = after[i] or (joined[i] and after[i + 1])
    return [
        not (b or a) or bool(denials.kept_by.match(folded, place[2]))
        for place, b, a in zip(places, before, after, strict=True)
    ]


def _compile_denials(raw: Mapping[str, Any]) -> _Denials:
    """The cues as patterns that run on folded text where it stands: no pattern crosses a comma or a sentence."""

    def either(cues: Iterable[str]) -> str:
        return "|".join(part for cue in cues for part in _unfold(cue)).replace(" ", _GAP)

    ends = either(raw["clause_ends"])
    breakers = either([*raw["breakers"], *raw["clause_ends"]])
    after = either(raw["after"]).replace(r"\w+", rf"(?!(?:{ends})\b)\w+")
    return _Denials(
        before=re.compile(rf"(?<!\w)(?:{either(raw['before'])})(?:{_GAP}(?!(?:{breakers})\b)\w+){{0,3}}{_GAP}$"),
        after=re.compile(rf"{_GAP}(?:{after})(?!\w)"),
        kept_by=re.compile(rf"{_GAP}(?:{either(raw['kept_by'])})\b"),
    )


def _unfold(cue: str) -> list[str]:
    """`(?:a|b)c` as `ac`, `bc`: an alternation of plain beginnings is skipped many times faster."""
    opening = re.match(r"\(\?:([^()]*)\)(?![?*+{])", cue)
    if not opening:
        return [cue]
    return [f"{start}{cue[opening.end() :]}" for start in opening[1].split("|")]


def _entries(amenities: Iterable[Amenity], traps: Iterable[str]) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """(id, words, exact) of every phrase; traps have the id "". Arabic words come with their articles."""
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
    exact = synonym.startswith("=")
    if not "ء" <= words[0][0] <= "ي":
        yield amenity_id, words, exact
        return
    for prefix in _ARABIC_PREFIXES:
        yield amenity_id, (prefix + words[0].removeprefix("ال"), *words[1:]), exact


def _singulars(words: set[str]) -> dict[str, str]:
    """Each word of the vocabulary and its likely plurals and singular -> one form of it."""
    forms: dict[str, str] = {}
    for word in sorted(words, key=lambda w: (len(w), w)):
        if word in forms:
            continue
        forms[word] = word
        if len(word) < 3 or not word.isascii():
            continue
        plurals = [word + "s", word + "es", word + "x"]
        plurals += [word[:-1] + "ies"] if word.endswith("y") else []
        singular = [word[:-1]] if word[-1] == "s" and word[-2] != "s" and len(word) > 4 else []
        for form in (*plurals, *singular):
            forms.setdefault(form, word)
    return forms


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
    return Amenity(amenity_id, label, group, tuple(dict.fromkeys(synonyms)), sentence_form)


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
