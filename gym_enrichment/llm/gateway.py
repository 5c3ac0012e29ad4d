"""The gateway: asks an LLM so that nothing is paid twice and one bad answer harms only its own gym.

An ask goes cache -> single flight -> concurrency limit -> attempts with backoff -> check -> save.
What must not live here: what is asked (prompts/) and how a call travels (transport.py).
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from gym_enrichment.domain.answer_rules import AnswerRejected
from gym_enrichment.llm.errors import CallError, ErrorKind, Reaction, RunStopped
from gym_enrichment.llm.grouping import Grouped
from gym_enrichment.llm.pricing import FREE, price_of
from gym_enrichment.llm.requests import Answer, AskFailed, LlmRequest, RawAnswer, Usage
from gym_enrichment.llm.transport import Transport, UnusableAnswer
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_calls import CachedAnswer, LedgerEntry, find_cached, save_calls

Checked = TypeVar("Checked")

SEND_BACK_NOTE = "Your answer breaks these rules. Answer again with the whole JSON, mended:"


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


@dataclass(slots=True)
class GatewayStats:
    """What a gateway has done so far; every error that was retried or suppressed is counted by kind."""

    asked: int = 0
    llm_calls: int = 0
    cache_hits: int = 0
    in_flight: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)


class Gateway:
    """Asks one LLM on behalf of one run. Use it in one event loop, and `close` it at the end.

    Args:
        transport: how a call travels.
        database: cache and ledger.
        run_id: what the ledger books the calls on.
        concurrency: most calls in flight at once.
        cache_ttl_seconds: how long a valid answer is served again; 0 switches cache and single flight off.
        max_attempts: attempts at one request while its errors are transient.
        backoff: how long to wait between them.
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
    ) -> None:
        self.stats = GatewayStats()
        self._transport = transport
        self._run_id = run_id
        self._ttl = timedelta(seconds=cache_ttl_seconds)
        self._max_attempts = max_attempts
        self._backoff = backoff or Backoff()
        self._slots = asyncio.Semaphore(concurrency)
        self._flights: dict[str, asyncio.Future[_Known]] = {}
        self._find: Grouped[str, CachedAnswer | None] = Grouped(lambda keys: _find_many(database, keys))
        self._save: Grouped[_Saved, None] = Grouped(lambda saved: _save_many(database, saved))

    async def ask(self, request: LlmRequest, check: Callable[[str], Checked]) -> Answer[Checked]:
        """The checked answer to `request`: from the cache, from an equal request in flight, or paid for.

        Args:
            request: what is asked.
            check: turns the answer's text into a value, or raises AnswerRejected with what is wrong.

        Raises:
            AskFailed: this request has no valid answer; says why and what the attempts cost.
            RunStopped: no request can succeed until somebody mends the configuration.
        """
        self.stats.asked += 1
        if not self._ttl:
            return await self._pay(request, check)
        leader = self._flights.get(request.fingerprint)
        if leader is not None:
            known = await asyncio.shield(leader)
            return self._hit(check(known.text), known)
        flight: asyncio.Future[_Known] = asyncio.get_running_loop().create_future()
        self._flights[request.fingerprint] = flight
        try:
            answer = await self._find_or_pay(request, check, flight)
        except BaseException as error:
            # Those who wait for this flight get the same news; nobody asks again for what just failed.
            flight.set_exception(error if isinstance(error, Exception) else _cancelled())
            flight.exception()  # marks it as seen: there may be no one waiting
            raise
        finally:
            del self._flights[request.fingerprint]
        return answer

    async def close(self) -> None:
        """Wait until every attempt is booked, then give back the connections."""
        await self._save.flush()
        await self._transport.close()

    def _hit(self, value: Checked, known: "_Known") -> Answer[Checked]:
        self.stats.cache_hits += 1
        return Answer(value=value, model=known.model, usage=Usage(), from_cache=True)

    async def _find_or_pay(
        self, request: LlmRequest, check: Callable[[str], Checked], flight: "asyncio.Future[_Known]"
    ) -> Answer[Checked]:
        cached = await self._find(request.fingerprint)
        if cached is not None:
            known = _Known(cached.answer, cached.model)
            try:
                answer = self._hit(check(known.text), known)
            except AnswerRejected:
                pass  # a rule became stricter since; ask anew
            else:
                flight.set_result(known)
                return answer
        paid = await self._pay(request, check)
        flight.set_result(_Known(paid.text, paid.model))
        return paid

    async def _pay(self, request: LlmRequest, check: Callable[[str], Checked]) -> "_Paid[Checked]":
        """Attempts until one answer passes `check`; the answer is durable before this returns."""
        usage = Usage()
        body = request.body()
        failures = 0
        sent_back = False
        while True:
            try:
                raw, entry = await self._attempt(request, body, usage)
                value = await self._checked(raw, entry, check)
            except CallError as error:
                if error.reaction is Reaction.RUN_STOPS:
                    raise RunStopped(error.kind, error.message) from error
                failures += 1
                if error.reaction is Reaction.RETRY and failures < self._max_attempts:
                    await asyncio.sleep(self._backoff.wait(failures, error.retry_after))
                elif error.reaction is Reaction.SEND_BACK and not sent_back:
                    sent_back = True
                    body = _sent_back(request, error)
                else:
                    raise AskFailed(error.kind, error.message, usage) from error
            else:
                await self._keep(request, raw, entry, usage)
                return _Paid(value=value, model=raw.model, usage=usage, from_cache=False, text=raw.content)

    async def _attempt(
        self, request: LlmRequest, body: Mapping[str, Any], usage: Usage
    ) -> tuple[RawAnswer, LedgerEntry]:
        """One call. A failed one is booked here; a good one is booked with its answer, by `_pay`."""
        async with self._slots:
            self.stats.in_flight += 1
            started_at, started = datetime.now(UTC), time.perf_counter()
            try:
                raw = await self._transport.send(body)
                error = None
            except CallError as caught:
                error = caught
                raw = caught.answer if isinstance(caught, UnusableAnswer) else _NOTHING
            finally:
                self.stats.in_flight -= 1
        raw = raw if raw.model else replace(raw, model=request.model)
        cost = (price_of(request.model) or FREE).cost(raw.prompt_tokens, raw.cached_tokens, raw.completion_tokens)
        usage.add(raw.prompt_tokens, raw.completion_tokens, cost)
        self.stats.llm_calls += 1
        self.stats.prompt_tokens += raw.prompt_tokens
        self.stats.completion_tokens += raw.completion_tokens
        self.stats.cost_usd += cost
        entry = LedgerEntry(
            run_id=self._run_id,
            place_id=request.place_id,
            variant=request.variant,
            fingerprint=request.fingerprint,
            model=raw.model,
            attempt=usage.llm_calls,
            outcome=error.kind if error else "ok",
            http_status=error.http_status if error else 200,
            prompt_tokens=raw.prompt_tokens,
            cached_tokens=raw.cached_tokens,
            completion_tokens=raw.completion_tokens,
            cost_usd=cost,
            latency_seconds=time.perf_counter() - started,
            started_at=started_at,
        )
        if error is not None:
            await self._book_failure(entry)
            raise error
        return raw, entry

    async def _checked(self, raw: RawAnswer, entry: LedgerEntry, check: Callable[[str], Checked]) -> Checked:
        try:
            return check(raw.content)
        except AnswerRejected as invalid:
            await self._book_failure(replace(entry, outcome=ErrorKind.INVALID_ANSWER))
            raise _BrokenRules(invalid.reasons, raw.content) from invalid

    async def _book_failure(self, entry: LedgerEntry) -> None:
        self.stats.errors[entry.outcome] += 1
        await self._save(_Saved(entry, None))

    async def _keep(self, request: LlmRequest, raw: RawAnswer, entry: LedgerEntry, usage: Usage) -> None:
        cached = None
        if self._ttl:
            now = datetime.now(UTC)
            cached = CachedAnswer(
                fingerprint=request.fingerprint,
                model=raw.model,
                answer=raw.content,
                prompt_tokens=usage.prompt_tokens,
                completion_tokens=usage.completion_tokens,
                cost_usd=usage.cost_usd,
                created_at=now,
                expires_at=now + self._ttl,
            )
        await self._save(_Saved(entry, cached))


