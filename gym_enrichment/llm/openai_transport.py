"""Sends requests over the openai client and names what went wrong. One call here is one attempt.

A module of its own because importing openai takes a second, which only processes that call should pay.
"""

import email.utils
import time
from collections.abc import Mapping
from typing import Any

import openai

from gym_enrichment.llm.errors import CallError, ErrorKind
from gym_enrichment.llm.requests import RawAnswer
from gym_enrichment.llm.transport import read_answer

_STATUS_KINDS = {
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
_ADVICE = {
    ErrorKind.UNAUTHORIZED: "the server does not accept the key: check OPENAI_API_KEY and OPENAI_BASE_URL",
    ErrorKind.FORBIDDEN: "the key may not use this model or server: check its permissions and GYM_LLM_MODEL",
    ErrorKind.MODEL_NOT_FOUND: "the server does not know this model or address: check GYM_LLM_MODEL and"
    " OPENAI_BASE_URL (it usually ends in /v1)",
    ErrorKind.QUOTA_EXHAUSTED: "the account's quota is used up: check its billing, then run again",
}


class OpenAITransport:
    """Chat completions at a server that speaks OpenAI's protocol.

    Args:
        api_key: sent as a bearer token.
        base_url: None for OpenAI itself.
        timeout: seconds for one answer.
    """

    def __init__(self, api_key: str, base_url: str | None, timeout: float) -> None:
        # Retries are counted and paced by the gateway; the client's own two would hide from the ledger.
        self._client = openai.AsyncOpenAI(
            api_key=api_key,
            base_url=base_url,
            timeout=timeout,
            max_retries=0,
            http_client=openai.DefaultAioHttpClient(timeout=timeout),
        )
        self._create = self._client.chat.completions.with_raw_response.create

    async def send(self, body: Mapping[str, Any]) -> RawAnswer:
        """One attempt.

        Raises:
            CallError: the call failed, or the answer cannot be used (empty, cut, refused).
        """
        try:
            response = await self._create(**body)
        except openai.APITimeoutError as error:
            raise CallError(ErrorKind.TIMEOUT, "no answer within the time limit") from error
        except openai.APIConnectionError as error:
            raise CallError(ErrorKind.CONNECTION, f"no connection: {type(error.__cause__).__name__}") from error
        except openai.APIStatusError as error:
            raise _status_error(error) from error
        return read_answer(response.http_response.content, response.status_code)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def _status_error(error: openai.APIStatusError) -> CallError:
    status = error.status_code
    code = error.code if isinstance(error.code, str) else ""
    kind = _CODE_KINDS.get(code) or _STATUS_KINDS.get(status)
    if kind is None:
        kind = ErrorKind.SERVER_ERROR if status >= 500 else ErrorKind.BAD_REQUEST
    # The server's own sentence may quote the prompt, so only its status and code are kept.
    said = f"HTTP {status}" + (f" {code[:60]}" if code else "")
    message = f"{_ADVICE[kind]} ({said})" if kind in _ADVICE else said
    return CallError(kind, message, http_status=status, retry_after=_retry_after(error.response.headers, time.time()))


def _retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds from `retry-after-ms` (OpenAI) or `Retry-After` (seconds or a date, RFC 9110); None if neither."""
    milliseconds = headers.get("retry-after-ms")
    value = headers.get("retry-after")
    try:
        if milliseconds is not None:
            return max(0.0, float(milliseconds) / 1000)
        if value is None:
            return None
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(str(value)).timestamp() - now)
    except (TypeError, ValueError):
        return None
