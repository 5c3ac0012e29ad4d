"""What is published of a gym's opening hours: its source's, parsed; or an LLM's reading that holds the same times.

What must not live here: asking (prompts/).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from gym_enrichment.domain.hours.french import NOT_STATED, french_lines, french_sentence
from gym_enrichment.domain.hours.osm import osm_string
from gym_enrichment.domain.hours.parse import parse_hours, split_hours_text
from gym_enrichment.domain.hours.week import MINUTES_PER_DAY, WHOLE_DAY, HoursError, Week

HoursStatus = Literal["parsed", "verified", "not_stated", "unverified"]

_CLOCK = re.compile(
    r"(?<![\d.,:])(?P<hour>[01]?\d|2[0-4])"
    r"(?:\s?(?:h(?:eures?|rs?)?|[:.](?=\d))\s?(?P<minute>[0-5]\d)?)?"
    r"\s?(?P<half>[ap]\.?\s?m\b\.?)?(?![\d%€$])",
    re.IGNORECASE,
)
_MINUTES_OF_HALF_A_DAY = 720
_MIDNIGHT = re.compile(r"minuit|midnight|medianoche|منتصف", re.IGNORECASE)
_NOON = re.compile(r"\b(?<!apr[eè]s[- ])midi\b|\bnoon\b|mediod[ií]a|الظهر", re.IGNORECASE)
_CLOSED = re.compile(
    r"ferm|clos|sauf|except|hors|\boff\b|repos|cerrad|salvo|excepto|مغلق|ماعدا|عدا|إلا|msaker|mghal", re.IGNORECASE
)
_WHOLE_DAY = re.compile(r"24|non[- ]?stop|jour et nuit|day and night|round the clock", re.IGNORECASE)
_ROUND_THE_CLOCK = re.compile(r"\b24\s?h?(?:eures|rs)?\s?(?:/|sur)\s?(?:24|7)(?:\s?h(?:eures)?)?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class StatedHours:
    """Opening hours as they are published.

    Args:
        french: the seven French lines as Google prints them, joined by "; "; NOT_STATED when there are none.
        sentence: one French sentence that groups equal days; None when nothing is stated.
        osm: the OSM `opening_hours` string, likewise.
        status: `parsed` from the source, `verified` (an LLM's reading that holds the source's times),
            `not_stated` by the source, or `unverified`: nobody could read them, so that nothing is published.
        reason: why they are unverified; quotes nothing.
    """

    french: str
    sentence: str | None
    osm: str | None
    status: HoursStatus
    reason: str | None = None


def stated_hours(lines: Sequence[str]) -> StatedHours | None:
    """The hours that the lines of a source state; None when there are lines that the parser cannot read."""
    return _stated(tuple(line for line in lines if line.strip()))


@lru_cache(maxsize=4_096)
def _stated(lines: tuple[str, ...]) -> StatedHours | None:
    if not lines:
        return StatedHours(NOT_STATED, None, None, "not_stated")
    try:
        week = parse_hours(lines)
    except HoursError:
        return None
    return _published(week, "parsed") or StatedHours(NOT_STATED, None, None, "not_stated")


def translated_hours(lines: Sequence[str], answer: str | None) -> StatedHours:
    """The LLM's reading of lines that the parser cannot read, if it holds just the times that stand in them."""
    if not answer or answer.strip().rstrip(".").casefold() == NOT_STATED.casefold():
        return _unverified("the source's hours cannot be read")
    try:
        week = parse_hours(split_hours_text(answer))
    except HoursError:
        return _unverified("the source's hours cannot be read, and neither can the LLM's")
    reason = _invented("\n".join(lines), week)
    return _unverified(reason) if reason else _published(week, "verified") or _unverified("the LLM states no hours")


def times_in(text: str) -> set[int]:
    """The times that stand in a text as times ("8 h", "22:30", not "24h/24"), in minutes of the day."""
    return _times(_ROUND_THE_CLOCK.sub(" ", text))[0]


def times_stated(lines: Sequence[str]) -> set[int]:
    """The times that the lines of a source name or may name, in minutes of the day."""
    return _times("\n".join(lines))[1]


def _published(week: Week, status: HoursStatus) -> StatedHours | None:
    if week.is_unknown:
        return None
    return StatedHours("; ".join(french_lines(week)), french_sentence(week), osm_string(week), status)


def _unverified(reason: str) -> StatedHours:
    return StatedHours(NOT_STATED, None, None, "unverified", reason)


def _invented(source: str, week: Week) -> str | None:
    """What the week states that the source does not, or the other way round; None if it is the same."""
    stated = [day for day in week.days if day is not None]
    if any(day == WHOLE_DAY for day in stated) and not _WHOLE_DAY.search(source):
        return "the LLM opens all day, the source does not say so"
    if any(day == () for day in stated) and not _CLOSED.search(source):
        return "the LLM closes on a day, the source does not say so"
    openings = [opening for day in stated if day != WHOLE_DAY for opening in day]
    times = {minute % MINUTES_PER_DAY for opening in openings for minute in (opening.start, opening.end)}
    explicit, possible = _times(source)
    if not times <= possible:
        return "the LLM names a time that the source does not"
    if not explicit <= times:
        return "the source names a time that the LLM left out"
    return None


def _times(source: str) -> tuple[set[int], set[int]]:
    """Minutes of the day that stand in a text: written as times, and all that its numbers may mean."""
    explicit = {0} if _MIDNIGHT.search(source) else set()
    explicit |= {_MINUTES_OF_HALF_A_DAY} if _NOON.search(source) else set()
    possible = set(explicit)
    twelve_hour = bool(re.search(r"\d\s?[ap]\.?\s?m\b", source, re.IGNORECASE))
    for found in _CLOCK.finditer(source):
        minute = int(found["hour"]) % 24 * 60 + int(found["minute"] or 0)
        if found["half"]:
            minute = minute % _MINUTES_OF_HALF_A_DAY
            minute += _MINUTES_OF_HALF_A_DAY if found["half"][0] in "pP" else 0
            explicit.add(minute)
            possible.add(minute)
            continue
        possible |= {minute, (minute + _MINUTES_OF_HALF_A_DAY) % MINUTES_PER_DAY} if twelve_hour else {minute}
        if len(found[0].strip()) > len(found["hour"]) and not twelve_hour:
            explicit.add(minute)
    return explicit, possible
