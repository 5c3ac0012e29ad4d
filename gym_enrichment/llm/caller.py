"""One attempt at a time: wait for a place and for admission, send, learn from how it went, book it.

What must not live here: whether to try again (gateway.py).
"""

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Generic, TypeVar

from gym_enrichment.domain.answer_rules import AnswerRejected
from gym_enrichment.llm.books import Books, Record
from gym_enrichment.llm.breaker import Breaker
from gym_enrichment.llm.errors import CallError, ErrorKind, Reaction, RunStopped
from gym_enrichment.llm.fixed_limit import FixedLimit
from gym_enrichment.llm.limits import AdaptiveLimit
from gym_enrichment.llm.pricing import FREE, Price
from gym_enrichment.llm.requests import BudgetReached, LlmRequest, Payload, RawAnswer, Usage
from gym_enrichment.llm.transport import Transport, UnusableAnswer
from gym_enrichment.storage.llm_admission import NANO, Admission, Settlement, Terms, Verdict, Want
from gym_enrichment.storage.llm_calls import CachedAnswer, LedgerEntry

Checked = TypeVar("Checked")

_UNANSWERED = {ErrorKind.CONNECTION, ErrorKind.TIMEOUT, ErrorKind.RATE_LIMITED, ErrorKind.SERVER_ERROR}
"""What a provider that is down looks like; anything else proves that it lives."""
_OVERLOADED_STATUS = {429, 503, 529}
_LONGEST_WAIT_SECONDS = 600.0
"""A server that asks to wait for longer has no room for this run."""
_BLOCKED_SECONDS = 300.0
"""Reservations of other processes that are not settled for so long belong to crashed ones: they are spent."""
_LONGEST_BLOCKED_PAUSE = 10.0
"""Longest wait before looking again whether a budget has room."""
_MOST_COMPLETION = 4_096
"""Worst length of an answer when the request sets no limit of its own."""
_NOTHING = RawAnswer(content="", model="", prompt_tokens=0, cached_tokens=0, completion_tokens=0)


@dataclass(slots=True)
class GatewayStats:
    """What a gateway has done so far; every error that was retried or suppressed is counted by kind."""

    asked: int = 0
    llm_calls: int = 0
    cache_hits: int = 0
    in_flight: int = 0
    limit: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Called(Generic[Checked]):
    """An attempt that brought a valid answer, which is durable now; `seconds` are those on the wire."""

    value: Checked
    raw: RawAnswer
    seconds: float


class BrokenRules(CallError):
    """The answer came, and breaks rules: `rejected` says which, `text` is to show the LLM what it said."""

    def __init__(self, rejected: AnswerRejected, text: str) -> None:
        super().__init__(ErrorKind.INVALID_ANSWER, f"the answer breaks rules: {rejected}")
        self.reasons = rejected.reasons
        self.malformed = rejected.malformed
        self.text = text


