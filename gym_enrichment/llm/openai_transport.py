"""Sends requests over the openai client and names what went wrong. One call here is one attempt.

A module of its own because importing openai takes a second, which only processes that call should pay.
"""

import json
import math
import re
import time
from collections.abc import Mapping
from contextlib import suppress

import aiohttp
import httpx2
import openai

from gym_enrichment.domain.retry_after import retry_after
from gym_enrichment.llm.allowance import read_allowance
from gym_enrichment.llm.errors import CallError, ErrorKind
from gym_enrichment.llm.requests import RawAnswer
from gym_enrichment.llm.transport import read_answer

_REDIRECTS = (301, 302, 303, 307, 308)
_STATUS_KINDS = {
    # None is followed: it would take reviews, and with them the key, to a host that nobody configured.
    **dict.fromkeys(_REDIRECTS, ErrorKind.MODEL_NOT_FOUND),
    401: ErrorKind.UNAUTHORIZED,
    403: ErrorKind.FORBIDDEN,
    404: ErrorKind.MODEL_NOT_FOUND,
    408: ErrorKind.TIMEOUT,
    409: ErrorKind.CONFLICT,
    413: ErrorKind.TOO_LARGE,
    429: ErrorKind.RATE_LIMITED,
}
# The `code` of OpenAI's error object, where it says more than the status.
_CODE_KINDS = {
    "insufficient_quota": ErrorKind.QUOTA_EXHAUSTED,
    "billing_hard_limit_reached": ErrorKind.QUOTA_EXHAUSTED,
    "invalid_api_key": ErrorKind.UNAUTHORIZED,
    "model_not_found": ErrorKind.MODEL_NOT_FOUND,
    "context_length_exceeded": ErrorKind.CONTEXT_OVERFLOW,
    "content_filter": ErrorKind.CONTENT_FILTER,
    "content_policy_violation": ErrorKind.CONTENT_FILTER,
}
_CODE = re.compile(r"[\w.-]{1,60}", re.ASCII)
_ADVICE = {
    ErrorKind.BAD_REQUEST: "the server refuses the request; one that knows only a part of OpenAI's protocol needs"
    " GYM_LLM_PROTOCOL=grammar or basic",
    # llama.cpp's Python server answers so to a response_format that it does not know.
    ErrorKind.SERVER_ERROR: "the server fails; one that fails at every call may need GYM_LLM_PROTOCOL=grammar or basic",
    ErrorKind.UNAUTHORIZED: "the server does not accept the key: check OPENAI_API_KEY and OPENAI_BASE_URL",
    ErrorKind.FORBIDDEN: "the key may not use this model or server: check its permissions and GYM_LLM_MODEL",
    ErrorKind.MODEL_NOT_FOUND: "the server does not know this model or address: check GYM_LLM_MODEL and"
    " OPENAI_BASE_URL (it usually ends in /v1; redirects are not followed)",
    ErrorKind.QUOTA_EXHAUSTED: "the account's quota is used up: check its billing, then run again",
}


_HEADERS = {"authorization", "openai-organization", "openai-project", "content-type", "accept", "user-agent"}
"""What a call says besides its body; the client's own headers about the platform are nobody's business."""


class OpenAITransport:
    """Chat completions at a server that speaks OpenAI's protocol.

    Args:
        api_key: sent as a bearer token.
        base_url: None for OpenAI itself.
        timeout: seconds for one answer.
    """

    def __init__(self, api_key: str, base_url: str | None, timeout: float) -> None:
        self._http = openai.DefaultAioHttpClient(timeout=timeout, follow_redirects=False)
        # The client knows who asks (key, organization, project) and where; a call itself goes straight over its
        # HTTP client: what the layers between do with every request, rendered bytes do not need, and it took
        # a third of the CPU of a call.
        client = openai.AsyncOpenAI(api_key=api_key, base_url=base_url, http_client=self._http)
        said = {name: value for name, value in client.default_headers.items() if isinstance(value, str)}
        self._http.headers = httpx2.Headers({name: said[name] for name in said if name.lower() in _HEADERS})
        self._url = httpx2.URL(f"{client.base_url}chat/completions")

    async def send(self, content: bytes) -> RawAnswer:
        """One attempt.

        Raises:
            CallError: the call failed, or the answer cannot be used (empty, cut, refused).
        """
        try:
            response = await self._http.post(self._url, content=content)
        # `from None`: the client's own exceptions quote the request.
        except (httpx2.TransportError, httpx2.DecodingError, httpx2.TooManyRedirects) as error:
            raise connection_error(error) from None
        if response.is_success:
            return read_answer(response.content, response.status_code, response.headers)
        raise status_error(response.status_code, _error_code(response.content), response.headers)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def connection_error(error: Exception) -> CallError:
    """What broke, by aiohttp's word: the layers above it call every connection error a time-out."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, aiohttp.ClientError | TimeoutError):
        cause = cause.__cause__
    # A connection that was never made carried no prompt; anything later may have reached the model.
    unsent = isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
    if isinstance(cause, TimeoutError):
        return CallError(ErrorKind.TIMEOUT, "no answer within the time limit", maybe_charged=not unsent)
    name = type(cause or error).__name__
    return CallError(ErrorKind.CONNECTION, f"no connection: {name}", maybe_charged=not unsent)


def _error_code(content: bytes) -> object:
    """The `code` of OpenAI's error object; None where the body has none."""
    try:
        return json.loads(content)["error"]["code"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def readable_code(said: object) -> str:
    """A `code` as error objects have them; "" for anything else: it is stored and shown, and the server may say what it
    likes there."""
    return said if isinstance(said, str) and _CODE.fullmatch(said) else ""


def status_error(status: int, said_code: object, headers: Mapping[str, str]) -> CallError:
    """What an answer means whose HTTP status is no success; `said_code` is the `code` of its error object."""
    code = readable_code(said_code)
    kind = _CODE_KINDS.get(code) or _STATUS_KINDS.get(status)
    if kind is None:
        kind = ErrorKind.SERVER_ERROR if status >= 500 else ErrorKind.BAD_REQUEST
    # The server's own sentence may quote the prompt, so only its status and code are kept.
    said = f"HTTP {status}" + (f" {code}" if code else "")
    message = f"{_ADVICE[kind]} ({said})" if kind in _ADVICE else said
    return CallError(
        kind,
        message,
        http_status=status,
        retry_after=_retry_after(headers, time.time()),
        allowance=read_allowance(headers),
    )


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds from `retry-after-ms` (OpenAI) or `Retry-After`; None if neither can be read."""
    with suppress(TypeError, ValueError):
        milliseconds = float(headers.get("retry-after-ms") or "")
        if math.isfinite(milliseconds):
            return max(0.0, milliseconds / 1000)
    return retry_after(headers.get("retry-after"), now)
