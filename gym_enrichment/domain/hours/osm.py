"""OSM `opening_hours`: telling one apart, and printing one.

The syntax is https://wiki.openstreetmap.org/wiki/Key:opening_hours/specification; the library
`opening_hours` is the judge of what is valid. Reading the rules is the parser's work.
"""

import re

import opening_hours

from gym_enrichment.domain.hours.week import MINUTES_PER_DAY, WHOLE_DAY, Day, HoursError, Week, days_by_hours

_DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")

# The words of the weekly rules a Week can hold. "Mar" is March in OSM and mardi in French: it is not here.
_WEEKLY_WORDS = {*(day.lower() for day in _DAYS), "ph", "off", "closed", "open", "unknown"}


def is_osm(text: str) -> bool:
    """Whether the text is valid OSM `opening_hours` syntax; False for anything else, never an error."""
    # The library accepts blanks as "24/7", and plain ASCII is all it is asked about: a quoted comment in
    # another alphabet is refused by the parser like every comment.
    return bool(text.strip()) and text.isascii() and opening_hours.validate(text.strip())


def refuse_unweekly_words(text: str) -> None:
    """HoursError when valid OSM text names a month, a season, a sun event: what a Week cannot hold."""
    for word in re.findall(r"[a-z]+", text.lower()):
        if word not in _WEEKLY_WORDS:
            raise HoursError(f"the OSM word {word!r} does not fit a plain week")


def osm_string(week: Week) -> str:
    """The week as a canonical OSM string: `Mo-Th 06:00-22:00; Fr 15:00-21:00; Sa-Su off`, or `24/7`.

    Days with equal hours share a rule. An unknown day is written `unknown`, since OSM takes a day left
    out for a closed one. `parse_hours([osm_string(week)]) == week`.

    Some OSM evaluators, `opening_hours` among them, let the next day's rule cut an opening that runs past
    midnight: read such a string back with `parse_hours`.
    """
    groups = days_by_hours(week)
    if list(groups) == [WHOLE_DAY]:
        return "24/7"
    return "; ".join(f"{_selector(days)} {_hours(hours)}" for hours, days in groups.items())


def _selector(days: list[int]) -> str:
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(_DAYS[run[0]] if len(run) == 1 else f"{_DAYS[run[0]]}-{_DAYS[run[-1]]}" for run in runs)


def _hours(day: Day) -> str:
    if day is None:
        return "unknown"
    return ",".join(f"{_time(opening.start)}-{_time(_end(opening.end))}" for opening in day) or "off"


def _end(minute: int) -> int:
    return minute if minute <= MINUTES_PER_DAY else minute - MINUTES_PER_DAY


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
