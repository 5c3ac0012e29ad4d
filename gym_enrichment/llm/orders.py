"""What is known of one call: before it is sent, and when it ended.

What must not live here: doing any of it (caller.py).
"""

import json
import math
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, runtime_checkable

from gym_enrichment.llm.errors import CallError
from gym_enrichment.llm.pricing import Price
from gym_enrichment.llm.requests import LlmRequest, Payload, RawAnswer, Usage
from gym_enrichment.prompts.tokens import count_tokens
from gym_enrichment.storage.llm_admission import NANO, Admission, Settlement, Want


@runtime_checkable
class KeepsResults(Protocol):
    """A transport whose results outlive this process: so must what is reserved for them."""

    def name_of(self, content: bytes) -> str:
        """Names a request in every process."""


@dataclass(frozen=True, slots=True)
class Order:
    """A call that may be sent now."""

    request: LlmRequest
    payload: Payload
    usage: Usage
    price: Price
    want: Want
    admission: Admission


@dataclass(frozen=True, slots=True)
class Sent:
    """A call that was sent, and how it ended."""

    order: Order
    raw: RawAnswer
    error: CallError | None
    started_at: datetime
    seconds: float

    def cost(self) -> float:
        """Dollars, by what the server counted."""
        raw = self.raw
        return self.order.price.cost(raw.prompt_tokens, raw.cached_tokens, raw.completion_tokens)

    def settlement(self, cost: float) -> Settlement:
        """What the call took of limits and budgets. One that may have been charged for unseen counts in full."""
        want = self.order.want
        unseen = self.error is not None and self.error.maybe_charged
        used = self.raw.prompt_tokens + self.raw.completion_tokens
        return Settlement(
            counted_in=self.order.admission.counted_in,
            token_correction=(used - want.tokens) if used else 0,
            reserved=want.worst_cost,
            cost=want.worst_cost if unseen else math.ceil(cost * NANO),
            request=want.request,
        )


def counted_here(raw: RawAnswer, payload: Payload) -> RawAnswer:
    """An answer with tokens: the server's own count, or ours if it gave none (some servers do not count)."""
    if raw.prompt_tokens or raw.completion_tokens or not raw.content:
        return raw
    body = json.loads(payload.content)
    prompt = sum(count_tokens(message["content"]) for message in body["messages"])
    return replace(raw, prompt_tokens=prompt, completion_tokens=count_tokens(raw.content))


class TokenGuess:
    """Guesses a call's tokens from its bytes, better with every answer."""

    def __init__(self) -> None:
        self._prompt_per_byte = 0.35
        self._completion: float | None = None

    def guess(self, size: int, most_completion: int) -> int:
        """Tokens that a call of `size` bytes will likely take, answer included."""
        completion = most_completion if self._completion is None else min(self._completion * 1.5, most_completion)
        return int(size * self._prompt_per_byte + completion)

    def learn(self, size: int, raw: RawAnswer) -> None:
        """Compare with what the server counted."""
        if raw.prompt_tokens:
            self._prompt_per_byte += 0.1 * (raw.prompt_tokens / size - self._prompt_per_byte)
            before = self._completion if self._completion is not None else raw.completion_tokens
            self._completion = before + 0.1 * (raw.completion_tokens - before)
