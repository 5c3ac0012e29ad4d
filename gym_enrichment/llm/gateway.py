"""The gateway: asks an LLM so that nothing is paid twice and one bad answer harms only its own gym.

An ask goes memory -> equal ask in flight -> cache and lease -> attempts until one answer is valid -> save.
What must not live here: what is asked (prompts/), one attempt (caller.py), how a call travels (transport.py).
"""

import asyncio
import random
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Generic, TypeVar

from gym_enrichment.domain.answer_rules import AnswerRejected
from gym_enrichment.llm.books import Books, Claim, Record
from gym_enrichment.llm.breaker import Breaker
from gym_enrichment.llm.caller import Called, Caller, GatewayStats, accept
from gym_enrichment.llm.chances import Chances
from gym_enrichment.llm.errors import CallError, Reaction
from gym_enrichment.llm.fixed_limit import FixedLimit
from gym_enrichment.llm.limits import AdaptiveLimit
from gym_enrichment.llm.pricing import Price, price_of
from gym_enrichment.llm.requests import Answer, AskFailed, LlmRequest, RawAnswer, Usage
from gym_enrichment.llm.transport import Transport
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_admission import Terms
from gym_enrichment.storage.llm_calls import CachedAnswer

Checked = TypeVar("Checked")

_MEMORY_ANSWERS = 5_000
"""Answers kept in memory: some megabytes, enough for the clubs of a chain that follow each other."""
_LOOK_AGAIN_SECONDS = (0.05, 0.5)
"""How soon to look again for an answer that another process is paying for."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter (AWS Architecture Blog, 2015): waits spread, herds dissolve.

    Args:
        base: upper bound of the first wait, in seconds.
        cap: upper bound of any wait that the server did not ask for.
    """

    base: float = 0.5
    cap: float = 30.0

    def wait(self, failures: int, retry_after: float | None) -> float:
        """Seconds to wait after the `failures`-th failure; never less than the server asks for."""
        # Capping the exponent as well: 2**1000 is no float.
        jittered = random.uniform(0, min(self.cap, self.base * 2 ** min(failures - 1, 30)))  # noqa: S311 - no secret
        return jittered if retry_after is None else retry_after + min(jittered, self.base)


@dataclass(frozen=True, slots=True)
class Paid(Generic[Checked]):
    """An answer that was just paid for, and its text."""

    answer: Answer[Checked]
    text: str


