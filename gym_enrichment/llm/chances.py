"""What one request is asked next after an attempt that failed, and when it has had all its chances.

What must not live here: sending (caller.py), and what an error means (the table in errors.py).
"""

from typing import Any

from gym_enrichment.llm.caller import BrokenRules
from gym_enrichment.llm.errors import CallError, Reaction
from gym_enrichment.llm.requests import LlmRequest
from gym_enrichment.llm.transport import UnusableAnswer

SEND_BACK_NOTE = "Your answer breaks these rules. Answer again with the whole JSON, mended:"
MOST_UNFINISHED = 5
"""Attempts at a request while its answers are cut, or garbled, by chance: of a server that does so to one answer in
ten, one request in 100,000 fails; a model that knows no better costs five calls a gym."""


class Chances:
    """The attempts at one request: `payload` is what to send next.

    A transient error is retried until `max_attempts`. An answer that breaks a rule is sent back once with the
    reasons, a cut one is given twice the limit once, a text too long for the model is shortened once. What was
    plainly an accident (no JSON, or cut though its limit was not reached) is then asked anew, a few times.

    Args:
        request: what is asked.
        max_attempts: attempts while its errors are transient.
    """

    def __init__(self, request: LlmRequest, max_attempts: int) -> None:
        self.payload = request.payload
        self.sent_back = False
        self.retries = 0
        self._unfinished = 0
        self._request = request
        self._max_attempts = max_attempts
        self._most_unfinished = min(MOST_UNFINISHED, max_attempts)
        self._limit_raised = False
        self._shortened = False

    def another(self, error: CallError) -> bool:
        """Whether there is another chance after `error`; `payload` is then what it is taken with."""
        match error.reaction:
            case Reaction.RETRY:
                self.retries += 1
                return self.retries < self._max_attempts
            case Reaction.SHORTEN:
                return self._shorten()
            case Reaction.SEND_BACK if isinstance(error, BrokenRules):
                return self._send_back(error)
            case Reaction.SEND_BACK:
                return self._raise_limit(error)
            case _:
                return False

    def _shorten(self) -> bool:
        shorter = None if self._shortened else self._request.shorter()
        self._shortened = True
        if shorter is None:
            return False
        self._request, self.payload = shorter, shorter.payload
        return True

    def _send_back(self, error: BrokenRules) -> bool:
        if self.sent_back:
            self.payload = self._request.payload_with(**self._limits())
            return error.malformed and self._once_more()
        self.sent_back = True
        reasons = "\n".join(f"- {reason}" for reason in error.reasons)
        dialogue = [
            {"role": "assistant", "content": error.text},
            {"role": "user", "content": f"{SEND_BACK_NOTE}\n{reasons}"},
        ]
        self.payload = self._request.payload_with(dialogue, **self._limits())
        return True

    def _raise_limit(self, error: CallError) -> bool:
        if self._limit_raised:
            by_chance = _cut_below(error, self.payload.completion_limit)
            return by_chance and self._once_more()
        self._limit_raised = True
        self.payload = self._request.payload_with(**self._limits())
        return True

    def _once_more(self) -> bool:
        """After an accident that had its second chance already."""
        self._unfinished += 1
        return self._unfinished < self._most_unfinished - 1

    def _limits(self) -> dict[str, Any]:
        limit = self._request.parameters.get("max_completion_tokens")
        return {"max_completion_tokens": 2 * limit} if limit and self._limit_raised else {}


def _cut_below(error: CallError, limit: int | None) -> bool:
    """Whether an answer was cut before its limit, as far as the server counts."""
    return isinstance(error, UnusableAnswer) and (limit is None or error.answer.completion_tokens < limit)
