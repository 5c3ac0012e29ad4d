"""What is asked of an LLM, what comes back, and the fingerprint that names one exact request.

What must not live here: sending (transport.py) and deciding (gateway.py).
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Generic, TypeVar

from gym_enrichment.llm.allowance import Allowance
from gym_enrichment.settings import LlmProtocol
from gym_enrichment.storage.llm_batches import Receipt

Checked = TypeVar("Checked")


SCHEMA_NOTE = "Answer with one JSON object of this JSON schema, and nothing else:"


@dataclass(frozen=True)
class LlmRequest:
    """One chat completion whose answer has a JSON schema.

    Args:
        endpoint: names the server in the fingerprint (its base URL).
        model: the model's name at that server.
        messages: role and content, static instructions first.
        schema_name: name of the schema, `[a-z0-9_]`.
        schema: JSON schema of the answer.
        parameters: what else goes into the body (`max_completion_tokens`, ...).
        place_id, variant: whom the ledger charges; not part of the fingerprint.
        hints: also in the body, but without influence on the answer (`prompt_cache_key`): not part of the
            fingerprint.
        protocol: how the server is told the schema; with BASIC it becomes a part of the first message.
        shorter: the same question with less text, for a server that finds this one too long; None if there
            is none.
    """

    endpoint: str
    model: str
    messages: Sequence[Mapping[str, str]]
    schema_name: str
    schema: Mapping[str, Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    place_id: str = ""
    variant: str = ""
    hints: Mapping[str, Any] = field(default_factory=dict)
    protocol: LlmProtocol = LlmProtocol.FULL
    shorter: Callable[[], "LlmRequest | None"] = lambda: None

    @cached_property
    def fingerprint(self) -> str:
        """64 hex characters over everything that shapes the answer: the server, and all that is sent but hints."""
        content = replace(self, hints={}).payload.content if self.hints else self.payload.content
        return hashlib.blake2b(self.endpoint.encode() + b"\n" + content, digest_size=32).hexdigest()

    @cached_property
    def payload(self) -> "Payload":
        """What is sent first. Rendered once; static parts stand in front, for providers' prompt caches."""
        return self.payload_with()

    def payload_with(self, extra_messages: Sequence[Mapping[str, str]] = (), **changed: Any) -> "Payload":
        """What is sent for a second chance: `extra_messages` follow, `changed` replaces parameters."""
        parameters = {**self.parameters, **changed}
        limit = parameters.get("max_completion_tokens")
        if self.protocol is not LlmProtocol.FULL and limit is not None:
            parameters["max_tokens"] = parameters.pop("max_completion_tokens")
        body = {
            "model": self.model,
            "response_format": self._response_format(),
            **parameters,
            **self.hints,
            "messages": [*self._first_messages(), *extra_messages],
        }
        return Payload(_json(body).encode(), limit)

    def _response_format(self) -> dict[str, Any]:
        match self.protocol:
            case LlmProtocol.FULL:
                described = {"name": self.schema_name, "strict": True, "schema": self.schema}
                return {"type": "json_schema", "json_schema": described}
            case LlmProtocol.GRAMMAR:
                return {"type": "json_object", "schema": self.schema}
            case LlmProtocol.BASIC:
                return {"type": "json_object"}

    def _first_messages(self) -> Sequence[Mapping[str, str]]:
        if self.protocol is not LlmProtocol.BASIC:
            return self.messages
        instructions, *others = self.messages
        told = f"{instructions['content']}\n\n{SCHEMA_NOTE}\n{_json(self.schema)}"
        return [{**instructions, "content": told}, *others]


@dataclass(frozen=True, slots=True)
class Payload:
    """The bytes of one HTTP request, and the limit that it sets to its answer."""

    content: bytes
    completion_limit: int | None


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What one HTTP call brought: the text, why it ended, and what the server counted.

    `receipt` comes from a transport whose results outlive a process: it is kept until they are booked.
    """

    content: str
    model: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    allowance: Allowance | None = None
    receipt: Receipt | None = None


@dataclass(slots=True)
class Usage:
    """What an ask cost, over all its attempts."""

    llm_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0

    def __iadd__(self, other: "Usage") -> "Usage":
        self.llm_calls += other.llm_calls
        self.prompt_tokens += other.prompt_tokens
        self.completion_tokens += other.completion_tokens
        self.cost_usd += other.cost_usd
        return self

    def add(self, prompt_tokens: int, completion_tokens: int, cost_usd: float) -> None:
        """Count one more attempt."""
        self.llm_calls += 1
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        self.cost_usd += cost_usd


@dataclass(frozen=True, slots=True)
class Answer(Generic[Checked]):
    """A checked answer: the value, which model gave it, what was paid now and whether it was known before."""

    value: Checked
    model: str
    usage: Usage
    from_cache: bool


class AskFailed(Exception):
    """A gym got no valid answer. `kind` as in errors.py; `usage` is what the attempts cost."""

    def __init__(self, kind: str, message: str, usage: Usage) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.usage = usage


class BudgetReached(Exception):
    """A call was not sent because a budget is spent: an outcome, not an error. Nothing of it may be retried.

    `usage` is what other calls about the same gym cost.
    """

    def __init__(self, budgets: Mapping[str, float]) -> None:
        self.usage = Usage()
        caps = ", ".join(f"${dollars:g} for {scope.partition(':')[0]}" for scope, dollars in sorted(budgets.items()))
        super().__init__(f"the budget is reached ({caps})")
