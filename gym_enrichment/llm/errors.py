"""Every way a call can fail, and what then happens: one table, read by the gateway.

What must not live here: the retrying itself (gateway.py) and what an answer must hold (prompts/).
"""

from enum import StrEnum

from gym_enrichment.llm.allowance import Allowance
from gym_enrichment.storage.llm_batches import Receipt


class ErrorKind(StrEnum):
    """The conditions that are told apart; the value is what ledger, failures and logs say."""

    CONNECTION = "connection"
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    CONFLICT = "conflict"
    QUOTA_EXHAUSTED = "quota_exhausted"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    MODEL_NOT_FOUND = "model_not_found"
    BAD_REQUEST = "bad_request"
    CONTEXT_OVERFLOW = "context_overflow"
    TOO_LARGE = "too_large"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    INVALID_ANSWER = "invalid_answer"
    UNPRICED = "unpriced"
    CANCELLED = "cancelled"
    IN_API_BATCH = "in_api_batch"


class Reaction(StrEnum):
    """What the gateway does about an error."""

    RETRY = "retry"
    """Wait (Retry-After, or exponential backoff with full jitter), then send the same again."""
    SEND_BACK = "send_back"
    """Ask once more: with the broken rules named, or with a larger limit when the answer was cut."""
    SHORTEN = "shorten"
    """Ask once more with fewer reviews."""
    GYM_FAILS = "gym_fails"
    """No repetition can help this gym; its neighbours go on."""
    RUN_STOPS = "run_stops"
    """No gym can succeed before somebody mends the configuration: one message, not one per gym."""


REACTIONS: dict[ErrorKind, Reaction] = {
    ErrorKind.CONNECTION: Reaction.RETRY,
    ErrorKind.TIMEOUT: Reaction.RETRY,
    ErrorKind.RATE_LIMITED: Reaction.RETRY,
    ErrorKind.SERVER_ERROR: Reaction.RETRY,
    ErrorKind.CONFLICT: Reaction.RETRY,
    ErrorKind.EMPTY: Reaction.RETRY,
    ErrorKind.TRUNCATED: Reaction.SEND_BACK,
    ErrorKind.INVALID_ANSWER: Reaction.SEND_BACK,
    ErrorKind.BAD_REQUEST: Reaction.GYM_FAILS,
    ErrorKind.CONTEXT_OVERFLOW: Reaction.SHORTEN,
    ErrorKind.TOO_LARGE: Reaction.SHORTEN,
    ErrorKind.CONTENT_FILTER: Reaction.GYM_FAILS,
    ErrorKind.REFUSAL: Reaction.GYM_FAILS,
    ErrorKind.CANCELLED: Reaction.GYM_FAILS,
    ErrorKind.IN_API_BATCH: Reaction.GYM_FAILS,
    ErrorKind.QUOTA_EXHAUSTED: Reaction.RUN_STOPS,
    ErrorKind.UNAUTHORIZED: Reaction.RUN_STOPS,
    ErrorKind.FORBIDDEN: Reaction.RUN_STOPS,
    ErrorKind.MODEL_NOT_FOUND: Reaction.RUN_STOPS,
    ErrorKind.UNPRICED: Reaction.RUN_STOPS,
}


class CallError(Exception):
    """One attempt failed.

    Args:
        kind: which condition.
        message: for people; holds no review text, no prompt and no secret.
        http_status: the server's status when there was an answer.
        retry_after: seconds the server asks to wait, None when it did not say.
        maybe_charged: the call may have reached the model, so that it counts against budgets.
        allowance: what the server's rate-limit headers said, if there were any.

    `receipt` is set by a transport whose results outlive a process: it is kept until they are booked.
    """

    receipt: Receipt | None = None

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        http_status: int | None = None,
        retry_after: float | None = None,
        maybe_charged: bool = False,
        allowance: Allowance | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.http_status = http_status
        self.retry_after = retry_after
        self.maybe_charged = maybe_charged
        self.allowance = allowance

    @property
    def reaction(self) -> Reaction:
        """What the table says of this kind."""
        return REACTIONS[self.kind]


class RunStopped(Exception):
    """The whole run cannot go on; the message says what to mend. Everything finished stays saved."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
