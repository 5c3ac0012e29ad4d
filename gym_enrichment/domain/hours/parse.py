"""Opening hours read from the lines a source gives: Google Places, people's own words, or OSM.

A line that has two readings is refused: nothing here may make up a time.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from gym_enrichment.domain.hours.clock import Clock, opening_between
from gym_enrichment.domain.hours.osm import is_osm, refuse_unweekly_words
from gym_enrichment.domain.hours.tokens import PUBLIC_HOLIDAY, Kind, Token, tokens
from gym_enrichment.domain.hours.week import DAYS_PER_WEEK, WHOLE_DAY, Day, HoursError, Interval, Week, in_order

MAX_CHARACTERS = 2_000
MAX_LINES = 50

_EVERY_DAY = frozenset(range(DAYS_PER_WEEK))
_OSM_LATEST_HOUR = 48


class _Statement(NamedTuple):
    """What one line says of some days (PUBLIC_HOLIDAY may be among them)."""

    days: frozenset[int]
    hours: Day
    line: str


def split_hours_text(text: str) -> list[str]:
    """Cut one text into the lines `parse_hours` takes: at line breaks and semicolons, blanks dropped.

    A text that is OSM as a whole stays in one piece, since its semicolons mean "except" (`24/7; Su off`).
    """
    whole = text.strip().rstrip(";").rstrip()
    if len(text) <= MAX_CHARACTERS and is_osm(whole):
        return [whole]
    pieces = (piece.strip() for line in text.splitlines() for piece in line.split(";"))
    return [piece for piece in pieces if piece]


def parse_hours(lines: Sequence[str]) -> Week:
    """Read opening hours as the sources write them.

    Takes Google Places lines in English or French (`Friday: 3:00 – 9:00 PM`, `lundi: 06:00 – 22:00`, with any
    space or dash, days joined or fused, AM/PM on one side), the same in Spanish and Arabic (`lunes a viernes de
    9:00 a 14:00 y de 17:00 a 22:00`), or OSM `opening_hours` rules. Gives the Week; a day nobody states is None,
    and so is every day of an empty list.

    A day stated twice: the same hours are fine. Two lines about exactly the same days whose times do not
    overlap are split hours and are joined; all else is refused, since one line may correct the other. Inside
    one OSM string a later rule replaces an earlier one, as OSM says (`Mo-Su 06:00-22:00; Su off`).

    Raises HoursError, naming the line, for what is not understood, impossible times, times with two readings
    (`9 – 5`), OSM rules a Week cannot hold, and more than MAX_LINES lines or MAX_CHARACTERS characters.
    """
    if len(lines) > MAX_LINES or sum(map(len, lines)) > MAX_CHARACTERS:
        raise HoursError(f"more than {MAX_LINES} lines or {MAX_CHARACTERS} characters of opening hours")
    pieces = [piece for line in lines for piece in split_hours_text(line)]
    if len(pieces) > MAX_LINES:
        raise HoursError(f"more than {MAX_LINES} lines of opening hours")
    # All or nothing: "mar 08:00-12:00" is March in OSM, but not next to "lun 08:00-12:00".
    read = _osm_statements if all(map(is_osm, pieces)) else _human_statements
    return Week(_merged(read(pieces)))


def _human_statements(lines: Sequence[str]) -> list[_Statement]:
    cut: list[tuple[str, list[Token]]] = []
    for line in lines:
        with _naming(line):
            cut.append((line, tokens(line)))
    # AM/PM anywhere in the set means that a time without it has lost it.
    twelve_hour = any(token.clock and token.clock.half for _, found in cut for token in found)
    statements: list[_Statement] = []
    for line, found in cut:
        with _naming(line):
            statements += _LineReader(line, found, twelve_hour=twelve_hour).statements()
    return statements


def _osm_statements(texts: Sequence[str]) -> list[_Statement]:
    """Read OSM strings: rules between semicolons, of which a later one replaces an earlier one's days."""
    statements: list[_Statement] = []
    for text in texts:
        hours: dict[int, Day] = {}
        with _naming(text):
            refuse_unweekly_words(text)
            for rule in filter(str.strip, text.split(";")):
                hours |= _added(_LineReader(text, tokens(rule), osm=True).statements())
        for day_hours in dict.fromkeys(hours.values()):
            days = frozenset(day for day in hours if hours[day] == day_hours)
            statements.append(_Statement(days, day_hours, text))
    return statements


def _added(statements: Iterable[_Statement]) -> dict[int, Day]:
    """The days of one OSM rule, whose comma adds openings (`Mo-Fr 09:00-12:00, Mo 14:00-18:00`)."""
    added: dict[int, Day] = {}
    for days, hours, _ in statements:
        for day in days:
            added[day] = _joined(added[day], hours) if day in added else hours
    return added


def _merged(statements: Iterable[_Statement]) -> tuple[Day, ...]:
    """One entry a day from all the lines, by the rule of `parse_hours` for a day stated twice."""
    week: list[Day] = [None] * DAYS_PER_WEEK
    stated: dict[int, list[_Statement]] = {}
    for statement in statements:
        days, hours, line = statement
        for day in days - {PUBLIC_HOLIDAY}:
            before = stated.setdefault(day, [])
            if all(hours != other.hours for other in before):
                with _naming(line):
                    if any(days != other.days for other in before):
                        raise HoursError("states a day again with other hours")
                    week[day] = _joined(week[day], hours) if before else hours
                before.append(statement)
    return tuple(week)


def _joined(hours: Day, more: Day) -> Day:
    """The split hours of one day stated twice; HoursError unless both are times and do not overlap."""
    if hours == more:
        return hours
    if not hours or not more:
        raise HoursError("states a day again with other hours")
    return in_order(hours + more)


