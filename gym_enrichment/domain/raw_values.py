"""From an untyped value of a row to the value a gym or review may have, or the reason why not.

What must not live here: which columns a row has (`raw_rows`, `place_details`) and dates (`raw_dates`).
"""

import ast
import json
import math
import re
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any

PLACE_ID_LENGTH = 256
"""Longest place_id; the same as the column `gyms.place_id` (a test holds the two together)."""
REVIEW_ID_LENGTH = 512
LANGUAGE_LENGTH = 35
"""Longest language tag that RFC 5646 asks software to hold (section 4.4.1)."""
TEXT_LENGTH = 100_000
"""Longest review text. Google cuts at 4,096; anything near this bound is not a review."""
LABEL_LENGTH = 4_096
"""Longest name, address, city, phone, website."""
HOURS_LINES = 100
"""Most lines of opening hours; a week with holidays has some twenty."""
SHOWN_LENGTH = 80
"""Most characters of a bad value that a reason repeats."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NUMBER = re.compile(r"[+-]?\d{1,18}(?:[.,]\d{1,18})?", re.ASCII)
_HOURS_BREAK = re.compile(r"[\r\n;]+")


class RowError(ValueError):
    """A row that cannot be kept. `reason` names the field, what is wrong and what is expected.

    `part` is the piece of the row that is meant, when it is not the whole row.
    """

    def __init__(self, reason: str, part: Any = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.part = part


def shown(value: Any) -> str:
    """A bad value for a reason: short, printable; of lists and objects only the type (they may hold names)."""
    if isinstance(value, str):
        # repr spells what cannot be printed or stored, NUL and lone surrogates among it.
        return repr(value[:SHOWN_LENGTH]) + ("…" if len(value) > SHOWN_LENGTH else "")
    if value is None or isinstance(value, bool | int | float | Decimal):
        return f"{type(value).__name__} {str(value)[:SHOWN_LENGTH]}" if value is not None else "null"
    return _type_name(value)


def _type_name(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list | tuple) else f"a value of type {type(value).__name__}"


def check_storable(text: str, field: str) -> None:
    """Refuse what Postgres cannot hold in a text column: NUL, and what has no UTF-8 form.

    Raises:
        RowError: names the field.
    """
    if "\x00" in text:
        raise RowError(f"{field}: holds a NUL character, which cannot be stored; expected text without")
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RowError(
            f"{field}: holds bytes that are not Unicode text (a lone surrogate, {text[error.start]!a});"
            " expected valid Unicode"
        ) from None


def identifier(value: Any, field: str, longest: int) -> str | None:
    """An id, stripped; whole numbers become text; None when there is none.

    Raises:
        RowError: not text, too long, or with control characters.
    """
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**30 else "9" * (longest + 1)
    if not isinstance(value, str):
        raise RowError(f"{field}: is {shown(value)}; expected text")
    value = value.strip()
    if len(value) > longest:
        raise RowError(f"{field}: has {len(value):,} characters, starting {shown(value)}; expected at most {longest}")
    if value.isprintable():  # neither control characters nor surrogates: nearly every id
        return value or None
    if _CONTROL.search(value):
        raise RowError(f"{field}: {shown(value)} holds control characters; expected printable text")
    check_storable(value, field)
    return value or None


def place_identifier(value: Any, field: str = "place_id") -> str:
    """The id of a gym.

    Raises:
        RowError: missing, empty, or as `identifier` says.
    """
    found = identifier(value, field, PLACE_ID_LENGTH)
    if found is None:
        raise RowError(f"{field}: is missing or empty; expected the id of the place")
    return found


def label(value: Any, field: str, longest: int = LABEL_LENGTH) -> str | None:
    """A name, address, city...: text as it came; None when null or blank.

    Raises:
        RowError: not text, too long, or not storable.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise RowError(f"{field}: is {shown(value)}; expected text or null")
    if len(value) > longest:
        raise RowError(f"{field}: has {len(value):,} characters, starting {shown(value)}; expected at most {longest:,}")
    check_storable(value, field)
    return value if value.strip() else None


