"""The week of opening hours and what makes one valid.

No reading of text and no printing here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

MINUTES_PER_DAY = 24 * 60
DAYS_PER_WEEK = 7


class HoursError(ValueError):
    """Opening hours that cannot be read, or held by a `Week`, without guessing."""


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """One opening, in minutes from midnight of the day it starts on.

    `end` is above 1440 when it closes after midnight. Shorter than 24 hours, except the whole day 0..1440.
    Raises HoursError when the two minutes are no such opening.
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        starts_today = 0 <= self.start < MINUTES_PER_DAY
        lasts = self.end - self.start
        if not starts_today or not (0 < lasts < MINUTES_PER_DAY or self.is_whole_day):
            raise HoursError(f"no opening can run from minute {self.start} to minute {self.end}")

    @property
    def is_whole_day(self) -> bool:
        """Whether this is the whole day, 0:00 to 24:00."""
        return (self.start, self.end) == (0, MINUTES_PER_DAY)


# () is closed all day, None is a day nobody stated.
Day: TypeAlias = tuple[Interval, ...] | None

WHOLE_DAY: tuple[Interval, ...] = (Interval(0, MINUTES_PER_DAY),)


@dataclass(frozen=True, slots=True)
class Week:
    """The opening hours of seven days, Monday first.

    Each day is a tuple of intervals in order and without overlap: `()` is closed, `None` unknown.
    Raises HoursError when there are not seven days or a day's intervals overlap or are out of order.
    """

    days: tuple[Day, ...]

    def __post_init__(self) -> None:
        if len(self.days) != DAYS_PER_WEEK:
            raise HoursError(f"a week has 7 days, not {len(self.days)}")
        for day in self.days:
            if day is not None and day != in_order(day):
                raise HoursError("the openings of a day must be in order")

    @property
    def is_unknown(self) -> bool:
        """Whether no day at all is stated."""
        return all(day is None for day in self.days)


def in_order(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """The openings of one day, earliest first; HoursError when two overlap (touching is fine)."""
    ordered = tuple(sorted(intervals))
    for earlier, later in pairwise(ordered):
        if later.start < earlier.end:
            raise HoursError("two openings of the same day overlap")
    return ordered


def days_by_hours(week: Week) -> dict[Day, list[int]]:
    """The days that share the same hours, in the order of their first day (0 is Monday)."""
    groups: dict[Day, list[int]] = {}
    for index, day in enumerate(week.days):
        groups.setdefault(day, []).append(index)
    return groups
