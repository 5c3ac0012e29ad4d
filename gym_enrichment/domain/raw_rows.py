"""From an untyped row of a source to a gym or a review, or the reason why it is neither.

What must not live here: reading sources, and Google's own shape of a place (`place_details`).
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from hashlib import blake2b
from typing import Any

from gym_enrichment.domain.hashing import content_hash
from gym_enrichment.domain.models import Gym, Review
from gym_enrichment.domain.private import is_private, redact, without_private
from gym_enrichment.domain.raw_dates import published
from gym_enrichment.domain.raw_values import (
    LANGUAGE_LENGTH,
    REVIEW_ID_LENGTH,
    RowError,
    hours_lines,
    identifier,
    label,
    phone_number,
    place_identifier,
    plain_json,
    rating_number,
    review_text,
)

EXTRA_LENGTH = 20_000
"""Most characters of JSON that a gym's extra may have; what does not fit is named in `extra_left_out`."""
ROW_TEXT_LENGTH = 2_000
"""Most characters of a bad row that quarantine keeps."""

GYM_COLUMNS = ("place_id", "name", "address", "city", "country", "hours", "phone", "website", "rating")
REVIEW_COLUMNS = (
    "review_id",
    "place_id",
    "text",
    "rating",
    "published_at",
    "published_raw",
    "published_at_str",
    "language",
)


def gym_from_row(row: Mapping[str, Any]) -> Gym:
    """A gym from a row with the input columns of the design; every other column goes to `extra`.

    Raises:
        RowError: `place_id` is missing, or a value cannot be what its column says.
    """
    others = {key: value for key, value in row.items() if key not in GYM_COLUMNS}
    return Gym(
        place_id=place_identifier(row.get("place_id")),
        name=label(row.get("name"), "name"),
        address=label(row.get("address"), "address"),
        city=label(row.get("city"), "city"),
        country=label(row.get("country"), "country"),
        hours=hours_lines(row.get("hours")),
        phone=phone_number(row.get("phone")),
        website=label(row.get("website"), "website"),
        rating=rating_number(row.get("rating")),
        extra=extra_from(others),
    )


def review_from_row(row: Mapping[str, Any], now: datetime) -> Review:
    """A review from a row with the input columns of the design; every other column is dropped.

    `published_at_str` is what the pipeline before this one called `published_raw`.

    Raises:
        RowError: `place_id` is missing, nothing says anything, or a value cannot be what its column says.
    """
    words = row.get("published_raw") or row.get("published_at_str")
    return build_review(
        review_id=row.get("review_id"),
        place_id=place_identifier(row.get("place_id")),
        text=review_text(row.get("text")),
        rating=rating_number(row.get("rating")),
        published=published(row.get("published_at"), words, now),
        language=label(row.get("language"), "language", LANGUAGE_LENGTH),
    )


def build_review(
    *,
    review_id: Any,
    place_id: str,
    text: str | None,
    rating: float | None,
    published: tuple[datetime | None, str | None],
    language: str | None,
) -> Review:
    """A review of checked values; an id that is missing is derived from place, text and date.

    A review that has a rating and nothing else gets its id from the rating, or all of a gym would be one.

    Raises:
        RowError: the id cannot be used, or the review has neither id nor text, date nor rating.
    """
    found = identifier(review_id, "review_id", REVIEW_ID_LENGTH)
    moment, words = published
    if found is None:
        parts: list[Any] = [place_id, text, moment or words]
        if not text and parts[2] is None:
            if rating is None:
                raise RowError("review_id: is missing, and so are text, date and rating; expected one of them")
            parts.append(rating)
        found = "derived:" + content_hash(parts)
    return Review(found, place_id, text, rating, moment, words, language)


def extra_from(others: Mapping[str, Any]) -> dict[str, Any]:
    """What else a source says of a gym, in the order it came, without persons and without reviews.

    An `extra` object (another database of this package) is unfolded. Nulls and blanks are dropped: CSV
    and JSON lines of the same gym must not differ.

    Raises:
        RowError: text that cannot be stored.
    """
    unfolded = {**{k: v for k, v in others.items() if k != "extra"}, **_inner_extra(others.get("extra"))}
    kept: dict[str, Any] = {}
    left_out: list[str] = []
    room = EXTRA_LENGTH
    for key, value in without_private(unfolded).items():
        # Reviews belong to their own table, where their authors are left behind by name of column.
        if value in (None, "") or (key.lower().startswith("review") and isinstance(value, list | dict)):
            continue
        # The reason is stored, and the name with it.
        name = storable(key[:80])
        try:
            plain = plain_json({key: value}, name)
        except RowError:
            if isinstance(value, bytes | bytearray | memoryview):
                left_out.append(name)
                continue
            raise
        size = len(json.dumps(plain, ensure_ascii=False))
        if size > room:
            left_out.append(name)
            continue
        room -= size
        kept |= plain
    return kept | ({"extra_left_out": left_out[:20]} if left_out else {})


def _inner_extra(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    return {} if value is None else {"extra": value}


def gym_hash(gym: Gym) -> str:
    """The content hash of everything a gym's source said."""
    return content_hash(
        [
            gym.place_id,
            gym.name,
            gym.address,
            gym.city,
            gym.country,
            gym.hours,
            gym.phone,
            gym.website,
            gym.rating,
            gym.extra,
        ]
    )


def review_hash(review: Review) -> str:
    """The content hash of everything a review's source said; the id is the key, not content.

    Spelled by hand, not as JSON: this runs for every row of millions, and JSON takes half as long again. No
    value holds a NUL (`check_storable`), so NUL separates them; `=` tells empty from missing.
    """
    moment = review.published_at
    values = (
        review.place_id,
        review.text,
        None if review.rating is None else repr(review.rating),
        None if moment is None else moment.isoformat(),
        review.published_raw,
        review.language,
    )
    spelled = "\x00".join(["" if value is None else "=" + value for value in values])
    return blake2b(spelled.encode(), digest_size=16).hexdigest()


def row_text(value: Any) -> str:
    """A bad row for quarantine: JSON, at most `ROW_TEXT_LENGTH` characters, private values removed."""
    try:
        text = json.dumps(without_private(value), ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):
        text = "(cannot be shown)"
    return storable(text)[:ROW_TEXT_LENGTH]


def broken_row_text(text: str) -> str:
    """A line that could not be parsed, for quarantine: cut, private values removed, storable."""
    return storable(redact(text[: 2 * ROW_TEXT_LENGTH]))[:ROW_TEXT_LENGTH]


def storable(text: str) -> str:
    """`text` with what no database can hold spelled out: NUL and lone surrogates."""
    return text.replace("\x00", "\\u0000").encode("utf-8", "backslashreplace").decode()


def private_columns(columns: list[str]) -> list[str]:
    """Those of the columns that name persons."""
    return [column for column in columns if is_private(column)]
