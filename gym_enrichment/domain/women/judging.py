"""Statements found in reviews and names, and the verdict that they make.

A woman coach, women's changing rooms, questions and ladies' discount nights say nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Literal

from gym_enrichment.domain.folding import fold
from gym_enrichment.domain.sieve import Sieve
from gym_enrichment.domain.women import words

_PLACE_REACH = 30  # characters before a statement that may name the place it is about
_SIEVE = Sieve([(*words.HINTS, *words.WOMEN_ROOTS)])


@dataclass(frozen=True, slots=True)
class WomenStatement:
    """`text[start:end]` says yes or no; `hours` are the times it states, as they are written."""

    start: int
    end: int
    verdict: Literal["yes", "no"]
    hours: str | None


def may_speak_of_women(folded_words: Set[str]) -> bool:
    """Whether a text of these folded words may have statements or hints: a look that costs next to nothing.

    The words are all runs of word characters of the folded text.
    """
    return bool(_SIEVE.passing(folded_words))


def women_only_statements(text: str) -> list[WomenStatement]:
    """Every statement of a review that there are, or are not, hours or a space for women only.

    "yes" for a space, section, floor, classes or hours kept for women; "no" for a denial, a wish, a removal or a
    mixed gym. A question, another gym, changing rooms, staff and discounts give nothing. Linear in the text.
    """
    folded = fold(text[: words.LONGEST])
    hints = [hint for hint in words.HINTS if hint in folded]
    return _statements(text, folded, hints) if hints else []


def _statements(
    text: str, folded: str, hints: Collection[str], about: re.Pattern[str] | None = None
) -> list[WomenStatement]:
    """The statements in the sentences that hold one of the hints, and `about` if it is given."""
    folded = folded.replace("’", "'")
    found: list[tuple[tuple[int, int], str]] = []
    for first, last in _sentences(folded, hints):
        if about and not about.search(folded, first, last):
            continue
        yes = [match.span() for match in words.YES_RE.finditer(folded, first, last)]
        no = [match.span() for match in words.NO_RE.finditer(folded, first, last)]
        found += [(span, "yes") for span in yes]
        found += [(span, "no") for span in no if not _overlaps(span, yes)]
    statements = []
    for (start, end), said in sorted(found):
        verdict = _judge(folded, start, end, said)
        if verdict:
            statements.append(WomenStatement(start, end, verdict, _hours(text, folded, start, end)))
    return statements


def women_only_places(text: str, folded: str, folded_words: Iterable[str]) -> list[WomenStatement]:
    """The statements that are about a place kept for women (a room, a floor, the gym), not about hours alone.

    `folded` is the text folded, `folded_words` are its words: a look at them costs next to nothing where none
    speaks of women.
    """
    spoken = words.WOMEN.intersection(folded_words)
    if not spoken:
        return []
    folded = folded[: words.LONGEST]
    return [
        found
        for found in _statements(text, folded, spoken, words.A_PLACE)
        if not words.NO_RE.fullmatch(folded, found.start, found.end) and _is_a_place(folded, found)
    ]


def _is_a_place(folded: str, found: WomenStatement) -> bool:
    before = words.SENTENCE_END.split(folded[max(0, found.start - _PLACE_REACH) : found.start])[-1]
    said = before + folded[found.start : found.end]
    return bool(words.A_PLACE.search(said)) and not words.A_TIME.search(said)


def women_hints(folded: str) -> list[tuple[int, bool]]:
    """Where folded text (`amenities.fold`) speaks of women, or of who may come, though it may state nothing.

    Each place comes with whether its surroundings speak of hours, space or exclusion too, as a statement would.
    """
    if not any(map(folded.__contains__, words.WOMEN_ROOTS)):
        return []
    return [
        (
            found.start(),
            bool(words.HINT_CUES.search(folded, max(0, found.start() - words.REACH), found.end() + words.REACH)),
        )
        for found in words.WOMEN_WORDS.finditer(folded)
    ]


def women_only_name(name: str) -> bool:
    """Whether a gym's own name says it is for women ("Ladies Gym", "Que pour Femmes"), and not for men as well."""
    folded = fold(name)
    return bool(words.NAME_YES.search(folded)) and not words.NAME_MEN.search(folded)


def women_only_verdict(
    statements_per_review: Iterable[Sequence[WomenStatement]], name: str = ""
) -> Literal["yes", "no", "unknown"]:
    """One verdict from the statements of each review of a gym, and its name.

    The name decides when it speaks. Else each review has one voice (yes when it says yes at least as often as no:
    "mixed, but with a women's room"), the majority wins, and a tie stays unknown.
    """
    if women_only_name(name):
        return "yes"
    balance, voices = 0, 0
    for statements in statements_per_review:
        if statements:
            yes = sum(statement.verdict == "yes" for statement in statements)
            balance += 1 if yes * 2 >= len(statements) else -1
            voices += 1
    if not voices or not balance:
        return "unknown"
    return "yes" if balance > 0 else "no"


def _sentences(folded: str, hints: Collection[str]) -> Iterator[tuple[int, int]]:
    """The sentences that hold one of the hints: the others hold no statement."""
    first = 0
    for last in (*(match.start() for match in words.SENTENCE_END.finditer(folded)), len(folded)):
        sentence = folded[first:last]
        if any(map(sentence.__contains__, hints)):
            yield first, last
        first = last + 1


def _overlaps(span: tuple[int, int], others: Iterable[tuple[int, int]]) -> bool:
    return any(span[0] < end and start < span[1] for start, end in others)


def _judge(folded: str, start: int, end: int, said: str) -> Literal["yes", "no"] | None:
    before = words.SENTENCE_END.split(folded[max(0, start - words.REACH) : start])[-1]
    rest = folded[end : end + 2 * words.REACH]
    stop = words.SENTENCE_END.search(rest)
    after = rest[: stop.start()] if stop else rest
    asked = stop and stop[0] in "?؟" and (stop.start() <= words.ASKED_SOON or words.ASKED.search(before))
    if asked or words.ELSEWHERE.search(before):
        return None
    if words.LOOKED_FOR.search(before):
        return "no" if words.ANSWERED_NO.match(after) else None
    if words.NOT_A_GYM.match(after) or words.CHANGING_BEFORE.search(before):
        return None
    if said == "no":
        return "no"
    matched = folded[start:end]
    if (words.WOMEN_FIRST.match(matched) and words.MEN_TOO.search(before)) or words.NIGHT_OUT.search(before + after):
        return None
    if words.PRAISE.search(before) and words.FOR.search(matched) and not words.KEPT.search(matched + after[:15]):
        return None
    refused = any(rule.search(before) for rule in (words.DENIED, words.WISHED, words.GONE))
    if not refused:
        refused = bool(words.WISHED_AFTER.match(after) or words.GONE_AFTER.match(rest[: words.REACH]))
    if re.search(rf"\b{words.CHANGING}\b", matched):
        return None
    return "no" if refused else "yes"


def _hours(text: str, folded: str, start: int, end: int) -> str | None:
    """The times stated in the sentence after the statement, else before it, as written."""
    match = words.HOURS.search(folded, start, min(len(folded), end + words.REACH))
    if match and not words.SENTENCE_END.search(folded, end, max(end, match.start())):
        return text[match.start() : match.end()].strip()
    earlier = list(words.HOURS.finditer(folded, max(0, start - words.REACH // 2), start))
    if earlier and not words.SENTENCE_END.search(folded[earlier[-1].end() : start]):
        return text[earlier[-1].start() : earlier[-1].end()].strip()
    return None
