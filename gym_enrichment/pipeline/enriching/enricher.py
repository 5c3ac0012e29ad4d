"""Enriches many batches at once: all their gyms share one pool of calls, each batch ends by itself.

What must not live here: what is asked (the variants) and how results are stored (storage/).
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import chain

from gym_enrichment.domain.experiments import Experiment, VariantSpec
from gym_enrichment.domain.hours import NOT_STATED, stated_hours
from gym_enrichment.domain.models import Bundle, EnrichedBatch, Enrichment, GymFailure
from gym_enrichment.llm.caller import GatewayStats
from gym_enrichment.llm.endpoint import Endpoint
from gym_enrichment.llm.requests import AskFailed, BudgetReached, Usage
from gym_enrichment.pipeline.background import Emit, IdleWork, iterate_in_background
from gym_enrichment.pipeline.enriching.opening import open_gateway
from gym_enrichment.pipeline.enriching.variant import Enrich, Variant
from gym_enrichment.pipeline.enriching.variants import by_variant, staying_legacy, variants_of
from gym_enrichment.settings import Settings
from gym_enrichment.storage.enrichments import hashes_of_good_rows
from gym_enrichment.storage.experiments import experiment_in_force


@dataclass(slots=True)
class Progress:
    """How far a run is: `done` of `gyms` (0 if nobody said how many there are); `stats` are the gateway's figures."""

    gyms: int = 0
    done: int = 0
    failed: int = 0
    started: float = field(default_factory=time.monotonic)
    stats: GatewayStats = field(default_factory=GatewayStats)
    waiting: Callable[[], str] = lambda: ""
    """What waits at the provider's Batch API."""

    def line(self) -> str:
        """One line for logs."""
        seconds = time.monotonic() - self.started
        rate = self.done / max(seconds, 0.001)
        left = f", {(self.gyms - self.done) / rate:,.0f} s left" if self.done < self.gyms and self.done else ""
        return (
            f"{self.done}{f'/{self.gyms}' if self.gyms else ''} gyms done ({self.failed} failed), {rate:.1f}/s{left},"
            f" {self.calls()}"
        )

    def calls(self) -> str:
        """What was called so far, and every error that was retried or suppressed, by its kind."""
        stats = self.stats
        errors = "".join(f", {count} {kind}" for kind, count in sorted(stats.errors.items()))
        waiting = f"; {clause}" if (clause := self.waiting()) else ""
        return (
            f"{stats.in_flight} in flight (limit {stats.limit}), {stats.llm_calls} calls,"
            f" {stats.cache_hits} cache hits,"
            f" ${stats.cost_usd:.4f}{errors}{waiting}"
        )


@dataclass
class Enricher:
    """Turns bundles into enriched batches.

    Args:
        settings: the variant where no experiment decides, limits and time-outs.
        endpoint: who answers.
        on_progress: called about once a second, in the thread that takes the results.
        only: ask about every gym with this variant, and about those too that are enriched with it.
    """

    settings: Settings
    endpoint: Endpoint
    on_progress: Callable[[Progress], None] = lambda _: None
    only: VariantSpec | None = None

    @cached_property
    def experiment(self) -> Experiment:
        """Which gym is asked about with which variant: as it is now, whatever it is changed to meanwhile."""
        if self.only is not None:
            return Experiment.of_one(self.only)
        with self.settings.database.read() as connection:
            return experiment_in_force(connection, self.settings.variant)

    @cached_property
    def variants(self) -> Mapping[str, Variant]:
        """The ways of asking, by name."""
        return variants_of(self.experiment, self.settings, self.endpoint)

    def enrich(
        self, batches: Iterable[tuple[str, list[Bundle]]], run_id: str, gyms: int = 0
    ) -> Iterator[EnrichedBatch]:
        """Each batch, as soon as its last gym is done; later batches are begun meanwhile.

        A batch whose gyms have several variants comes once for each of them.

        Args:
            batches: batch id and bundles; read as calls become free, so any number may come.
            run_id: what the ledger books the calls on, and what GYM_BUDGET_USD is for.
            gyms: how many there are in all, for those who watch; 0 if that is not known.

        Raises:
            RunStopped: nothing can be asked before somebody mends the configuration. What was answered before
                is in the cache; batches that were not yielded are untouched.
        """
        opened = (part for batch_id, bundles in batches for part in self._opened(batch_id, bundles, run_id))
        run = _Run(self, opened, run_id)
        run.progress.gyms = gyms
        # A server is called upon only when there is something to ask.
        for batch, to_ask in opened:
            if to_ask:
                run.batches = chain([(batch, to_ask)], opened)
                yield from iterate_in_background(run.work, on_tick=lambda: self.on_progress(run.progress))
            else:
                run.progress.done += len(batch.kept)
                yield batch.close()

    def _opened(
        self, batch_id: str, bundles: Sequence[Bundle], run_id: str
    ) -> "Iterator[tuple[_OpenBatch, list[Bundle]]]":
        """For each variant of a batch, those of its bundles that stored rows do not answer as they are."""
        staying = frozenset[str]()
        if self.only is None:
            staying = staying_legacy(self.settings.database, self.experiment, bundles)
        for name, having in by_variant(self.experiment, bundles, staying).items():
            known: Mapping[str, str] = {}
            if having and self.only is None and (ttl := self.settings.cache_ttl_seconds):
                since = datetime.now(UTC) - timedelta(seconds=ttl)
                setup_hash = self.variants[name].setup_hash
                known = hashes_of_good_rows(self.settings.database, batch_id, name, setup_hash, since)
            to_ask = [bundle for bundle in having if known.get(bundle.place_id) != bundle.content_hash]
            kept = [bundle.place_id for bundle in having if known.get(bundle.place_id) == bundle.content_hash]
            kept += [gym for gym in staying if self.experiment.asked_with(self.experiment.variant_of(gym)) == name]
            yield _OpenBatch(batch_id, run_id, name, self.experiment.name or None, kept, len(to_ask)), to_ask


