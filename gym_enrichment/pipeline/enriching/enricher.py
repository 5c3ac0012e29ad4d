"""Enriches many batches at once: all their gyms share one pool of calls, each batch ends by itself.

What must not live here: what is asked (the variants) and how results are stored (storage/).
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from gym_enrichment.domain.hours import french_text
from gym_enrichment.domain.models import Bundle, EnrichedBatch, Enrichment, GymFailure
from gym_enrichment.llm.caller import GatewayStats
from gym_enrichment.llm.endpoint import Endpoint
from gym_enrichment.llm.gateway import Gateway
from gym_enrichment.llm.pricing import price_from_settings
from gym_enrichment.llm.requests import AskFailed, BudgetReached, Usage
from gym_enrichment.pipeline.background import Emit, iterate_in_background
from gym_enrichment.pipeline.enriching.combined import CombinedVariant
from gym_enrichment.settings import Settings
from gym_enrichment.storage.llm_admission import Terms

_TASKS_PER_CALL = 4
"""Gyms begun per call allowed: those that wait for a retry or for the database must not idle the others."""


@dataclass(slots=True)
class Progress:
    """How far a run is; `stats` are the gateway's figures."""

    done: int = 0
    failed: int = 0
    started: float = field(default_factory=time.monotonic)
    stats: GatewayStats = field(default_factory=GatewayStats)

    def line(self) -> str:
        """One line for logs."""
        seconds = time.monotonic() - self.started
        stats = self.stats
        errors = "".join(f", {count} {kind}" for kind, count in sorted(stats.errors.items()))
        return (
            f"{self.done} gyms done ({self.failed} failed), {self.done / max(seconds, 0.001):.1f}/s,"
            f" {stats.in_flight} in flight, {stats.llm_calls} calls, {stats.cache_hits} cache hits,"
            f" ${stats.cost_usd:.4f}{errors}"
        )


@dataclass
class Enricher:
    """Turns bundles into enriched batches.

    Args:
        settings: limits and time-outs.
        endpoint: who answers.
        on_progress: called about once a second, in the thread that takes the results.
    """

    settings: Settings
    endpoint: Endpoint
    on_progress: Callable[[Progress], None] = lambda _: None

    @property
    def variant(self) -> CombinedVariant:
        """The way of asking."""
        return CombinedVariant(self.endpoint)

    def enrich(self, batches: Iterable[tuple[str, list[Bundle]]], run_id: str) -> Iterator[EnrichedBatch]:
        """Each batch, as soon as its last gym is done; later batches are begun meanwhile.

        Args:
            batches: batch id and bundles; read as calls become free, so any number may come.
            run_id: what the ledger books the calls on, and what GYM_BUDGET_USD is for.

        Raises:
            RunStopped: nothing can be asked before somebody mends the configuration. What was answered before
                is in the cache; batches that were not yielded are untouched.
        """
        run = _Run(self, iter(batches), run_id)
        yield from iterate_in_background(run.work, on_tick=lambda: self.on_progress(run.progress))


