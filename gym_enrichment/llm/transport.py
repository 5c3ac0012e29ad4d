"""The seam between the gateway and a protocol: sends one request, reads one chat completion.

What must not live here: retries, limits, caching (gateway.py) and a client (openai_transport.py).
"""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from gym_enrichment.llm.allowance import read_allowance
from gym_enrichment.llm.errors import CallError, ErrorKind
from gym_enrichment.llm.requests import RawAnswer

_MOST_TOKENS = 100_000_000


class Transport(Protocol):
    """Sends one body, returns one answer. The seam at which another protocol would be added."""

    async def send(self, content: bytes) -> RawAnswer:
        """One attempt; raises CallError."""

    async def close(self) -> None:
        """Give back the connections."""


def read_answer(content: bytes, status: int, headers: Mapping[str, str]) -> RawAnswer:
    """The answer in the body of a chat completion.

    Raises:
        CallError: not a chat completion (SERVER_ERROR), or one that cannot be used (UnusableAnswer).
    """
    try:
        payload = json.loads(content)
    except (ValueError, RecursionError):
        payload = None
    return read_completion(payload, status, headers)


def read_completion(payload: Any, status: int, headers: Mapping[str, str]) -> RawAnswer:
    """The answer in a chat completion that is parsed already; as `read_answer`."""
    try:
        choice = payload["choices"][0]
        message = choice["message"]
        usage = payload.get("usage") or {}
        answer = RawAnswer(
            content=_storable(message.get("content")),
            model=_storable(payload.get("model")),
            prompt_tokens=_count(usage.get("prompt_tokens")),
            cached_tokens=_count((usage.get("prompt_tokens_details") or {}).get("cached_tokens")),
            completion_tokens=_count(usage.get("completion_tokens")),
            allowance=read_allowance(headers),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise CallError(
            ErrorKind.SERVER_ERROR,
            "the server's answer is not a chat completion",
            http_status=status,
            maybe_charged=True,
        ) from None
    problem = _unusable(choice.get("finish_reason"), bool(message.get("refusal")), answer.content)
    if problem is not None:
        raise UnusableAnswer(*problem, http_status=status, answer=answer)
    return answer


class UnusableAnswer(CallError):
    """The server answered, and charges for it, but there is nothing to check."""

    def __init__(self, kind: ErrorKind, message: str, *, http_status: int, answer: RawAnswer) -> None:
        super().__init__(kind, message, http_status=http_status)
        self.answer = answer


def _storable(text: Any) -> str:
    """A string without what databases refuse: NUL and halves of characters. Raises TypeError for another type."""
    if text is None:
        return ""
    if not isinstance(text, str):
        raise TypeError("not a string")
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _count(value: Any) -> int:
    """A number of tokens; 0 for what cannot be one."""
    return value if isinstance(value, int) and 0 <= value <= _MOST_TOKENS else 0


def _unusable(finish_reason: str | None, refused: bool, content: str) -> tuple[ErrorKind, str] | None:
    if finish_reason == "content_filter":
        return ErrorKind.CONTENT_FILTER, "the provider's content filter stopped the answer"
    if refused:
        return ErrorKind.REFUSAL, "the model refused to answer"
    if finish_reason == "length":
        return ErrorKind.TRUNCATED, "the answer was cut at its token limit"
    if not content.strip():
        return ErrorKind.EMPTY, "the answer is empty"
    return None
