"""What a server says of its rate limits in the headers of an answer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


@dataclass(frozen=True, slots=True)
class Left:
    """How much is left of a limit, and in how many seconds it is full again."""

    remaining: int
    reset_seconds: float


@dataclass(frozen=True, slots=True)
class Allowance:
    """Requests and tokens left, as far as the server says."""

    requests: Left | None
    tokens: Left | None


def read_allowance(headers: Mapping[str, str]) -> Allowance | None:
    """The `x-ratelimit-remaining-*` and `x-ratelimit-reset-*` headers (OpenAI's API reference); None without them."""
    requests, tokens = _left(headers, "requests"), _left(headers, "tokens")
    return Allowance(requests, tokens) if requests or tokens else None


def _left(headers: Mapping[str, str], what: str) -> Left | None:
    remaining = headers.get(f"x-ratelimit-remaining-{what}")
    reset = _duration(headers.get(f"x-ratelimit-reset-{what}") or "")
    if remaining is None or reset is None or not remaining.strip().isdecimal():
        return None
    return Left(int(remaining), reset)


def _duration(text: str) -> float | None:
    """Seconds in OpenAI's spelling ("1s", "6m0s", "20ms") or as a plain number; None if it is neither."""
    parts = _DURATION.findall(text.strip())
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)