class _Run:
    """The state of one call of `Enricher.enrich`; lives in the background loop."""

    def __init__(self, enricher: Enricher, batches: "Iterator[tuple[_OpenBatch, list[Bundle]]]", run_id: str) -> None:
        self.progress = Progress()
        self.batches = batches
        self._enricher = enricher
        self._run_id = run_id

    async def work(self, emit: Emit[EnrichedBatch]) -> None:
        """Begin gyms as fast as the window allows until the batches are used up."""
        settings, endpoint, variants = self._enricher.settings, self._enricher.endpoint, self._enricher.variants
        gyms_per_call = max(variant.gyms_per_call_allowed for variant in variants.values())
        opened = open_gateway(settings, endpoint, self._run_id, gyms_per_call)
        gateway = opened.gateway
        self.progress.stats, self.progress.waiting = gateway.stats, opened.waiting
        window = _Window(opened.gyms_at_once)
        idle = IdleWork()
        try:
            async with AsyncExitStack() as asking, asyncio.TaskGroup() as gyms:
                enrich = {
                    name: await asking.enter_async_context(variant.asking(gateway, idle))
                    for name, variant in variants.items()
                }
                while (item := await asyncio.to_thread(next, self.batches, None)) is not None:
                    batch, to_ask = item
                    self.progress.done += len(batch.kept)
                    if not to_ask:
                        await emit(batch.close())
                    for bundle in to_ask:
                        await window.enter()
                        gyms.create_task(self._gym(enrich[batch.variant], batch, bundle, window, emit))
        except BaseExceptionGroup as group:
            # One error ended the run; its siblings are the tasks it took along.
            raise _first(group) from group
        finally:
            idle.close()
            await gateway.close()

    async def _gym(
        self,
        enrich: Enrich,
        batch: "_OpenBatch",
        bundle: Bundle,
        window: "_Window",
        emit: Emit[EnrichedBatch],
    ) -> None:
        try:
            await batch.enrich(enrich, bundle)
        finally:
            window.leave()
        self.progress.done += 1
        self.progress.failed += bool(batch.failures and batch.failures[-1].place_id == bundle.place_id)
        if batch.waiting_for == 0:
            await emit(batch.close())


class _Window:
    """How many gyms are under way, held at a number that changes."""

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self._under_way = 0
        self._left = asyncio.Event()

    async def enter(self) -> None:
        """Wait until one more may begin."""
        while self._under_way >= self._most():
            self._left.clear()
            await self._left.wait()
        self._under_way += 1

    def leave(self) -> None:
        """One is done."""
        self._under_way -= 1
        self._left.set()


class _OpenBatch:
    """The gyms of one variant in a batch of which some are not done."""

    def __init__(
        self,
        batch_id: str,
        run_id: str,
        variant: str,
        experiment: str | None,
        kept: Sequence[str],
        waiting_for: int,
    ) -> None:
        self.variant = variant
        self.kept = kept
        self.waiting_for = waiting_for
        self.failures: list[GymFailure] = []
        self.unasked: list[str] = []
        self._batch_id = batch_id
        self._run_id = run_id
        self._experiment = experiment
        self._enrichments: list[Enrichment] = []
        self._usage = Usage()
        self._cache_hits = 0
        self._started = time.perf_counter()

    async def enrich(self, enrich: Enrich, bundle: Bundle) -> None:
        """Add one gym's result, whichever it is; only RunStopped comes out."""
        if not bundle.reviews:
            self._enrichments.append(skipped(bundle, self.variant))
        else:
            try:
                enrichment, usage = await enrich(bundle)
            except BudgetReached as reached:
                self._usage += reached.usage
                self.unasked.append(bundle.place_id)
            except AskFailed as failure:
                self._usage += failure.usage
                self.failures.append(
                    GymFailure(bundle.place_id, self.variant, failure.kind, failure.message, failure.usage.llm_calls)
                )
            else:
                self._usage += usage
                self._cache_hits += enrichment.from_cache
                self._enrichments.append(enrichment)
        self.waiting_for -= 1

    def close(self) -> EnrichedBatch:
        """The whole batch; every gym must be done."""
        return EnrichedBatch(
            batch_id=self._batch_id,
            run_id=self._run_id,
            variant=self.variant,
            enrichments=self._enrichments,
            failures=self.failures,
            kept=self.kept,
            unasked=self.unasked,
            llm_calls=self._usage.llm_calls,
            cache_hits=self._cache_hits + len(self.kept),
            prompt_tokens=self._usage.prompt_tokens,
            completion_tokens=self._usage.completion_tokens,
            cost_usd=self._usage.cost_usd,
            seconds=time.perf_counter() - self._started,
            experiment=self._experiment,
        )


def skipped(bundle: Bundle, variant: str) -> Enrichment:
    """The enrichment of a gym without any review text: its hours, and nothing that would have to be invented."""
    hours = stated_hours(bundle.gym.get("hours") or ())
    return Enrichment(
        place_id=bundle.place_id,
        variant=variant,
        state="skipped",
        description=None,
        amenities=[],
        has_women_hours=None,
        hours_french=hours.french if hours else NOT_STATED,
        hours_sentence=hours.sentence if hours else None,
        hours_osm=hours.osm if hours else None,
        evidence={},
        bundle_hash=bundle.content_hash,
    )


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
