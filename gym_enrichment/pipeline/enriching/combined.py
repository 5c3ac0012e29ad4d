"""Variant `combined`: one call asks everything about one gym."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial

from gym_enrichment.domain.hashing import content_hash
from gym_enrichment.domain.models import Bundle, Enrichment
from gym_enrichment.llm.endpoint import Endpoint
from gym_enrichment.llm.gateway import Gateway
from gym_enrichment.llm.requests import LlmRequest, Usage
from gym_enrichment.pipeline.background import IdleWork
from gym_enrichment.pipeline.enriching.judging import Judge
from gym_enrichment.pipeline.enriching.variant import Enrich, enrichment_from
from gym_enrichment.prompts import combined as prompt
from gym_enrichment.settings import VariantChoice


@dataclass(frozen=True)
class CombinedVariant:
    """Asks `endpoint` with the combined prompt; `judge` says what an answer is worth."""

    endpoint: Endpoint
    judge: Judge
    name: str = VariantChoice.COMBINED
    prompt_version: str = prompt.VERSION
    parameters: Mapping[str, float] = field(default_factory=dict)
    gyms_per_call_allowed: int = 4
    gyms_per_call: int = 1

    @cached_property
    def setup_hash(self) -> str:
        """Changes when the same bundle would be asked about, or its answer judged, differently."""
        asked = [prompt.INSTRUCTIONS, prompt.HOURS_RULE, prompt.PROPERTIES, prompt.HOURS_PROPERTY]
        return content_hash([self.endpoint.identity, self.endpoint.model, self._parameters, asked, self.judge.hash])

    @property
    def _parameters(self) -> dict[str, float]:
        return {"max_completion_tokens": prompt.MOST_COMPLETION_TOKENS, **self.parameters}

    def requests(self, bundle: Bundle) -> Sequence[LlmRequest]:
        """The one request about a gym."""
        return [self.alone(bundle)]

    def alone(self, bundle: Bundle) -> LlmRequest:
        """The one request for a gym."""
        return LlmRequest(
            endpoint=self.endpoint.identity,
            model=self.endpoint.model,
            messages=prompt.render(bundle),
            schema_name=prompt.SCHEMA_NAME,
            schema=prompt.schema(bundle),
            parameters=self._parameters,
            place_id=bundle.place_id,
            variant=self.name,
            hints=self.endpoint.hints(prompt.VERSION),
            protocol=self.endpoint.protocol,
            shorter=lambda: self._shorter(bundle),
        )

    def _shorter(self, bundle: Bundle) -> LlmRequest | None:
        half = bundle.halved()
        return self.alone(half) if half else None

    @asynccontextmanager
    async def asking(self, gateway: Gateway, idle: IdleWork) -> AsyncIterator[Enrich]:
        """Ask about one gym at a time."""
        yield partial(self._enrich, gateway, idle)

    async def _enrich(self, gateway: Gateway, idle: IdleWork, bundle: Bundle) -> tuple[Enrichment, Usage]:
        request = self.alone(bundle)
        check = self.judge.check(prompt.parse, bundle)
        idle.add(check.prepare)
        answer = await gateway.ask(request, check)
        return enrichment_from(answer, bundle, [request], self), answer.usage
