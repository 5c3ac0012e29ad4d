"""One time of day as written, and what two of them say together: 24-hour, AM/PM, or AM/PM on one side.

Knows nothing of days or of lines.
"""

from dataclasses import dataclass
from typing import Literal

from gym_enrichment.domain.hours.week import MINUTES_PER_DAY, HoursError, Interval

Half = Literal["am", "pm"]

NOON_HOUR = 12


@dataclass(frozen=True, slots=True)
class Clock:
    """A time as written. `half` is its AM/PM, `style` how it was written.

    Styles: "bare" (`6`), "dot" (`6.00`), "colon" (`6:00`), "h" (`6h30`, always 24-hour), "word" (noon, midnight).
    """

    text: str
    hour: int
    minute: int
    style: Literal["bare", "dot", "colon", "h", "word"]
    half: Half | None = None

    @property
    def proves_24_hour_clock(self) -> bool:
        """Whether the writing itself cannot be an AM/PM time that lost its marker."""
        return self.style == "h" or self.hour == 0 or self.hour > NOON_HOUR

    @property
    def is_fixed(self) -> bool:
        """Whether the time has one reading, whatever the other side of the range says."""
        return self.half is not None or self.style == "word" or self.proves_24_hour_clock

    def minutes(self, half: Half | None = None, *, latest_hour: int = 24) -> int:
        """Minutes from midnight, read with its own AM/PM or else the given one; HoursError if impossible."""
        half = self.half or half
        if self.minute > 59:
            raise HoursError(f"{self.text!r} has impossible minutes")
        if half is None:
            if self.hour * 60 + self.minute > latest_hour * 60:
                raise HoursError(f"{self.text!r} is not a time of day")
            return self.hour * 60 + self.minute
        if not 1 <= self.hour <= NOON_HOUR:
            raise HoursError(f"{self.text!r} is not a 12-hour time")
        return (self.hour % NOON_HOUR + (NOON_HOUR if half == "pm" else 0)) * 60 + self.minute


def opening_between(start: Clock, end: Clock, *, twelve_hour: bool, latest_hour: int = 24) -> Interval:
    """The opening from `start` to `end`, past midnight when `end` is the earlier time.

    `twelve_hour` says the set these hours belong to uses AM/PM, so a time without it has lost it.
    `latest_hour` is 24, or 48 for OSM whose `22:00-26:00` closes at 2:00 the next day.
    Raises HoursError for impossible times, equal times, and times with two readings.
    """
    if start.half is None and end.half is None:
        _refuse_two_readings(start, end, twelve_hour)
        opening, closing = start.minutes(), end.minutes(latest_hour=latest_hour)
    elif start.is_fixed and end.is_fixed:
        opening, closing = start.minutes(), end.minutes()
    else:
        opening, closing = _with_shared_half(start, end)
    if opening == closing:
        raise HoursError(f"{start.text!r} and {end.text!r} are the same time")
    if opening >= MINUTES_PER_DAY:
        raise HoursError(f"{start.text!r} cannot be an opening time")
    return Interval(opening, closing if closing > opening else closing + MINUTES_PER_DAY)


def _with_shared_half(start: Clock, end: Clock) -> tuple[int, int]:
    """Read a range with AM/PM on one side only.

    Google Places writes AM/PM once when both sides share it (`3:00 – 9:00 PM`). When sharing it would run
    backwards (`11:00 – 2:00 PM`, `10:00 – 2:00 AM`), the other half is the only reading left.
    """
    if end.half is not None:
        closing = end.minutes()
        opening = start.minutes(end.half)
        return (opening if opening <= closing else start.minutes(_other(end.half))), closing
    assert start.half is not None
    opening = start.minutes()
    closing = end.minutes(start.half)
    return opening, (closing if closing >= opening else end.minutes(_other(start.half)))


def _other(half: Half) -> Half:
    return "pm" if half == "am" else "am"


def _refuse_two_readings(start: Clock, end: Clock, twelve_hour: bool) -> None:
    """Refuse a range without any AM/PM that a reader could take for morning or for evening."""
    numbers = [clock for clock in (start, end) if clock.style != "word"]
    if not numbers or any(clock.proves_24_hour_clock for clock in numbers):
        return
    written = f"{start.text!r} to {end.text!r}"
    if twelve_hour:
        raise HoursError(f"{written} has no AM or PM while other hours do")
    if all(clock.style == "bare" for clock in numbers):
        raise HoursError(f"{written} could be morning or evening")
    # `9:00 – 5:00` is a day's work in English and a night on a 24-hour clock; `09:00 – 05:00` is the latter.
    unpadded = any(clock.text[1:2] in ("", ":", ".") for clock in numbers)
    if unpadded and end.minutes(latest_hour=48) <= start.minutes():
        raise HoursError(f"{written} could be morning or evening")
