"""Variant `fanout`: three calls about one gym side by side, each with a fingerprint, a lease and an answer of its own.

A call that fails takes nothing from the other two: their answers are in the cache, and the next run asks one call.
What must not live here: what the three are told (prompts/fanout.py) and what their answers are worth (judging.py).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from gym_enrichment.domain.findings import Findings
from gym_enrichment.domain.hashing import content_hash
from gym_enrichment.domain.models import Bundle, Enrichment
from gym_enrichment.llm.endpoint import Endpoint
from gym_enrichment.llm.gateway import Gateway
from gym_enrichment.llm.requests import Answer, AskFailed, BudgetReached, LlmRequest, Usage
from gym_enrichment.pipeline.background import IdleWork
from gym_enrichment.pipeline.enriching.judging import Judge, Part, assembled
from gym_enrichment.pipeline.enriching.variant import Enrich, enrichment_from
from gym_enrichment.prompts import combined
from gym_enrichment.prompts import fanout as prompt
from gym_enrichment.prompts.fanout import PartPrompt
from gym_enrichment.settings import VariantChoice


@dataclass(frozen=True)
class FanoutVariant:
    """Asks `endpoint` with three prompts a gym; `judge` says what an answer is worth."""

    endpoint: Endpoint
    judge: Judge
    name: str = VariantChoice.FANOUT
    prompt_version: str = prompt.VERSION
    parameters: Mapping[str, float] = field(default_factory=dict)
    gyms_per_call_allowed: int = 2
    gyms_per_call: int = 1

    @cached_property
    def setup_hash(self) -> str:
        """Changes when the same bundle would be asked about, or its answers judged, differently."""
        asked = [[part.instructions, part.properties] for part in prompt.PARTS]
        asked.append([combined.HOURS_RULE, combined.HOURS_PROPERTY])
        return content_hash([self.endpoint.identity, self.endpoint.model, self._parameters, asked, self.judge.hash])

    @property
    def _parameters(self) -> dict[str, float]:
        return {"max_completion_tokens": prompt.MOST_COMPLETION_TOKENS, **self.parameters}

    def requests(self, bundle: Bundle) -> Sequence[LlmRequest]:
        """The three requests about a gym."""
        return [self._request(part, bundle) for part in prompt.PARTS]

    def _request(self, part: PartPrompt[Any], bundle: Bundle) -> LlmRequest:
        return LlmRequest(
            endpoint=self.endpoint.identity,
            model=self.endpoint.model,
            messages=part.render(bundle),
            schema_name=part.schema_name,
            schema=part.schema(bundle),
            parameters=self._parameters,
            place_id=bundle.place_id,
            variant=self.name,
            hints=self.endpoint.hints(f"{prompt.VERSION}-{part.name}"),
            protocol=self.endpoint.protocol,
            shorter=lambda: self._shorter(part, bundle),
        )

    def _shorter(self, part: PartPrompt[Any], bundle: Bundle) -> LlmRequest | None:
        half = bundle.halved()
        return self._request(part, half) if half else None

    @asynccontextmanager
    async def asking(self, gateway: Gateway, idle: IdleWork) -> AsyncIterator[Enrich]:
        """Ask the three about one gym at the same time."""
        yield partial(self._enrich, gateway, idle)

    async def _enrich(self, gateway: Gateway, idle: IdleWork, bundle: Bundle) -> tuple[Enrichment, Usage]:
        requests = self.requests(bundle)
        check = self.judge.check(combined.parse, bundle)
        idle.add(check.prepare)
        judgements: list[Callable[[Any], Part[Any]]] = [check.description, check.amenities, check.women]
        outcomes = _Outcomes()
        # What ends the run ends the siblings too; what only fails leaves them to be finished and kept.
        async with asyncio.TaskGroup() as calls:
            for part, request, judged in zip(prompt.PARTS, requests, judgements, strict=True):
                calls.create_task(outcomes.settle(part.name, gateway.ask(request, _checking(part, judged))))
        answer = outcomes.answer()
        return enrichment_from(answer, bundle, requests, self), answer.usage


def _checking(part: PartPrompt[Any], judged: Callable[[Any], Part[Any]]) -> Callable[[str], Any]:
    """What the gateway is to make of the text of one part's answer."""
    return lambda text: judged(part.parse(text)).accepted()


@dataclass
class _Outcomes:
    """How the three asks about one gym ended."""

    answers: dict[str, Answer[Any]] = field(default_factory=dict)
    failures: dict[str, AskFailed] = field(default_factory=dict)
    unasked: BudgetReached | None = None

    async def settle(self, name: str, ask: Coroutine[Any, Any, Answer[Any]]) -> None:
        """Keep what comes of one ask; only RunStopped comes out."""
        try:
            self.answers[name] = await ask
        except AskFailed as failure:
            self.failures[name] = failure
        except BudgetReached as reached:
            self.unasked = reached

    def answer(self) -> Answer[Findings]:
        """The three answers as one.

        Raises:
            AskFailed: a part failed; its usage is what all three cost.
            BudgetReached: none failed, but one was not asked; likewise.
        """
        usage = Usage()
        for answer in self.answers.values():
            usage += answer.usage
        for failure in self.failures.values():
            usage += failure.usage
        if self.failures:
            kind = next(iter(self.failures.values())).kind
            raise AskFailed(
                kind, "; ".join(f"{name}: {failed.message}" for name, failed in self.failures.items()), usage
            )
        if self.unasked is not None:
            self.unasked.usage = usage
            raise self.unasked
        answers = [self.answers[part.name] for part in prompt.PARTS]
        return Answer(
            value=assembled(*(answer.value for answer in answers)),
            model=", ".join(dict.fromkeys(answer.model for answer in answers)),
            usage=usage,
            from_cache=all(answer.from_cache for answer in answers),
        )
