"""The rate-limit headers of OpenAI and of those who imitate it."""

import pytest

from gym_enrichment.llm.allowance import Allowance, Left, read_allowance


def headers(remaining: str, reset: str, what: str = "requests") -> dict[str, str]:
    return {f"x-ratelimit-remaining-{what}": remaining, f"x-ratelimit-reset-{what}": reset}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("0s", 0.0),
        ("6m0s", 360.0),
        ("20ms", 0.02),
        ("1m30.951s", 90.951),
        ("1h2m3s", 3723.0),
        ("2d", 172_800.0),
        ("1.5", 1.5),
        ("59", 59.0),
        (" 7s ", 7.0),
    ],
)
def test_a_reset_is_read_in_every_spelling(text: str, seconds: float) -> None:
    found = read_allowance(headers("12", text))

    assert found is not None
    assert found.tokens is None
    assert found.requests is not None
    assert found.requests.remaining == 12
    assert found.requests.reset_seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", " ", "soon", "1x", "s", "-1s", "1s later", "1,5", "nan", "inf", "1e5", "٣s;", "."]
)
def test_a_reset_that_cannot_be_read_says_nothing(text: str) -> None:
    assert read_allowance(headers("12", text)) is None


@pytest.mark.parametrize("remaining", ["", "-1", "many", "1.5", "1e3", "nan"])
def test_a_remainder_that_is_no_whole_number_says_nothing(remaining: str) -> None:
    assert read_allowance(headers(remaining, "1s")) is None


def test_requests_and_tokens_are_told_apart() -> None:
    both = headers("3", "2s") | headers("4000", "500ms", "tokens")

    assert read_allowance(both) == Allowance(Left(3, 2.0), Left(4000, 0.5))
    assert read_allowance(headers("4000", "500ms", "tokens")) == Allowance(None, Left(4000, 0.5))


def test_half_of_a_pair_says_nothing() -> None:
    assert read_allowance({"x-ratelimit-remaining-requests": "0"}) is None
    assert read_allowance({"x-ratelimit-reset-requests": "9s"}) is None
    assert read_allowance({}) is None
