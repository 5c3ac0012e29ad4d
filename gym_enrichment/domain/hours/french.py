"""A `Week` printed in French: the seven lines of Google Places, or one sentence.

Prints only what the week holds.
"""

from collections.abc import Sequence

from gym_enrichment.domain.hours.week import (
    DAYS_PER_WEEK,
    MINUTES_PER_DAY,
    WHOLE_DAY,
    Interval,
    Week,
    days_by_hours,
)

_DAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")

# Google Places puts a thin space on both sides of an en dash.
_GOOGLE_DASH = "\u2009–\u2009"
_NO_BREAK = "\u00a0"

NOT_STATED = "Non communiqué"
"""What the directory says of hours that nobody stated."""


def french_lines(week: Week) -> list[str]:
    """The lines Google Places prints in French, Monday first: `lundi: 06:00 – 22:00`, `mardi: Fermé`.

    Unknown days are left out. `parse_hours(french_lines(week)) == week`.
    """
    return [f"{name}: {_google_day(day)}" for name, day in zip(_DAYS, week.days, strict=True) if day is not None]


def _google_day(day: tuple[Interval, ...]) -> str:
    if not day:
        return "Fermé"
    if day == WHOLE_DAY:
        return "Ouvert 24h/24"
    return ", ".join(_google_time(opening.start) + _GOOGLE_DASH + _google_time(opening.end) for opening in day)


def _google_time(minute: int) -> str:
    return f"{minute % MINUTES_PER_DAY // 60:02}:{minute % 60:02}"


def french_sentence(week: Week) -> str:
    """One French sentence, days with equal hours together, unknown days left out.

    `Ouvert du lundi au jeudi de 6 h à 22 h et le samedi de 8 h à 20 h ; fermé le vendredi.` It never says
    "week-end": that is Friday and Saturday in some of the countries of the directory. A week of unknown
    days is `Horaires non communiqués.`
    """
    if week.is_unknown:
        return "Horaires non communiqués."
    if week.days == (WHOLE_DAY,) * DAYS_PER_WEEK:
        return f"Ouvert 24{_NO_BREAK}h/24, 7{_NO_BREAK}j/7."
    parts = []
    openings = [(hours, days) for hours, days in days_by_hours(week).items() if hours]
    if openings:
        split = any(len(hours) > 1 for hours, _ in openings)
        groups = [f"{_days(days)} {_hours(hours)}" for hours, days in openings]
        # "de 7 h à 13 h et de 19 h à minuit, et le mardi ...": the comma tells the two "et" apart.
        parts.append("ouvert " + _joined(groups, ", et " if split else " et "))
    closed = days_by_hours(week).get(())
    if closed:
        parts.append(f"fermé {_days(closed)}")
    sentence = f"{_NO_BREAK}; ".join(parts) + "."
    return sentence[0].upper() + sentence[1:]


def _days(days: list[int]) -> str:
    if len(days) == DAYS_PER_WEEK:
        return "tous les jours"
    phrases: list[str] = []
    for run in _runs(days):
        if len(run) > 2:
            phrases.append(f"du {_DAYS[run[0]]} au {_DAYS[run[-1]]}")
        else:
            phrases.extend(f"le {_DAYS[day]}" for day in run)
    return _joined(phrases)


def _runs(days: list[int]) -> list[list[int]]:
    """Days that follow each other, Sunday being followed by Monday (`du samedi au jeudi`)."""
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    around = len(runs) > 1 and runs[0][0] == 0 and runs[-1][-1] == DAYS_PER_WEEK - 1
    # Only worth it when it makes a range: "le lundi et le dimanche" stays in the order of the week.
    if around and len(runs[0]) + len(runs[-1]) > 2:
        runs[0] = runs.pop() + runs[0]
    return runs


def _hours(day: tuple[Interval, ...]) -> str:
    if day == WHOLE_DAY:
        return f"24{_NO_BREAK}h/24"
    return _joined([f"de {_time(opening.start)} à {_time(opening.end)}" for opening in day])


def _time(minute: int) -> str:
    hour, minutes = divmod(minute % MINUTES_PER_DAY, 60)
    if hour == minutes == 0:
        return "minuit"
    return f"{hour}{_NO_BREAK}h" + (f"{_NO_BREAK}{minutes:02}" if minutes else "")


def _joined(phrases: Sequence[str], last: str = " et ") -> str:
    if len(phrases) == 1:
        return phrases[0]
    return ", ".join(phrases[:-1]) + last + phrases[-1]
