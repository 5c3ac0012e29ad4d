"""When a review was written: a day, or only words such as "il y a 2 semaines".

What must not live here: guessing a day from such words; nobody knows when they were true.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from gym_enrichment.domain.raw_values import RowError, check_storable, shown

EARLIEST_YEAR = 1990
"""No customer review on the web is older than the web."""
FUTURE = timedelta(days=2)
"""Clocks and time zones differ by less; a later date is a mistake."""
WORDS_LENGTH = 200

# 11 digits of seconds are the year 5138: longer numbers count milliseconds.
_MILLISECONDS = 10**11
_EPOCH = re.compile(r"\d{9,10}|\d{12,13}", re.ASCII)
_STARTS_LIKE_DATE = re.compile(r"\s*[+-]?\d{1,4}\s*[-/.:]\s*\d|\s*[+-]?[\d.,]+\s*$", re.ASCII)
_RELATIVE = re.compile(
    r"\d+\s*[^\W\d]|\b(ago|last|now|today|yesterday|il y a|hier|aujourd|instant|derni|hace|ayer|hoy|vor|"
    r"gestern|heute|fa|ieri|oggi|há|atrás|ontem|hoje|geleden|gisteren|temu|назад|önce|siden|sedan)\b"
    r"|derni[eè]r|il y a|[前日月年]|منذ|قبل|전|לפני",
    re.IGNORECASE,
)


def published(value: Any, words: Any, now: datetime, field: str = "published_at") -> tuple[datetime | None, str | None]:
    """When a review was written, from its date column and its column of words (either may be empty).

    Args:
        value: ISO date or datetime (naive: UTC), seconds or milliseconds since 1970, or relative words.
        words: a date as the source prints it; an ISO date in it counts when `value` has none.
        now: what "in the future" is measured from.

    Returns:
        The moment in UTC or None, and the words or None.

    Raises:
        RowError: not a date, an impossible one, before 1990 or more than two days from now.
    """
    moment, said = _moment_or_words(value, now, field, any_words=False)
    other_moment, other_said = _moment_or_words(words, now, "published_raw", any_words=True)
    return moment or other_moment, said or other_said


def _moment_or_words(value: Any, now: datetime, field: str, any_words: bool) -> tuple[datetime | None, str | None]:
    if value is None:
        return None, None
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None, None
        if not _STARTS_LIKE_DATE.match(text) and (any_words or _RELATIVE.search(text)):
            return None, _checked_words(value, field)
    try:
        return _in_range(_moment(value), value, now, field), None
    except (ValueError, OverflowError, OSError) as error:
        if isinstance(error, RowError):
            raise
        raise RowError(
            f"{field}: {shown(value)} is not a date; expected an ISO date such as 2024-05-31, or relative"
            " words such as '3 months ago'"
        ) from None


def _checked_words(value: str, field: str) -> str:
    check_storable(value, field)
    if len(value) > WORDS_LENGTH:
        raise RowError(
            f"{field}: has {len(value):,} characters, starting {shown(value)}; expected a date"
            f" or at most {WORDS_LENGTH} characters"
        )
    return value


def _moment(value: Any) -> datetime:
    """The moment in UTC; ValueError when there is none."""
    if isinstance(value, str):
        text = value.strip()
        value = int(text) if _EPOCH.fullmatch(text) else datetime.fromisoformat(text.removesuffix(" UTC"))
    if isinstance(value, datetime):
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a date")  # noqa: TRY004 (the caller words the reason)
    return datetime.fromtimestamp(value / 1000 if abs(value) >= _MILLISECONDS else value, UTC)


def _in_range(moment: datetime, value: Any, now: datetime, field: str) -> datetime:
    if moment.year < EARLIEST_YEAR:
        raise RowError(f"{field}: {shown(value)} is before {EARLIEST_YEAR}; expected the day of a review")
    if moment > now + FUTURE:
        raise RowError(f"{field}: {shown(value)} is in the future; expected the day of a review")
    return moment