def phone_number(value: Any) -> str | None:
    """A phone number; tables often hold it as a number, sometimes with a fraction of nought.

    Raises:
        RowError: as `label`.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**30:
        value = str(value)
    return label(value, "phone")


def review_text(value: Any, field: str = "text") -> str | None:
    """A review's text exactly as it came, also when empty.

    Raises:
        RowError: not text, longer than `TEXT_LENGTH`, or not storable.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise RowError(f"{field}: is {shown(value)}; expected text or null")
    if len(value) > TEXT_LENGTH:
        raise RowError(f"{field}: has {len(value):,} characters; expected at most {TEXT_LENGTH:,}")
    check_storable(value, field)
    return value


def rating_number(value: Any, field: str = "rating") -> float | None:
    """A rating from 0 to 5, from a number or text (`4.5`, `4,5`); None when null or blank.

    Raises:
        RowError: not a number (true is none, NaN neither), or out of range.
    """
    if value is None:
        return None
    number: Any = value
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        if not _NUMBER.fullmatch(text):
            raise RowError(f"{field}: {shown(value)} is not a number; expected 0 to 5 or null")
        number = float(text.replace(",", "."))
    if isinstance(number, bool) or not isinstance(number, int | float | Decimal):
        raise RowError(f"{field}: is {shown(value)}; expected a number from 0 to 5 or null")
    if not 0 <= number <= 5 or math.isnan(number):
        raise RowError(f"{field}: is {shown(value)}; expected a number from 0 to 5 or null")
    return float(number) + 0.0  # -0.0 becomes 0.0: the two must hash alike


def hours_lines(value: Any, field: str = "hours") -> tuple[str, ...] | None:
    """Lines of opening hours from a list, from one text with line breaks or semicolons, or from JSON text.

    A mapping of day to hours (JSON text of older pipelines) becomes one `day: hours` line a day.

    Raises:
        RowError: anything else, or too long.
    """
    lines = _hours_parts(listed(value, field) if isinstance(value, str) else value, field)
    kept = tuple(line for line in lines if line.strip())
    if len(kept) > HOURS_LINES:
        raise RowError(f"{field}: has {len(kept):,} lines; expected at most {HOURS_LINES}")
    for line in kept:
        label(line, field)
    return kept or None


def _hours_parts(value: Any, field: str) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [part.strip() for part in _HOURS_BREAK.split(value)]
    if isinstance(value, Mapping):
        for key in ("weekdayDescriptions", "weekday_text"):
            if key in value:
                return _hours_parts(value[key], field)
        value = [f"{day}: {', '.join(_hours_parts(hours, field))}" for day, hours in value.items()]
    if not isinstance(value, list | tuple):
        raise RowError(f"{field}: is {shown(value)}; expected a list of lines, text or null")
    for line in value:
        if not isinstance(line, str):
            raise RowError(f"{field}: holds {shown(line)}; expected only lines of text")
    return list(value)


def listed(text: str, field: str) -> Any:
    """JSON text as its value; other text as it is."""
    stripped = text.strip()
    if stripped == "null":
        return None
    if stripped[:1] not in ("[", "{") or len(stripped) > TEXT_LENGTH:
        return text
    try:
        return json.loads(stripped)
    except (ValueError, RecursionError):
        pass
    try:
        # A list column that pandas wrote to CSV is spelled the Python way.
        return ast.literal_eval(stripped)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise RowError(f"{field}: {shown(text)} is not a JSON list; expected a list of lines") from None


def plain_json(value: Any, field: str) -> Any:
    """`value` as JSON and Postgres can hold it: NaN becomes null, dates their ISO form.

    Raises:
        RowError: text that cannot be stored, or something without a JSON form.
    """
    if isinstance(value, str):
        check_storable(value, field)
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        for key in value:
            check_storable(str(key), field)
        return {str(key): plain_json(item, field) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item, field) for item in value]
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return plain_json(float(value), field)
    raise RowError(f"{field}: is {shown(value)}; expected what JSON can hold")
