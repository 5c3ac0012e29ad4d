"""Google Places (New) details: one JSON object is one gym and its reviews.

Field names are Google's: https://developers.google.com/maps/documentation/places/web-service/reference/rest/v1/places
What must not live here: asking Google (`sources/google_places`).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gym_enrichment.domain.models import Gym, Review
from gym_enrichment.domain.raw_dates import published
from gym_enrichment.domain.raw_rows import build_review, extra_from
from gym_enrichment.domain.raw_values import (
    LANGUAGE_LENGTH,
    RowError,
    hours_lines,
    label,
    phone_number,
    place_identifier,
    rating_number,
    review_text,
    shown,
)

MARKS = frozenset(
    {"displayName", "formattedAddress", "regularOpeningHours", "addressComponents", "websiteUri", "reviews"}
)
"""Any of these beside `id` (and no `place_id`) makes an object the details of a place."""

# Parts of `regularOpeningHours` and others stay in extra: periods tell more than the printed lines.
_USED = frozenset(
    {
        "id",
        "displayName",
        "formattedAddress",
        "addressComponents",
        "internationalPhoneNumber",
        "nationalPhoneNumber",
        "websiteUri",
        "rating",
        "reviews",
    }
)
_CITY_TYPES = ("locality", "postal_town", "administrative_area_level_3", "administrative_area_level_2")


def is_place_details(row: Mapping[str, Any]) -> bool:
    """Whether a row is the details of a place as Google Places (New) gives them."""
    return "id" in row and "place_id" not in row and not MARKS.isdisjoint(row)


def gym_from_details(row: Mapping[str, Any]) -> Gym:
    """The gym of a place's details.

    Raises:
        RowError: `id` is missing, or a field is not what Google says it is.
    """
    hours = _object(row, "regularOpeningHours").get("weekdayDescriptions")
    return Gym(
        place_id=place_identifier(row.get("id"), "id"),
        name=_localized(row, "displayName"),
        address=label(row.get("formattedAddress"), "formattedAddress"),
        city=_component(row, _CITY_TYPES, "longText"),
        country=_component(row, ("country",), "shortText"),
        hours=hours_lines(hours, "regularOpeningHours.weekdayDescriptions"),
        phone=phone_number(row.get("internationalPhoneNumber") or row.get("nationalPhoneNumber")),
        website=label(row.get("websiteUri"), "websiteUri"),
        rating=rating_number(row.get("rating")),
        extra=extra_from({key: value for key, value in row.items() if key not in _USED}),
    )


def reviews_from_details(row: Mapping[str, Any], now: datetime) -> list[Review | RowError]:
    """The reviews of a place's details, in their order; a bad one is a RowError among the good ones."""
    entries = row.get("reviews")
    if entries is None:
        return []
    if not isinstance(entries, list | tuple):
        return [RowError(f"reviews: is {shown(entries)}; expected a list")]
    return [_review_or_error(row, number, entry, now) for number, entry in enumerate(entries)]


def _review_or_error(row: Mapping[str, Any], number: int, entry: Any, now: datetime) -> Review | RowError:
    try:
        return _review(place_identifier(row.get("id"), "id"), entry, now)
    except RowError as error:
        return RowError(f"reviews[{number}]: {error.reason}", part=entry)


def _review(place_id: str, entry: Any, now: datetime) -> Review:
    if not isinstance(entry, Mapping):
        raise RowError(f"is {shown(entry)}; expected an object")
    # `text` may be Google's translation; what the customer wrote is `originalText`.
    spoken = _object(entry, "originalText") or _object(entry, "text")
    # "2 months ago" is another text with every fetch: it counts only where there is no day.
    words = None if entry.get("publishTime") else entry.get("relativePublishTimeDescription")
    return build_review(
        review_id=entry.get("name"),
        place_id=place_id,
        text=review_text(spoken.get("text"), "text.text"),
        rating=rating_number(entry.get("rating")),
        published=published(entry.get("publishTime"), words, now, "publishTime"),
        language=label(spoken.get("languageCode"), "languageCode", LANGUAGE_LENGTH),
    )


def _object(row: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = row.get(field)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise RowError(f"{field}: is {shown(value)}; expected an object")
    return value


def _localized(row: Mapping[str, Any], field: str) -> str | None:
    return label(_object(row, field).get("text"), f"{field}.text")


def _component(row: Mapping[str, Any], types: tuple[str, ...], form: str) -> str | None:
    components = row.get("addressComponents")
    if components is None:
        return None
    if not isinstance(components, list | tuple) or not all(isinstance(c, Mapping) for c in components):
        raise RowError(f"addressComponents: is {shown(components)}; expected a list of objects")
    for wanted in types:
        for component in components:
            kinds = component.get("types")
            if isinstance(kinds, list | tuple) and wanted in kinds:
                return label(component.get(form), f"addressComponents.{form}")
    return None
