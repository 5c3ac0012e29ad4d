"""Every way a request to the Places API can fail, and what then happens.

Error bodies are Google's: `{"error": {"code", "message", "status", "details": [{"reason"}]}}`, see
https://cloud.google.com/apis/design/errors. What they say in words is never repeated: it may quote a key.
"""

import re
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from gym_enrichment.domain.retry_after import retry_after


class PlacesErrorKind(StrEnum):
    """The conditions that are told apart."""

    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    BROKEN_ANSWER = "broken_answer"
    GONE = "gone"
    BAD_REQUEST = "bad_request"
    QUOTA_EXHAUSTED = "quota_exhausted"
    REFUSED = "refused"


TRANSIENT = frozenset(
    {
        PlacesErrorKind.RATE_LIMITED,
        PlacesErrorKind.SERVER_ERROR,
        PlacesErrorKind.TIMEOUT,
        PlacesErrorKind.CONNECTION,
        PlacesErrorKind.BROKEN_ANSWER,
    }
)
"""The same request may succeed a little later."""

STOPS = frozenset({PlacesErrorKind.QUOTA_EXHAUSTED, PlacesErrorKind.REFUSED})
"""No request can succeed before somebody mends the configuration, or before Google's day is over."""

MAYBE_CHARGED = frozenset({PlacesErrorKind.TIMEOUT, PlacesErrorKind.BROKEN_ANSWER, PlacesErrorKind.GONE})
"""The request may be on the bill. Google bills successful requests; whether "not found" is one it does not say."""

_REASON = re.compile(r"[A-Z][A-Z_]{2,60}")


class PlacesError(Exception):
    """One request failed.

    Args:
        kind: which condition.
        message: for people; holds nothing of Google's words and no key.
        retry_after: seconds that Google asks to wait, None when it did not say.
    """

    def __init__(self, kind: PlacesErrorKind, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after = retry_after


def error_of(status: int, body: Any, headers: Mapping[str, str]) -> PlacesError:
    """The error that an answer other than 200 means.

    Args:
        status: of HTTP.
        body: the answer's JSON, or None.
        headers: of the answer.
    """
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {}
    named = _reason(error)
    shown = f"Google Places answers HTTP {status}{f' {named}' if named else ''}"
    words = str(error.get("message") or "").lower()
    if status == 404:
        # Without an error body of Google's, somebody else answers: a wrong GYM_PLACES_URL.
        if error.get("status") != "NOT_FOUND":
            return PlacesError(PlacesErrorKind.REFUSED, f"{shown}: is GYM_PLACES_URL right?")
        return PlacesError(PlacesErrorKind.GONE, "Google Places knows no such place any more (NOT_FOUND)")
    wait = retry_after(headers.get("Retry-After"), time.time())
    if status == 429:
        if "per day" in words:
            message = f"{shown}: the project's quota of requests per day is used up until midnight Pacific time"
            return PlacesError(PlacesErrorKind.QUOTA_EXHAUSTED, message)
        return PlacesError(PlacesErrorKind.RATE_LIMITED, shown, wait)
    if status >= 500:
        return PlacesError(PlacesErrorKind.SERVER_ERROR, shown, wait)
    if status == 400 and named != "API_KEY_INVALID":
        if "place id" in words:
            return PlacesError(PlacesErrorKind.GONE, "Google Places says that this is no place id (INVALID_ARGUMENT)")
        return PlacesError(PlacesErrorKind.BAD_REQUEST, f"{shown}: it does not understand the request")
    mend = "check GOOGLE_PLACES_API_KEY, its restrictions, and that Places API (New) and billing are enabled"
    return PlacesError(PlacesErrorKind.REFUSED, f"{shown}: {mend}")


def _reason(error: Mapping[str, Any]) -> str | None:
    """Google's word for what is wrong, if it is one of its constants: nothing else of an error body is shown."""
    details = error.get("details")
    found = (
        [detail.get("reason") for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []
    )
    for word in (*found, error.get("status")):
        if isinstance(word, str) and _REASON.fullmatch(word):
            return word
    return None
