"""What each error answer of the Places API means, and that nothing of Google's words is repeated."""

from typing import Any

import pytest

from gym_enrichment.sources.google_places.errors import PlacesErrorKind, error_of

SECRET = "AIzaSy-secret"


def body(status: str, message: str = "", reason: str | None = None) -> dict[str, Any]:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
    return {"error": {"code": 0, "status": status, "message": f"{message} {SECRET}", "details": details}}


PER_DAY = "Quota exceeded for quota metric 'GetPlaceRequest' and limit 'GetPlaceRequest per day' of service"
PER_MINUTE = PER_DAY.replace("day", "minute")


@pytest.mark.parametrize(
    ("status", "answer", "kind", "shown"),
    [
        (400, body("INVALID_ARGUMENT", "API key not valid.", "API_KEY_INVALID"), "refused", "API_KEY_INVALID"),
        (400, body("INVALID_ARGUMENT", "Not a valid Place ID: x"), "gone", "no place id"),
        (400, body("INVALID_ARGUMENT", "FieldMask is a required parameter."), "bad_request", "INVALID_ARGUMENT"),
        (403, body("PERMISSION_DENIED", "", "SERVICE_DISABLED"), "refused", "SERVICE_DISABLED"),
        (403, None, "refused", "HTTP 403"),
        (404, body("NOT_FOUND"), "gone", "NOT_FOUND"),
        (404, None, "refused", "GYM_PLACES_URL"),
        (302, None, "refused", "HTTP 302"),
        (429, body("RESOURCE_EXHAUSTED", PER_DAY), "quota_exhausted", "midnight Pacific"),
        (429, body("RESOURCE_EXHAUSTED", PER_MINUTE), "rate_limited", "RESOURCE_EXHAUSTED"),
        (500, body("INTERNAL"), "server_error", "HTTP 500"),
        (503, {"error": ["what"]}, "server_error", "HTTP 503"),
        (
            500,
            {"error": {"status": f"sneaky {SECRET}", "details": [SECRET, {"reason": SECRET}]}},
            "server_error",
            "500",
        ),
    ],
)
def test_an_error_answer_is_told_by_its_kind(status: int, answer: Any, kind: str, shown: str) -> None:
    error = error_of(status, answer, {})
    assert error.kind is PlacesErrorKind(kind)
    assert shown in error.message
    assert SECRET not in error.message


@pytest.mark.parametrize(("header", "seconds"), [("12", 12.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), (None, None)])
def test_the_wait_that_google_asks_for_is_known(header: str | None, seconds: float | None) -> None:
    headers = {} if header is None else {"Retry-After": header}
    assert error_of(429, body("RESOURCE_EXHAUSTED", PER_MINUTE), headers).retry_after == seconds
