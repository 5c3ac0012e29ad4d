"""Whether what a text names is there: a denial, a wish, another gym or a question takes a mention back.

The cues are data (`[denials]` of amenities.toml); no word of any language stands here but what joins a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

_GAP = r"(?:[^\w.!?;:,\n•؟،]+)"  # what may stand between two words of one clause
_CLAUSE_ENDS = ".,!?:\n"  # the frequent ones
_LIST_GAP = re.compile(
    r"[\s,/&+-]*(?:(?:and|or|nor|et|ou|ni|o|y|e|a|an|any|the|de|d|un|une|des|du|even|no|aucun|sans|sin|او|و|ولا)"
    r"[\s,/&+'’-]+){0,3}[\s,/&+'’-]*"
)
_NOTHING = r"(?!)"
_WINDOW = 80  # characters read on each side of a mention
_SOON = 40  # characters within which a denial takes back a mention ("it says there is a pool, there is no pool")


@dataclass(frozen=True, slots=True)
class Denials:
    """The cues as patterns that run on folded text where it stands: none crosses a comma or a sentence."""

    before: re.Pattern[str]
    after: re.Pattern[str]
    out_of_order: re.Pattern[str]
    lasting: frozenset[str]
    kept_by: re.Pattern[str]

    @classmethod
    def compiled(cls, raw: Mapping[str, Any], groups: Mapping[str, str]) -> Denials:
        """From lists of regular expressions: `before`, `right_before` (may be absent), `breakers`, `after`, ...

        `groups` has the group of each concept.
        """
        ends = _either(raw["clause_ends"])
        breakers = _either([*raw["breakers"], *raw["clause_ends"]])
        before = rf"(?:{_either(raw['before'])})(?:{_GAP}(?!(?:{breakers})\b)\w+){{0,3}}"
        if raw.get("right_before"):
            before = rf"(?:{before}|(?:{_either(raw['right_before'])}))"
        after = _either(raw["after"]).replace(r"\w+", rf"(?!(?:{ends})\b)\w+")
        lasting = frozenset(raw.get("lasting", ()))
        return cls(
            before=re.compile(rf"(?<!\w){before}{_GAP}$"),
            after=re.compile(rf"{_GAP}(?:{after})(?!\w)"),
            out_of_order=re.compile(rf"{_GAP}(?:{_either(raw.get('out_of_order', [_NOTHING]))})(?!\w)"),
            lasting=frozenset(concept for concept, group in groups.items() if {concept, group} & lasting),
            kept_by=re.compile(rf"{_GAP}(?:{_either(raw['kept_by'])})\b"),
        )

    def standing(self, folded: str, places: Sequence[tuple[str, int, int]]) -> list[bool]:
        """For each mention (concept, start, end), in order, whether it stands.

        A denial reaches along a list ("no sauna, pool or gym floor"), and back to a mention of the same concept
        just before it ("it says there is a pool, there is no pool").
        """
        before = [
            bool(self.before.search(folded, _clause_start(folded, max(floor, start - _WINDOW), start), start))
            for (_, start, _), floor in zip(places, (0, *(end for _, _, end in places)), strict=False)
        ]
        after = [self._denied_after(folded, concept, end) for concept, _, end in places]
        joined = [
            bool(_LIST_GAP.fullmatch(folded, left[2], right[1])) and right[1] - left[2] <= 20
            for left, right in pairwise(places)
        ]
        for i, linked in enumerate(joined):
            before[i + 1] = before[i + 1] or (linked and before[i])
        for i in range(len(joined) - 1, -1, -1):
            after[i] = after[i] or (joined[i] and after[i + 1])
        denied = [
            (b or a) and not self.kept_by.match(folded, place[2])
            for place, b, a in zip(places, before, after, strict=True)
        ]
        return [not no and not _taken_back(i, places, denied) for i, no in enumerate(denied)]

    def _denied_after(self, folded: str, concept: str, end: int) -> bool:
        if self.after.match(folded, end, end + _WINDOW):
            return True
        return concept not in self.lasting and bool(self.out_of_order.match(folded, end, end + _WINDOW))


def _taken_back(i: int, places: Sequence[tuple[str, int, int]], denied: Sequence[bool]) -> bool:
    """Whether the same concept is denied soon after mention `i`."""
    concept, _, end = places[i]
    for later in range(i + 1, len(places)):
        if places[later][1] - end > _SOON:
            break
        if denied[later] and places[later][0] == concept:
            return True
    return False


def _clause_start(folded: str, first: int, last: int) -> int:
    """Where the clause that goes on at `last` begins, not before `first`: a shorter text to search."""
    for end in _CLAUSE_ENDS:
        place = folded.rfind(end, first, last)
        if place >= 0:
            first = place + 1
    return first


def _either(cues: Iterable[str]) -> str:
    """The cues as one alternation, those of one first letter together: most places then cost one look a letter."""
    by_letter: dict[str, list[str]] = {}
    for part in (part for cue in cues for part in _unfold(cue)):
        letter = part[0] if part[0].isalpha() and part[1:2] not in tuple("?*+{") else ""
        by_letter.setdefault(letter, []).append(part[len(letter) :])
    return "|".join(f"{letter}(?:{'|'.join(rests)})" for letter, rests in by_letter.items()).replace(" ", _GAP)


def _unfold(cue: str) -> list[str]:
    """`(?:a|b)c` as `ac`, `bc`: an alternation of plain beginnings is skipped many times faster."""
    opening = re.match(r"\(\?:([^()]*)\)(?![?*+{])", cue)
    if not opening:
        return [cue]
    return [f"{start}{cue[opening.end() :]}" for start in opening[1].split("|")]