@contextmanager
def _naming(line: str) -> Iterator[None]:
    """Put the offending line, cut to a readable length, in front of an HoursError raised inside."""
    try:
        yield
    except HoursError as error:
        raise HoursError(f"{line[:80]!r}: {error}") from None


class _LineReader:
    """Reads the tokens of one line: days then hours, as many times as the line says."""

    def __init__(self, line: str, found: Sequence[Token], *, twelve_hour: bool = False, osm: bool = False) -> None:
        self._line = line
        self._tokens = found
        self._at = 0
        self._twelve_hour = twelve_hour
        self._osm = osm

    def statements(self) -> list[_Statement]:
        """All that the line states; HoursError when any of it does not fit."""
        if not self._next_is("day", "every day"):
            return [self._without_days()]
        read = []
        while self._next_is("day", "every day"):
            days = self._days()
            # At most one separator between the days and their hours.
            self._skip("colon", "comma", "dash")
            read.append(self._statement(days, self._hours()))
            if self._next_is("day", "every day", ahead=1):
                self._skip("comma", "and")
        self._refuse_rest()
        return read

    def _without_days(self) -> _Statement:
        """Hours for every day: `24/7`, `24h/24 7j/7`, and OSM times without a selector (`08:00-20:00`)."""
        first = self._peek()
        if first is None:
            raise HoursError("states no hours")
        seven_days = first.kind == "all day" and first.text.endswith("7")
        if not seven_days and first.kind == "all day" and self._next_is("every day", "comma", ahead=1):
            self._take("all day")
            self._skip("comma")
            self._take("every day")
            self._refuse_rest()
            return _Statement(_EVERY_DAY, WHOLE_DAY, self._line)
        if not seven_days and not (self._osm and first.kind == "clock"):
            raise HoursError("does not begin with a day")
        hours = self._hours()
        self._skip("every day")
        self._refuse_rest()
        return _Statement(_EVERY_DAY, hours, self._line)

    def _statement(self, days: frozenset[int], hours: Day) -> _Statement:
        # Holidays are outside the week: closing on them may be left out, opening on them only may not.
        if days == {PUBLIC_HOLIDAY} and hours != ():
            raise HoursError("opens on public holidays only, which a week cannot hold")
        return _Statement(days, hours, self._line)

    def _days(self) -> frozenset[int]:
        """The days of a statement, `every day except Friday` among them: of that Friday nothing is stated."""
        days = _EVERY_DAY if self._skip("every day") else self._named_days()
        if not self._skip("except"):
            return days
        excepted = self._named_days()
        if not excepted < days:
            raise HoursError("excepts days that it does not name")
        return days - excepted

    def _named_days(self) -> frozenset[int]:
        """`Monday`, `Mon-Fri`, `Sat & Sun`, `lundi, mercredi-vendredi`."""
        days: set[int] = set()
        while True:
            first = self._take("day").day
            if self._next_is("dash") and self._next_is("day", ahead=1):
                self._take("dash")
                days |= _days_from_to(first, self._take("day").day)
            days.add(first)
            if not (self._next_is("comma", "and") and self._next_is("day", ahead=1)):
                return frozenset(days)
            self._skip("comma", "and")

    def _hours(self) -> Day:
        if self._skip("closed"):
            return ()
        if self._skip("unknown"):
            return None
        if self._skip("all day"):
            return WHOLE_DAY
        openings = [self._opening()]
        while self._next_is("comma", "and") and self._next_is("clock", ahead=1):
            self._skip("comma", "and")
            openings.append(self._opening())
        return in_order(openings)

    def _opening(self) -> Interval:
        start = self._clock()
        if not self._skip("dash") and self._next_is("clock"):
            # Some sources lose the dash ("6:00 AM 10:00 PM"); bare or dotted numbers could then be anything.
            self._refuse_bare(start, self._tokens[self._at])
        latest_hour = _OSM_LATEST_HOUR if self._osm else 24
        return opening_between(start, self._clock(), twelve_hour=self._twelve_hour, latest_hour=latest_hour)

    def _clock(self) -> Clock:
        clock = self._take("clock").clock
        assert clock is not None
        return clock

    def _refuse_bare(self, start: Clock, end: Token) -> None:
        assert end.clock is not None
        for clock in (start, end.clock):
            if clock.style in ("bare", "dot") and clock.half is None:
                raise HoursError(f"{clock.text!r} without a dash is not a time")

    def _peek(self, ahead: int = 0) -> Token | None:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else None

    def _next_is(self, *kinds: Kind, ahead: int = 0) -> bool:
        token = self._peek(ahead)
        return token is not None and token.kind in kinds

    def _skip(self, *kinds: Kind) -> bool:
        found = self._next_is(*kinds)
        self._at += found
        return found

    def _take(self, kind: Kind) -> Token:
        token = self._peek()
        expected = "a time" if kind == "clock" else f"a {kind}"
        if token is None:
            raise HoursError(f"ends where {expected} is expected")
        if token.kind != kind:
            raise HoursError(f"{token.text!r} stands where {expected} is expected")
        self._at += 1
        return token

    def _refuse_rest(self) -> None:
        rest = self._peek()
        if rest is not None:
            raise HoursError(f"{rest.text!r} is not understood there")


def _days_from_to(first: int, last: int) -> set[int]:
    """Days from one to another, over the end of the week if need be (`Fri-Mon`)."""
    if first == last or PUBLIC_HOLIDAY in (first, last):
        raise HoursError("a range of days needs two different days of the week")
    days = (last - first) % DAYS_PER_WEEK + 1
    return {(first + step) % DAYS_PER_WEEK for step in range(days)}
