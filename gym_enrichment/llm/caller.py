"""One attempt at a time: wait for a place and for admission, send, learn from how it went, book it.

What must not live here: whether to try again (gateway.py).
"""

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Generic, TypeVar

from gym_enrichment.domain.answer_rules import AnswerRejected
from gym_enrichment.llm.books import Books, Claim, Record
from gym_enrichment.llm.breaker import Breaker
from gym_enrichment.llm.errors import CallError, ErrorKind, Reaction, RunStopped
from gym_enrichment.llm.fixed_limit import FixedLimit
from gym_enrichment.llm.limits import AdaptiveLimit
from gym_enrichment.llm.orders import KeepsResults, Order, Sent, TokenGuess, counted_here
from gym_enrichment.llm.pricing import FREE, Price
from gym_enrichment.llm.requests import AskFailed, BudgetReached, LlmRequest, Payload, RawAnswer, Usage
from gym_enrichment.llm.transport import Transport, UnusableAnswer
from gym_enrichment.storage.llm_admission import NANO, Admission, Terms, Verdict, Want
from gym_enrichment.storage.llm_batches import custom_id_of
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
_LOOK_AGAIN_SECONDS = 0.5
"""How soon to look again for an answer that another process is paying for, whom a lease of ours fell to."""
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


def accept(check: Callable[[str], Checked], text: str) -> Checked:
    """What `check` makes of `text`, if need be what can be used of it; raises AnswerRejected if nothing can."""
    try:
        return check(text)
    except AnswerRejected as rejected:
        if rejected.usable is None:
            raise
        usable: Checked = rejected.usable
        return usable


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
        self.stats = GatewayStats(limit=limit.limit, errors=books.errors)
        self._transport = transport
        self._books = books
        self._terms = terms
        self._run_id = run_id
        self._limit = limit
        self._breaker = breaker
        self._price_of = price_of
        self._tokens = TokenGuess()
        self._keeper = transport if isinstance(transport, KeepsResults) else None
        self._names: set[str] = set()
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
        await self._leave_to_its_batch(request, payload, usage)
        with self._named(payload) as name:
            want = self._want(payload, price, name)
            while True:
                async with self._limit.place(want.tokens):
                    admission = await self._admitted(want)
                    order = Order(request, payload, usage, price, want, admission)
                    if not await self._lease_is_lost(order):
                        return await self._book(await self._send(order), check, keep)
                if (known := await self._answered_elsewhere(request, check)) is not None:
                    return known

    async def _book(
        self,
        sent: Sent,
        check: Callable[[str], Checked],
        keep: Callable[[Checked, RawAnswer], Sequence[CachedAnswer]],
    ) -> Called[Checked]:
        """Judge what came, and make it durable; returns it if it is good, raises what it shows if not."""
        usage, cost = sent.order.usage, sent.cost()
        usage.add(sent.raw.prompt_tokens, sent.raw.completion_tokens, cost)
        self._count(sent.raw, cost)
        error = sent.error
        if error is None:
            try:
                value = check(sent.raw.content)
            except AnswerRejected as rejected:
                error = BrokenRules(rejected, sent.raw.content)
        record = Record(
            entry=self._entry(sent, error.kind if error else "ok", usage.llm_calls, cost),
            settlement=sent.settlement(cost),
            receipt=sent.raw.receipt if sent.error is None else sent.error.receipt,
        )
        if error is None:
            answers = keep(value, sent.raw)
            await self._books.save(replace(record, answers=answers, released=[a.fingerprint for a in answers]))
            self._tokens.learn(len(sent.order.payload.content), sent.raw)
            return Called(value, sent.raw, sent.seconds)
        self.stats.errors[error.kind] += 1
        self._judge(error)
        await self._books.save(record)
        raise self._stopped or error

    async def _leave_to_its_batch(self, request: LlmRequest, payload: Payload, usage: Usage) -> None:
        """What an API batch was charged for is not asked, and paid, a second time."""
        if self._keeper is not None:
            return
        batch = await self._books.open_batch(lambda: custom_id_of(request.endpoint, payload.content))
        if batch is not None:
            self.stats.errors[ErrorKind.IN_API_BATCH] += 1
            message = f"its answer is being made in the API batch {batch}: run with GYM_LLM_MODE=batch to fetch it"
            raise AskFailed(ErrorKind.IN_API_BATCH, message, usage)

    @contextmanager
    def _named(self, payload: Payload) -> Iterator[str | None]:
        """The name under which a call's reservation is kept, where its result may outlive us; no two have one name."""
        if self._keeper is None:
            yield None
            return
        number, name = 0, self._keeper.name_of(payload.content)
        free = name
        while free in self._names:
            number += 1
            free = f"{name}-{number}"
        self._names.add(free)
        try:
            yield free
        finally:
            self._names.discard(free)

    async def _lease_is_lost(self, order: Order) -> bool:
        """Whether the call must not be sent because another process may be paying for its answer."""
        lost = True
        try:
            lost = await self._books.lease_is_lost(order.request.fingerprint)
        finally:
            if lost:
                self._last_words.add(asyncio.ensure_future(self._books.give_back(order.want, order.admission)))
        return lost

    async def _answered_elsewhere(self, request: LlmRequest, check: Callable[[str], Checked]) -> Called[Checked] | None:
        """The answer of the process to which our lease fell; None when it is ours to ask."""
        while (found := await self._books.find_or_claim(request.fingerprint)) is Claim.THEIRS:
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        if isinstance(found, CachedAnswer):
            with suppress(AnswerRejected):
                value = accept(check, found.answer)
                self.stats.cache_hits += 1
                return Called(value, replace(_NOTHING, content=found.answer, model=found.model), 0.0)
        return None

    async def _send(self, order: Order) -> Sent:
        started_at, started = datetime.now(UTC), time.monotonic()
        self.stats.in_flight += 1
        raw, error = _NOTHING, None
        try:
            raw = await self._transport.send(order.payload.content)
        except CallError as caught:
            error = caught
            if isinstance(caught, UnusableAnswer):
                raw = caught.answer
        except asyncio.CancelledError:
            self._book_cancelled(order)
            raise
        finally:
            self.stats.in_flight -= 1
        seconds = time.monotonic() - started
        self._watch(raw, error, started, seconds)
        return Sent(order, counted_here(raw, order.payload), error, started_at, seconds)

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

    def _book_cancelled(self, order: Order) -> None:
        """A call that the end of the run cut off may be charged for: it is in the ledger, and in the budget in full."""
        cut_off = CallError(ErrorKind.CANCELLED, "", maybe_charged=True)
        sent = Sent(order, _NOTHING, cut_off, datetime.now(UTC), 0.0)
        record = Record(
            entry=self._entry(sent, ErrorKind.CANCELLED, order.usage.llm_calls + 1, 0.0),
            # A request that may be in an API batch keeps what is reserved for it until somebody fetches its result.
            settlement=sent.settlement(0.0) if order.want.request is None else None,
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

    def _want(self, payload: Payload, price: Price, name: str | None) -> Want:
        """Likely tokens, for the limits per minute; worst cost, for the budgets.

        No tokenizer makes more tokens than there are bytes, and no answer is longer than its limit.
        """
        size, most_completion = len(payload.content), payload.completion_limit or _MOST_COMPLETION
        worst = price.cost(size, 0, most_completion)
        return Want(self._tokens.guess(size, most_completion), math.ceil(worst * NANO), name)

    def _count(self, raw: RawAnswer, cost: float) -> None:
        self.stats.llm_calls += 1
        self.stats.prompt_tokens += raw.prompt_tokens
        self.stats.completion_tokens += raw.completion_tokens
        self.stats.cost_usd += cost

    def _entry(self, sent: Sent, outcome: str, attempt: int, cost: float) -> LedgerEntry:
        request = sent.order.request
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