class Caller:
    """Sends calls for one run. See `Gateway` for the arguments."""

    def __init__(
        self,
        transport: Transport,
        books: Books,
        terms: Terms,
        *,
        run_id: str,
        limit: AdaptiveLimit | FixedLimit,
        breaker: Breaker,
        price_of: Callable[[str], Price | None],
    ) -> None:
        self.stats = GatewayStats(limit=limit.limit)
        self._transport = transport
        self._books = books
        self._terms = terms
        self._run_id = run_id
        self._limit = limit
        self._breaker = breaker
        self._price_of = price_of
        self._tokens = _TokenGuess()
        self._budget_reached = False
        self._stopped: RunStopped | None = None
        self._ended = asyncio.Event()
        self._last_words: set[asyncio.Future[None]] = set()

    async def call(
        self,
        request: LlmRequest,
        payload: Payload,
        usage: Usage,
        check: Callable[[str], Checked],
        keep: Callable[[Checked, RawAnswer], Sequence[CachedAnswer]],
    ) -> Called[Checked]:
        """One attempt, added to `usage`; booked, with the answers that `keep` makes of it, before this returns.

        The place is held until then: what a crash can lose is never more than the calls allowed at once.

        Raises:
            CallError: it failed; BrokenRules if its answer did not pass `check`.
            BudgetReached: it was not sent.
            RunStopped: it showed that no call can succeed, or was one failure too many; or its price is unknown
                though a budget is set.
        """
        price = self._known_price(request.model)
        want = self._want(payload, price)
        async with self._limit.place(want.tokens):
            admission = await self._admitted(want)
            try:
                sent = await self._send(payload)
            except asyncio.CancelledError:
                self._book_cancelled(request, usage, want, admission)
                raise
            cost = price.cost(sent.raw.prompt_tokens, sent.raw.cached_tokens, sent.raw.completion_tokens)
            usage.add(sent.raw.prompt_tokens, sent.raw.completion_tokens, cost)
            self._count(sent.raw, cost)
            error = sent.error
            if error is None:
                try:
                    value = check(sent.raw.content)
                except AnswerRejected as rejected:
                    error = BrokenRules(rejected, sent.raw.content)
            record = Record(
                entry=self._entry(request, sent, error.kind if error else "ok", usage.llm_calls, cost),
                settlement=sent.settlement(want, admission, cost),
                receipt=sent.raw.receipt if sent.error is None else sent.error.receipt,
            )
            if error is None:
                answers = keep(value, sent.raw)
                await self._books.save(replace(record, answers=answers, released=[a.fingerprint for a in answers]))
                self._tokens.learn(len(payload.content), sent.raw)
                return Called(value, sent.raw, sent.seconds)
            self.stats.errors[error.kind] += 1
            self._judge(error)
            await self._books.save(record)
        if self._stopped is not None:
            raise self._stopped
        raise error

    async def _send(self, payload: Payload) -> "_Sent":
        started_at, started = datetime.now(UTC), time.monotonic()
        self.stats.in_flight += 1
        raw, error = _NOTHING, None
        try:
            raw = await self._transport.send(payload.content)
        except CallError as caught:
            error = caught
            if isinstance(caught, UnusableAnswer):
                raw = caught.answer
        finally:
            self.stats.in_flight -= 1
        seconds = time.monotonic() - started
        self._watch(raw, error, started, seconds)
        return _Sent(raw, error, started_at, seconds)

    def _judge(self, error: CallError) -> None:
        """Where going on makes no sense, let no further call begin: not even before this one is booked."""
        if self._stopped is not None:
            return  # one message, however many calls were on their way
        down = self._breaker.failed(error) if error.kind in _UNANSWERED else None
        if down is not None:
            self._stopped = RunStopped(error.kind, down)
        elif error.reaction is Reaction.RUN_STOPS:
            self._stopped = RunStopped(error.kind, error.message)
        elif error.retry_after is not None and error.retry_after > _LONGEST_WAIT_SECONDS:
            wait = f"the LLM server asks to wait {error.retry_after:,.0f} seconds"
            self._stopped = RunStopped(error.kind, f"{wait} ({error.message}): run again then")
        if self._stopped is not None:
            self._end()

    def _book_cancelled(self, request: LlmRequest, usage: Usage, want: Want, admission: Admission) -> None:
        """A call that the end of the run cut off may be charged for: it is in the ledger, and in the budget in full."""
        sent = _Sent(_NOTHING, CallError(ErrorKind.CANCELLED, "", maybe_charged=True), datetime.now(UTC), 0.0)
        record = Record(
            entry=self._entry(request, sent, ErrorKind.CANCELLED, usage.llm_calls + 1, 0.0),
            settlement=sent.settlement(want, admission, 0.0),
        )
        self._last_words.add(asyncio.ensure_future(self._books.save(record)))

    async def pause(self, seconds: float) -> None:
        """Wait, but not beyond the moment from which nothing is sent any more."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)

    def _end(self) -> None:
        """Nothing is sent from now on: whoever waits for anything learns it at once."""
        self._ended.set()
        if isinstance(self._limit, AdaptiveLimit):
            self._limit.open()

    async def finish(self) -> None:
        """Return when everything is durable."""
        if self._last_words:
            await asyncio.wait(self._last_words)
        await self._books.flush()

    def _watch(self, raw: RawAnswer, error: CallError | None, started: float, seconds: float) -> None:
        """Let the limit and the breaker see how the call went."""
        allowance = error.allowance if error is not None else raw.allowance
        if allowance is not None:
            self._limit.announced(allowance)
        if error is None:
            self._limit.answered(seconds)
        elif error.kind is ErrorKind.TIMEOUT or error.http_status in _OVERLOADED_STATUS:
            self._limit.refused(started, error.retry_after)
        if error is None or error.kind not in _UNANSWERED:
            self._breaker.answered()
        self.stats.limit = self._limit.limit

    async def _admitted(self, want: Want) -> Admission:
        """Wait until limits and budgets shared with other processes allow the call."""
        first_blocked: float | None = None
        blocked_since: float | None = None
        while not self._budget_reached:
            if self._stopped is not None:
                raise self._stopped
            admission = await self._books.admit(want)
            if admission.verdict is Verdict.ADMITTED:
                return admission
            if admission.verdict is Verdict.WAIT:
                await self.pause(admission.seconds)
                continue
            now = time.monotonic()
            first_blocked = first_blocked or now
            # What our own calls reserved will be settled: those of an API batch after hours.
            blocked_since = now if blocked_since is None or self.stats.in_flight else blocked_since
            if admission.verdict is Verdict.REACHED or now - blocked_since > _BLOCKED_SECONDS:
                self._budget_reached = True
                self._end()
                break
            pause = min(max(0.1, (now - first_blocked) / 10), _LONGEST_BLOCKED_PAUSE)
            await self.pause(pause * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        raise BudgetReached(self._terms.budgets)

    def _known_price(self, model: str) -> Price:
        price = self._price_of(model)
        if price is None and self._terms.budgets:
            raise RunStopped(
                ErrorKind.UNPRICED,
                f"a budget is set, but the price of the model {model!r} is not known: set GYM_LLM_PRICE_PROMPT and"
                " GYM_LLM_PRICE_COMPLETION (dollars per million tokens), or unset the budget",
            )
        return price or FREE

    def _want(self, payload: Payload, price: Price) -> Want:
        """Likely tokens, for the limits per minute; worst cost, for the budgets.

        No tokenizer makes more tokens than there are bytes, and no answer is longer than its limit.
        """
        size, most_completion = len(payload.content), payload.completion_limit or _MOST_COMPLETION
        worst = price.cost(size, 0, most_completion)
        return Want(self._tokens.guess(size, most_completion), math.ceil(worst * NANO))

    def _count(self, raw: RawAnswer, cost: float) -> None:
        self.stats.llm_calls += 1
        self.stats.prompt_tokens += raw.prompt_tokens
        self.stats.completion_tokens += raw.completion_tokens
        self.stats.cost_usd += cost

    def _entry(self, request: LlmRequest, sent: "_Sent", outcome: str, attempt: int, cost: float) -> LedgerEntry:
        return LedgerEntry(
            run_id=self._run_id,
            place_id=request.place_id,
            variant=request.variant,
            fingerprint=request.fingerprint,
            model=sent.raw.model or request.model,
            attempt=attempt,
            outcome=outcome,
            http_status=sent.error.http_status if sent.error else 200,
            prompt_tokens=sent.raw.prompt_tokens,
            cached_tokens=sent.raw.cached_tokens,
            completion_tokens=sent.raw.completion_tokens,
            cost_usd=cost,
            latency_seconds=sent.seconds,
            started_at=sent.started_at,
        )


@dataclass(frozen=True, slots=True)
class _Sent:
    """A call that was sent, and how it ended."""

    raw: RawAnswer
    error: CallError | None
    started_at: datetime
    seconds: float

    def settlement(self, want: Want, admission: Admission, cost: float) -> Settlement:
        """What the call took of limits and budgets. One that may have been charged for unseen counts in full."""
        unseen = self.error is not None and self.error.maybe_charged
        used = self.raw.prompt_tokens + self.raw.completion_tokens
        return Settlement(
            counted_in=admission.counted_in,
            token_correction=(used - want.tokens) if used else 0,
            reserved=want.worst_cost,
            cost=want.worst_cost if unseen else math.ceil(cost * NANO),
        )


class _TokenGuess:
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
