"""What becomes of one untyped row: a gym, a review, or a reason why neither."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gym_enrichment.domain import raw_values
from gym_enrichment.domain.hashing import content_hash
from gym_enrichment.domain.models import Review
from gym_enrichment.domain.place_details import gym_from_details, is_place_details, reviews_from_details
from gym_enrichment.domain.private import is_private
from gym_enrichment.domain.raw_rows import (
    EXTRA_LENGTH,
    broken_row_text,
    gym_from_row,
    gym_hash,
    review_from_row,
    review_hash,
    row_text,
)
from gym_enrichment.domain.raw_values import RowError
from gym_enrichment.storage.tables import gyms, reviews

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def review(**columns: Any) -> Review:
    return review_from_row({"review_id": "r", "place_id": "p", **columns}, NOW)


def reason_of(**columns: Any) -> str:
    with pytest.raises(RowError) as caught:
        review(**columns)
    return caught.value.reason


def gym_reason(**columns: Any) -> str:
    with pytest.raises(RowError) as caught:
        gym_from_row({"place_id": "p", **columns})
    return caught.value.reason


def test_the_longest_ids_are_those_of_the_tables() -> None:
    assert gyms.c.place_id.type.length == raw_values.PLACE_ID_LENGTH
    assert reviews.c.review_id.type.length == raw_values.REVIEW_ID_LENGTH
    assert reviews.c.language.type.length == raw_values.LANGUAGE_LENGTH


@pytest.mark.parametrize(
    ("value", "kept"), [(" ChIJ ", "ChIJ"), (17, "17"), ("'; DROP TABLE gyms;--", None), ("é", "é")]
)
def test_a_place_id_is_stripped_text(value: Any, kept: str | None) -> None:
    assert gym_from_row({"place_id": value}).place_id == (kept or value)


@pytest.mark.parametrize(
    "value", [None, "", "  ", True, 1.5, ["a"], {"a": 1}, "a\x00b", "a\nb", "\ud800", "x" * 257, 10**400]
)
def test_a_place_id_that_cannot_be_an_id_is_refused_by_name(value: Any) -> None:
    reason = gym_reason(place_id=value)
    assert reason.startswith("place_id: ")
    assert "expected" in reason
    assert len(reason) < 250
    reason.encode()


@pytest.mark.parametrize(
    ("value", "kept"), [(0, 0.0), (5, 5.0), ("4.5", 4.5), ("4,5", 4.5), ("", None), (None, None), (" 3 ", 3.0)]
)
def test_a_rating_is_a_number_from_nought_to_five(value: Any, kept: float | None) -> None:
    assert review(rating=value).rating == kept


@pytest.mark.parametrize(
    "value",
    [-1, 6, 5.01, float("nan"), float("inf"), "nan", "Infinity", "good", "1_0", True, False, [4], {}, "-1", 10**400],
)
def test_any_other_rating_is_refused_by_name(value: Any) -> None:
    assert reason_of(rating=value).startswith("rating: ")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("2024-05-31", datetime(2024, 5, 31, tzinfo=UTC)),
        ("2024-05-31T10:00:00Z", datetime(2024, 5, 31, 10, tzinfo=UTC)),
        ("2024-05-31T10:00:00.123456789Z", datetime(2024, 5, 31, 10, 0, 0, 123456, tzinfo=UTC)),
        ("2024-05-31 10:00:00+02:00", datetime(2024, 5, 31, 8, tzinfo=UTC)),
        ("2024-05-31 10:00:00 UTC", datetime(2024, 5, 31, 10, tzinfo=UTC)),
        (datetime(2024, 5, 31), datetime(2024, 5, 31, tzinfo=UTC)),
        (datetime(2024, 5, 31, tzinfo=UTC).date(), datetime(2024, 5, 31, tzinfo=UTC)),
        (1717113600, datetime(2024, 5, 31, tzinfo=UTC)),
        ("1717113600000", datetime(2024, 5, 31, tzinfo=UTC)),
        ("", None),
        (None, None),
    ],
)
def test_a_date_becomes_a_moment_in_utc(value: Any, kept: datetime | None) -> None:
    found = review(published_at=value)
    assert (found.published_at, found.published_raw) == (kept, None)


@pytest.mark.parametrize(
    "value",
    ["2024-13-45", "2024-02-30", "1969-01-01", "2026-06-04", "31/12/2023", "banana", "2024", 12, True, [1], 1e300,
     "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "25:61"],
)  # fmt: skip
def test_an_impossible_date_is_refused_by_name(value: Any) -> None:
    assert reason_of(published_at=value).startswith("published_at: ")


@pytest.mark.parametrize(
    "words",
    ["il y a 2 semaines", "il y a 3\xa0ans", "3 months ago", "a year ago", "in the last week", "il y a un an", "hier",
     "hace 2 meses", "vor einem Jahr", "2 jaar geleden", "un anno fa", "há 3 meses", "3 年前", "منذ شهر"],
)  # fmt: skip
@pytest.mark.parametrize("column", ["published_at", "published_raw", "published_at_str"])
def test_words_that_name_no_day_are_kept_as_words(words: str, column: str) -> None:
    found = review(**{column: words})
    assert (found.published_at, found.published_raw) == (None, words)


def test_the_words_column_may_hold_a_date() -> None:
    assert review(published_at_str="2024-05-31").published_at == datetime(2024, 5, 31, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", None, "  spaces kept \r\n", "=HYPERLINK(1)", "💪🏽 é\u202f!", "x" * 100_000])
def test_a_text_is_kept_exactly_as_it_came(text: str | None) -> None:
    assert review(text=text).text == text


@pytest.mark.parametrize("text", ["a\x00b", "\ud83d", "x" * 100_001, 7, ["a"], {"author": "Jean"}, b"a", True])
def test_a_text_that_cannot_be_stored_is_refused_by_name(text: Any) -> None:
    reason = reason_of(text=text)
    assert reason.startswith("text: ")
    assert "Jean" not in reason


def test_a_missing_review_id_is_derived_from_place_text_and_date() -> None:
    first, again = review(review_id=None, text="a"), review(review_id="", text="a", rating=3)
    assert first.review_id == again.review_id
    assert first.review_id.startswith("derived:")
    others = {
        review(review_id=None, text="b").review_id,
        review(review_id=None, text="a", published_at="2024-01-01").review_id,
        review(review_id=None, text="a", place_id="q").review_id,
    }
    assert len(others | {first.review_id}) == 4


def test_reviews_with_only_a_rating_get_an_id_for_each_rating() -> None:
    assert review(review_id=None, rating=3).review_id != review(review_id=None, rating=4).review_id


def test_a_review_with_nothing_at_all_is_refused() -> None:
    assert "missing" in reason_of(review_id=None, text="", rating="")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (["lundi: 6h", "", "mardi: 7h"], ("lundi: 6h", "mardi: 7h")),
        ("lundi: 6h\r\nmardi: 7h\n", ("lundi: 6h", "mardi: 7h")),
        ("lundi: 6h; mardi: 7h", ("lundi: 6h", "mardi: 7h")),
        ('["lundi: 6h", "mardi: 7h"]', ("lundi: 6h", "mardi: 7h")),
        ("['lundi: 6h', 'mardi: 7h']", ("lundi: 6h", "mardi: 7h")),
        ('{"lundi": "6h", "mardi": ["7h", "9h"]}', ("lundi: 6h", "mardi: 7h, 9h")),
        ('{"weekday_text": ["lundi: 6h"]}', ("lundi: 6h",)),
        ("null", None), ("", None), ("[]", None), ([], None), (None, None),
    ],
)  # fmt: skip
def test_hours_come_as_list_text_or_json_text(value: Any, kept: tuple[str, ...] | None) -> None:
    assert gym_from_row({"place_id": "p", "hours": value}).hours == kept


@pytest.mark.parametrize("value", [7, [1], [["a"]], "[1, 2", True, ["a"] * 101, ["x" * 5000], ["\x00"]])
def test_other_hours_are_refused_by_name(value: Any) -> None:
    assert gym_reason(hours=value).startswith("hours: ")


@pytest.mark.parametrize("column", ["name", "address", "city", "country", "website"])
@pytest.mark.parametrize("value", [7, True, ["a"], {"a": 1}, "a\x00", "x" * 4097])
def test_labels_of_a_gym_must_be_text(column: str, value: Any) -> None:
    assert gym_reason(**{column: value}).startswith(f"{column}: ")


@pytest.mark.parametrize(
    ("value", "kept"), [(33612345678, "33612345678"), (3361.0, "3361"), ("+33 6", "+33 6"), ("", None)]
)
def test_a_phone_may_be_a_number(value: Any, kept: str | None) -> None:
    assert gym_from_row({"place_id": "p", "phone": value}).phone == kept


def test_every_other_column_of_a_gym_goes_to_extra_but_nobodys_name() -> None:
    gym = gym_from_row(
        {
            "place_id": "p",
            "lat": 1.5,
            "nan": float("nan"),
            "blank": "",
            "userRatingCount": 12,
            "reviews_count": 3,
            "reviews": [{"name": "Jean", "text": "x"}],
            "photo_urls": ["u"],
            "author_name": "Jean",
            "owner": {"name": "Jean"},
            "nested": [{"authorAttributions": [{"displayName": "Jean"}], "kept": 1}],
            "raw_json": '{"user": {"name": "Jean"}, "kept": 1}',
            "broken_json": '{"user": {"name": "Jean"}, "kept": 1',
        }
    )
    assert "Jean" not in json.dumps(gym.extra)
    assert gym.extra["nested"] == [{"kept": 1}]
    assert {"lat", "userRatingCount", "reviews_count", "raw_json"} <= set(gym.extra)
    assert not {"photo_urls", "reviews", "owner", "author_name", "blank"} & set(gym.extra)


def test_extra_is_bounded_and_names_what_it_left_out() -> None:
    gym = gym_from_row({"place_id": "p", "big": "x" * EXTRA_LENGTH, "bytes": b"x", "small": 1})
    assert gym.extra == {"small": 1, "extra_left_out": ["big", "bytes"]}


@pytest.mark.parametrize("value", ["a\x00", ["\ud800"], {"k\x00": 1}])
def test_extra_that_cannot_be_stored_is_refused(value: Any) -> None:
    assert gym_reason(more=value).startswith("more: ")


@pytest.mark.parametrize(
    "key",
    ["author", "author_name", "authorAttribution", "user", "userName", "reviewer_id", "profile_photo_url", "photos",
     "ownerResponse", "reply", "response_from_owner", "auteur"],
)  # fmt: skip
def test_keys_that_name_persons_are_private(key: str) -> None:
    assert is_private(key)
    whole = row_text({"text": "kept", key: {"name": "Jean"}, "more": [{key: "Jean"}]})
    assert "kept" in whole
    assert "Jean" not in whole
    for broken in (
        f'{{"{key}": "Jean \\" Dupont", "text": "kept"',
        f'{{"{key}": {{"name": "Jean", "a": ["}}", "Jean"]}}, "text": "kept"',
        f'{{"json": "{{\\"{key}\\": \\"Jean\\"}}", "text": "kept" oops',
        f"{{'{key}': 'Jean', 'text': 'kept'}}",
    ):
        assert "Jean" not in broken_row_text(broken)
        assert "kept" in broken_row_text(broken)
    assert "Jean" not in broken_row_text(f'{{"text": "kept", "{key}": "Jean')


def test_the_text_of_a_bad_row_is_bounded_and_storable() -> None:
    for text in (row_text({"a": "x\x00\ud800" * 9000}), broken_row_text("x\x00\ud800" * 9000)):
        assert len(text) <= 2000
        assert "\x00" not in text
        text.encode()


def test_deep_nesting_is_no_trouble() -> None:
    deep: Any = "Jean"
    for _ in range(900):
        deep = {"a": deep}
    assert "Jean" not in json.dumps(gym_from_row({"place_id": "p", "deep": deep}).extra)


DETAILS = {
    "name": "places/ChIJ1",
    "id": "ChIJ1",
    "displayName": {"text": "Le Gym", "languageCode": "fr"},
    "formattedAddress": "1 rue X, 69001 Lyon, France",
    "addressComponents": [
        {"longText": "Lyon", "shortText": "Lyon", "types": ["locality", "political"]},
        {"longText": "France", "shortText": "FR", "types": ["country", "political"]},
    ],
    "location": {"latitude": 1.0, "longitude": 2.0},
    "regularOpeningHours": {"weekdayDescriptions": ["lundi: 06:00 – 22:00"]},
    "nationalPhoneNumber": "04",
    "internationalPhoneNumber": "+33 4",
    "websiteUri": "https://x.example",
    "rating": 4.5,
    "userRatingCount": 10,
    "photos": [{"authorAttributions": [{"displayName": "Jean"}]}],
    "reviews": [
        {
            "name": "places/ChIJ1/reviews/a",
            "relativePublishTimeDescription": "a month ago",
            "rating": 5,
            "text": {"text": "Great", "languageCode": "en"},
            "originalText": {"text": "Super", "languageCode": "fr"},
            "authorAttribution": {"displayName": "Jean"},
            "publishTime": "2026-05-01T10:00:00.123456789Z",
        },
        {"name": "places/ChIJ1/reviews/b", "relativePublishTimeDescription": "a month ago", "text": {"text": "Ok"}},
        {"name": "places/ChIJ1/reviews/c", "rating": 9},
    ],
}


def test_google_places_details_are_a_gym() -> None:
    assert is_place_details(DETAILS)
    gym = gym_from_details(DETAILS)
    assert (gym.place_id, gym.name, gym.city, gym.country) == ("ChIJ1", "Le Gym", "Lyon", "FR")
    assert (gym.phone, gym.website, gym.rating) == ("+33 4", "https://x.example", 4.5)
    assert gym.hours == ("lundi: 06:00 – 22:00",)
    assert gym.extra["location"] == {"latitude": 1.0, "longitude": 2.0}
    assert "Jean" not in json.dumps(gym.extra)


def test_google_places_details_are_reviews_in_the_customers_own_words() -> None:
    first, second, third = reviews_from_details(DETAILS, NOW)
    when = datetime(2026, 5, 1, 10, 0, 0, 123456, tzinfo=UTC)
    assert first == Review("places/ChIJ1/reviews/a", "ChIJ1", "Super", 5.0, when, None, "fr")
    assert second == Review("places/ChIJ1/reviews/b", "ChIJ1", "Ok", None, None, "a month ago", None)
    assert isinstance(third, RowError)
    assert third.reason.startswith("reviews[2]: rating: ")


@pytest.mark.parametrize("field", ["displayName", "regularOpeningHours", "addressComponents", "formattedAddress", "id"])
def test_details_of_wrong_types_are_refused_by_name(field: str) -> None:
    with pytest.raises(RowError) as caught:
        gym_from_details({**DETAILS, field: [7]})
    assert caught.value.reason.startswith(field)


def test_a_hash_changes_with_the_content_and_with_nothing_else() -> None:
    assert content_hash({"b": 1, "a": "é"}) == content_hash({"a": "é", "b": 1})
    assert len(content_hash(None)) == 32
    assert review_hash(review(text="a", rating="4")) == review_hash(review(text="a", rating=4.0))
    assert review_hash(review(text="a")) != review_hash(review(text=None))
    assert gym_hash(gym_from_row({"place_id": "p"})) == gym_hash(gym_from_row({"place_id": "p", "x": None}))
    assert gym_hash(gym_from_row({"place_id": "p"})) != gym_hash(gym_from_row({"place_id": "p", "x": 1}))
