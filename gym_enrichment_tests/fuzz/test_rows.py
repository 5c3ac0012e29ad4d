"""Any row is a gym or a review that can be stored, or refused with a reason; never another error."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gym_enrichment.domain.legacy import LEGACY_COLUMNS, legacy_from_row, legacy_hash
from gym_enrichment.domain.models import Gym, Review
from gym_enrichment.domain.place_details import gym_from_details, reviews_from_details
from gym_enrichment.domain.raw_dates import EARLIEST_YEAR, FUTURE, published
from gym_enrichment.domain.raw_rows import (
    GYM_COLUMNS,
    REVIEW_COLUMNS,
    gym_from_row,
    gym_hash,
    review_from_row,
    review_hash,
    row_text,
)
from gym_enrichment.domain.raw_values import PLACE_ID_LENGTH, REVIEW_ID_LENGTH, RowError
from gym_enrichment_tests.fuzz.values import dates, hours, json_values, numbers, rows, texts

NOW = datetime(2026, 1, 1, tzinfo=UTC)
gym_rows = rows(GYM_COLUMNS, place_id=st.just("g1") | texts, rating=numbers, hours=hours)
review_rows = rows(REVIEW_COLUMNS, place_id=st.just("g1"), rating=numbers, published_at=dates | numbers)
_localized = st.fixed_dictionaries({"text": texts, "languageCode": st.just("fr")})
_component = st.fixed_dictionaries({"types": st.just(["locality"]) | json_values, "longText": texts})
places = rows(
    ("id", "displayName", "formattedAddress", "regularOpeningHours", "addressComponents", "websiteUri", "reviews"),
    id=st.just("g1"),
    displayName=_localized,
    regularOpeningHours=st.fixed_dictionaries({"weekdayDescriptions": hours}),
    addressComponents=st.lists(_component, max_size=2),
    reviews=st.lists(
        rows(("name", "originalText", "rating", "publishTime"), originalText=_localized, publishTime=dates), max_size=3
    ),
)


def check_storable(value: Any) -> None:
    """As a database wants it: JSON without NaN, UTF-8, no NUL."""
    json.dumps(value, ensure_ascii=False, allow_nan=False, default=datetime.isoformat).encode()
    assert not any("\x00" in text for text in texts_in(value))


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for pair in value.items():
            yield from texts_in(pair)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_in(item)


def check_gym(gym: Gym) -> None:
    check_storable(asdict(gym))
    assert 0 < len(gym.place_id) <= PLACE_ID_LENGTH
    assert gym.rating is None or 0 <= gym.rating <= 5
    again = gym_from_row({name: getattr(gym, name) for name in GYM_COLUMNS} | {"extra": gym.extra})
    assert again == gym
    assert gym_hash(again) == gym_hash(gym)


def check_review(review: Review) -> None:
    check_storable(asdict(review))
    assert 0 < len(review.review_id) <= REVIEW_ID_LENGTH + len("derived:")
    assert review.rating is None or 0 <= review.rating <= 5
    moment = review.published_at
    assert moment is None or (moment.utcoffset() == timedelta(0) and moment.year >= EARLIEST_YEAR)
    assert moment is None or moment <= NOW + FUTURE
    again = review_from_row({name: getattr(review, name, None) for name in REVIEW_COLUMNS}, NOW)
    assert again == review
    assert review_hash(again) == review_hash(review)


def refused(error: RowError) -> None:
    assert error.reason
    check_storable(error.reason)


@given(gym_rows)
@example({"place_id": "g1", "\x00": []})
@example({"place_id": "g1", "\ud800": b""})
def test_any_row_is_a_gym_or_refused(row: dict[str, Any]) -> None:
    try:
        gym = gym_from_row(row)
    except RowError as error:
        refused(error)
    else:
        check_gym(gym)
    check_storable(row_text(row))


@given(review_rows)
def test_any_row_is_a_review_or_refused(row: dict[str, Any]) -> None:
    try:
        review = review_from_row(row, NOW)
    except RowError as error:
        refused(error)
    else:
        check_review(review)


@given(places)
@example({"id": "g1", "websiteUri": "", "addressComponents": [{"types": True}]})
@example({"id": "g1", "websiteUri": "", "addressComponents": [{"types": "locality", "longText": "Oran"}]})
def test_any_details_are_a_gym_with_its_reviews_or_refused(row: dict[str, Any]) -> None:
    try:
        gym = gym_from_details(row)
    except RowError as error:
        refused(error)
    else:
        check_gym(gym)
    entries = row.get("reviews")
    found = reviews_from_details(row, NOW)
    if isinstance(entries, list):
        assert len(found) == len(entries)
    for review in found:
        if isinstance(review, RowError):
            refused(review)
        else:
            check_review(review)


@given(
    rows(
        ("place_id", *LEGACY_COLUMNS),
        place_id=st.just("g1"),
        amenities=st.sampled_from(['["Sauna"]', "[]", "Sauna, Parking"]),
        has_women_hours=st.sampled_from([0, 1, "true", True, None]),
        hours_french=hours,
    )
)
@example({"place_id": "g1", "description": "x", "has_women_hours": [1]})
def test_any_old_finding_is_a_claim_or_refused(row: dict[str, Any]) -> None:
    try:
        claims = legacy_from_row(row)
    except RowError as error:
        refused(error)
        return
    if claims is not None:
        check_storable(asdict(claims))
        assert claims.description
        assert all(claims.amenities)
        assert legacy_hash(claims) == legacy_hash(replace(claims))


@given(dates | numbers | texts | json_values, st.none() | dates | texts | json_values)
def test_a_date_is_a_moment_of_the_past_or_words_or_refused(value: Any, words: Any) -> None:
    try:
        moment, said = published(value, words, NOW)
    except RowError as error:
        refused(error)
        return
    if moment is not None:
        assert moment.year >= EARLIEST_YEAR
        assert moment <= NOW + FUTURE
        assert published(moment.isoformat(), None, NOW) == (moment, None)
    assert said is None or said in (value, words)


@pytest.mark.parametrize("minutes", [-1, 0, 1])
@given(st.datetimes(datetime(1990, 1, 2), datetime(2025, 12, 30)))
def test_an_iso_date_is_the_moment_it_names(minutes: int, moment: datetime) -> None:
    zone = "Z" if not minutes else f"{'+' if minutes > 0 else '-'}00:01"
    expected = moment.replace(tzinfo=UTC) - timedelta(minutes=minutes)
    assert published(moment.isoformat() + zone, None, NOW) == (expected, None)