_NOTHING = RawAnswer(content="", model="", prompt_tokens=0, cached_tokens=0, completion_tokens=0)


@dataclass(frozen=True, slots=True)
class _Known:
    text: str
    model: str


@dataclass(frozen=True, slots=True)
class _Paid(Answer[Checked]):
    text: str


@dataclass(frozen=True, slots=True)
class _Saved:
    entry: LedgerEntry
    answer: CachedAnswer | None


class _BrokenRules(CallError):
    def __init__(self, reasons: list[str], text: str) -> None:
        super().__init__(ErrorKind.INVALID_ANSWER, "the answer breaks rules: " + "; ".join(reasons))
        self.reasons = reasons
        self.text = text


def _sent_back(request: LlmRequest, error: CallError) -> dict[str, Any]:
    """The body that asks once more: twice the limit after a cut, else the rules that were broken."""
    if isinstance(error, _BrokenRules):
        reasons = "\n".join(f"- {reason}" for reason in error.reasons)
        return request.body(
            [
                {"role": "assistant", "content": error.text},
                {"role": "user", "content": f"{SEND_BACK_NOTE}\n{reasons}"},
            ]
        )
    limit = request.parameters.get("max_completion_tokens")
    return request.body(**({"max_completion_tokens": 2 * limit} if limit else {}))


def _cancelled() -> AskFailed:
    return AskFailed("cancelled", "the run ended before an answer came", Usage())


def _find_many(database: Database, fingerprints: list[str]) -> Sequence[CachedAnswer | None]:
    found = find_cached(database, fingerprints, datetime.now(UTC))
    return [found.get(fingerprint) for fingerprint in fingerprints]


def _save_many(database: Database, saved: list[_Saved]) -> Sequence[None]:
    save_calls(database, [item.entry for item in saved], [item.answer for item in saved if item.answer])
    return [None] * len(saved)