class _Run:
    """The state of one call of `Enricher.enrich`; lives in the background loop."""

    def __init__(self, enricher: Enricher, batches: Iterator[tuple[str, list[Bundle]]], run_id: str) -> None:
        self.progress = Progress()
        self._enricher = enricher
        self._batches = batches
        self._run_id = run_id

    async def work(self, emit: Emit[EnrichedBatch]) -> None:
        """Begin gyms as fast as the window allows until the batches are used up."""
        from gym_enrichment.llm.openai_transport import OpenAITransport  # a second of import, for those who call

        settings, endpoint = self._enricher.settings, self._enricher.endpoint
        gateway = Gateway(
            OpenAITransport(endpoint.api_key.get_secret_value(), endpoint.base_url, settings.timeout_seconds),
            settings.database,
            run_id=self._run_id,
            concurrency=settings.concurrency,
            cache_ttl_seconds=settings.cache_ttl_seconds,
            max_attempts=settings.max_attempts,
            patience=settings.patience_seconds,
            terms=_terms(settings, endpoint, self._run_id),
            prices=partial(price_from_settings, settings),
        )
        self.progress.stats = gateway.stats
        window = asyncio.Semaphore(settings.concurrency * _TASKS_PER_CALL)
        try:
            async with asyncio.TaskGroup() as gyms:
                while (item := await asyncio.to_thread(next, self._batches, None)) is not None:
                    batch = _OpenBatch(item[0], self._run_id, self._enricher.variant, len(item[1]))
                    if not item[1]:
                        await emit(batch.close())
                    for bundle in item[1]:
                        await window.acquire()
                        gyms.create_task(self._gym(gateway, batch, bundle, window, emit))
        except BaseExceptionGroup as group:
            # One error ended the run; its siblings are the tasks it took along.
            raise _first(group) from group
        finally:
            await gateway.close()

    async def _gym(
        self,
        gateway: Gateway,
        batch: "_OpenBatch",
        bundle: Bundle,
        window: asyncio.Semaphore,
        emit: Emit[EnrichedBatch],
    ) -> None:
        try:
            await batch.enrich(gateway, bundle)
        finally:
            window.release()
        self.progress.done += 1
        self.progress.failed += bool(batch.failures and batch.failures[-1].place_id == bundle.place_id)
        if batch.waiting_for == 0:
            await emit(batch.close())


class _OpenBatch:
    """A batch of which some gyms are not done."""

    def __init__(self, batch_id: str, run_id: str, variant: CombinedVariant, gyms: int) -> None:
        self.waiting_for = gyms
        self.failures: list[GymFailure] = []
        self.unasked: list[str] = []
        self._batch_id = batch_id
        self._run_id = run_id
        self._variant = variant
        self._enrichments: list[Enrichment] = []
        self._usage = Usage()
        self._cache_hits = 0
        self._started = time.perf_counter()

    async def enrich(self, gateway: Gateway, bundle: Bundle) -> None:
        """Add one gym's result, whichever it is; only RunStopped comes out."""
        if not bundle.reviews:
            self._enrichments.append(skipped(bundle, self._variant.name))
        else:
            try:
                enrichment, answer = await self._variant.enrich(gateway, bundle)
            except BudgetReached:
                self.unasked.append(bundle.place_id)
            except AskFailed as failure:
                self._usage += failure.usage
                self.failures.append(
                    GymFailure(
                        bundle.place_id, self._variant.name, failure.kind, failure.message, failure.usage.llm_calls
                    )
                )
            else:
                self._usage += answer.usage
                self._cache_hits += answer.from_cache
                self._enrichments.append(enrichment)
        self.waiting_for -= 1

    def close(self) -> EnrichedBatch:
        """The whole batch; every gym must be done."""
        return EnrichedBatch(
            batch_id=self._batch_id,
            run_id=self._run_id,
            variant=self._variant.name,
            enrichments=self._enrichments,
            failures=self.failures,
            unasked=self.unasked,
            llm_calls=self._usage.llm_calls,
            cache_hits=self._cache_hits,
            prompt_tokens=self._usage.prompt_tokens,
            completion_tokens=self._usage.completion_tokens,
            cost_usd=self._usage.cost_usd,
            seconds=time.perf_counter() - self._started,
        )


def skipped(bundle: Bundle, variant: str) -> Enrichment:
    """The enrichment of a gym without any review text: its hours, and nothing that would have to be invented."""
    return Enrichment(
        place_id=bundle.place_id,
        variant=variant,
        state="skipped",
        description=None,
        amenities=[],
        has_women_hours=None,
        hours_french=french_text(bundle.gym.get("hours") or ()),
        evidence={},
        bundle_hash=bundle.content_hash,
    )


def _terms(settings: Settings, endpoint: Endpoint, run_id: str) -> Terms:
    budgets = {
        f"run:{run_id}": settings.budget_usd,
        f"month:{datetime.now(UTC):%Y-%m}": settings.monthly_budget_usd,
    }
    return Terms(
        endpoint=f"{endpoint.identity} {endpoint.model}",
        requests_per_minute=settings.requests_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
        budgets={scope: dollars for scope, dollars in budgets.items() if dollars is not None},
    )


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