class Gateway:
    """Asks one LLM on behalf of one run. Use it in one event loop, and `close` it at the end.

    Args:
        transport: how a call travels.
        database: cache, leases, limits, budgets and ledger; processes that share it share them.
        run_id: what the ledger books the calls on.
        concurrency: calls in flight at the very most; fewer while the server bears no more.
        cache_ttl_seconds: how long a valid answer is served again; 0 switches cache and single flight off.
        max_attempts: attempts at one request while its errors are transient.
        backoff: how long to wait between them.
        patience: seconds without any answer after which the run stops.
        terms: limits per minute and budgets.
        prices: the price of a model by its name; None when it is not known.
        adaptive: False lets `concurrency` calls be in flight whatever the server does, for a transport that queues.
    """

    def __init__(
        self,
        transport: Transport,
        database: Database,
        *,
        run_id: str,
        concurrency: int = 20,
        cache_ttl_seconds: float = 30 * 24 * 3600,
        max_attempts: int = 6,
        backoff: Backoff | None = None,
        patience: float = 60.0,
        terms: Terms | None = None,
        prices: Callable[[str], Price | None] = price_of,
        adaptive: bool = True,
    ) -> None:
        terms = terms or Terms(endpoint="", requests_per_minute=None, tokens_per_minute=None, budgets={})
        self._transport = transport
        self._books = Books(database, holder=uuid.uuid4().hex, terms=terms)
        self._caller = Caller(
            transport,
            self._books,
            terms,
            run_id=run_id,
            limit=AdaptiveLimit(concurrency) if adaptive else FixedLimit(concurrency),
            breaker=Breaker(patience),
            price_of=prices,
        )
        self._ttl = timedelta(seconds=cache_ttl_seconds)
        self.max_attempts = max_attempts
        self.backoff = backoff or Backoff()
        self._memory: OrderedDict[str, _Known] = OrderedDict()
        self._flights: dict[str, asyncio.Future[_Known]] = {}
        self._heartbeat: asyncio.Task[None] | None = None

    @property
    def stats(self) -> GatewayStats:
        """What was done so far."""
        return self._caller.stats

    async def ask(
        self,
        request: LlmRequest,
        check: Callable[[str], Checked],
        pay: Callable[[], Awaitable[Paid[Checked]]] | None = None,
    ) -> Answer[Checked]:
        """The checked answer to `request`: known, from an equal request in flight, or paid for.

        Args:
            request: what is asked.
            check: turns the answer's text into a value, or raises AnswerRejected with what is wrong. The answer is
                then sent back once; after that, `AnswerRejected.usable` of the next one is taken if it has one.
            pay: how an unknown answer is got, if not by a call of its own (packing.py).

        Raises:
            AskFailed: this request has no valid answer; says why and what the attempts cost.
            BudgetReached: nothing was sent, because a budget is spent.
            RunStopped: no request can succeed until somebody mends the configuration or the provider is back.
        """
        self.stats.asked += 1
        pay = pay or partial(self.pay, request, check)
        if not self._ttl:
            return (await pay()).answer
        known = self._memory.get(request.fingerprint)
        while known is None and (leader := self._flights.get(request.fingerprint)) is not None:
            known = await self._join(leader)
        if known is not None:
            return self._hit(request, known, check)
        return await self._lead(request, check, pay)

    async def close(self) -> None:
        """Wait until every attempt is booked, then give back the connections."""
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        await self._caller.finish()
        if self._heartbeat is not None:
            await self._books.give_leases_back()
        await self._transport.close()

    async def _join(self, leader: "asyncio.Future[_Known]") -> "_Known | None":
        """What the leader finds; None if it gave up."""
        try:
            return await asyncio.shield(leader)
        except _GaveUp:
            return None
        except AskFailed as failed:
            # The leader paid for the attempts; nobody asks again for what just failed.
            raise AskFailed(failed.kind, failed.message, Usage()) from failed

    async def _lead(
        self, request: LlmRequest, check: Callable[[str], Checked], pay: Callable[[], Awaitable[Paid[Checked]]]
    ) -> Answer[Checked]:
        flight: asyncio.Future[_Known] = asyncio.get_running_loop().create_future()
        self._flights[request.fingerprint] = flight
        try:
            answer, known = await self._find_or_pay(request, check, pay)
        except BaseException as error:
            flight.set_exception(error if isinstance(error, Exception) else _GaveUp())
            flight.exception()  # marks it as seen: there may be no one waiting
            raise
        finally:
            del self._flights[request.fingerprint]
        flight.set_result(known)
        return answer

    def _hit(self, request: LlmRequest, known: "_Known", check: Callable[[str], Checked]) -> Answer[Checked]:
        value = accept(check, known.text)
        self.stats.cache_hits += 1
        self._remember(request, known)
        return Answer(value=value, model=known.model, usage=Usage(), from_cache=True)

    async def _find_or_pay(
        self, request: LlmRequest, check: Callable[[str], Checked], pay: Callable[[], Awaitable[Paid[Checked]]]
    ) -> tuple[Answer[Checked], "_Known"]:
        if self._heartbeat is None:
            self._heartbeat = asyncio.create_task(self._books.keep_leases())
        while (found := await self._books.find_or_claim(request.fingerprint)) is Claim.THEIRS:
            await asyncio.sleep(random.uniform(*_LOOK_AGAIN_SECONDS))  # noqa: S311 - no secret
        if isinstance(found, CachedAnswer):
            known = _Known(found.answer, found.model)
            try:
                return self._hit(request, known, check), known
            except AnswerRejected:
                pass  # a rule became stricter since: ask anew
        try:
            paid = await pay()
        except BaseException:
            # Cancelled or failed: whoever asks next must not wait for this lease to run out.
            await self._books.save(Record(released=[request.fingerprint]))
            raise
        known = _Known(paid.text, paid.answer.model)
        self._remember(request, known)
        return paid.answer, known

    def _remember(self, request: LlmRequest, known: "_Known") -> None:
        """In memory, instead of what was used the longest time ago."""
        self._memory[request.fingerprint] = known
        self._memory.move_to_end(request.fingerprint)
        if len(self._memory) > _MEMORY_ANSWERS:
            self._memory.popitem(last=False)

    async def attempt(
        self,
        request: LlmRequest,
        check: Callable[[str], Checked],
        usage: Usage,
        keep: Callable[[Checked, RawAnswer], Sequence[CachedAnswer]],
    ) -> Called[Checked]:
        """One call, without cache, lease or second chance: `Caller.call` says what is booked and raised."""
        return await self._caller.call(request, request.payload, usage, check, keep)

    async def pay(
        self, request: LlmRequest, check: Callable[[str], Checked], usage: Usage | None = None
    ) -> Paid[Checked]:
        """Attempts until one answer passes `check`; the answer is durable before this returns.

        Args:
            request, check: as in `ask`.
            usage: what was spent on the question before, to go on from.

        Raises:
            AskFailed, BudgetReached, RunStopped: as in `ask`.
        """
        usage = usage or Usage()
        chances = Chances(request, self.max_attempts)

        def keep(_: Checked, raw: RawAnswer) -> Sequence[CachedAnswer]:
            return self.cached(request, raw.content, raw.model, usage)

        while True:
            # What was sent back once is taken as good as it is: the reasons were named.
            last = partial(accept, check) if chances.sent_back else check
            try:
                called = await self._caller.call(request, chances.payload, usage, last, keep)
            except CallError as error:
                if not chances.another(error):
                    raise AskFailed(error.kind, error.message, usage) from error
                if error.reaction is Reaction.RETRY:
                    await self._caller.pause(self.backoff.wait(chances.retries, error.retry_after))
            else:
                answer = Answer(called.value, called.raw.model or request.model, usage, from_cache=False)
                return Paid(answer, called.raw.content)

    def cached(self, request: LlmRequest, text: str, model: str, usage: Usage) -> Sequence[CachedAnswer]:
        """What the cache is to keep of an answer; nothing if it is switched off."""
        if not self._ttl:
            return ()
        now = datetime.now(UTC)
        answer = CachedAnswer(
            fingerprint=request.fingerprint,
            model=model or request.model,
            answer=text,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cost_usd=usage.cost_usd,
            created_at=now,
            expires_at=now + self._ttl,
        )
        return (answer,)


@dataclass(frozen=True, slots=True)
class _Known:
    text: str
    model: str


class _GaveUp(Exception):
    """The leader of a flight was cancelled: one of those who waited has to lead."""
