"""Variant `packed`: one call asks everything about several gyms.

What must not live here: how gyms are gathered into calls, and what a bad answer leads to (llm/packing.py).
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial

from gym_enrichment.domain.findings import Findings
from gym_enrichment.domain.hashing import content_hash
from gym_enrichment.domain.models import Bundle, Enrichment
from gym_enrichment.llm.endpoint import Endpoint
from gym_enrichment.llm.gateway import Gateway
from gym_enrichment.llm.pack_size import MOST, START, PackSize
from gym_enrichment.llm.packing import Packer
from gym_enrichment.llm.requests import LlmRequest, Usage
from gym_enrichment.pipeline.background import IdleWork
from gym_enrichment.pipeline.enriching.judging import Judge
from gym_enrichment.pipeline.enriching.variant import Enrich, enrichment_from
from gym_enrichment.prompts import combined
from gym_enrichment.prompts import packed as prompt
from gym_enrichment.settings import VariantChoice


@dataclass(frozen=True)
class PackedVariant:
    """Asks `endpoint` with the packed prompt.

    Args:
        endpoint: who answers.
        judge: says what an answer is worth.
        pack_tokens: most tokens of facts and reviews in one call.
        slow_seconds: a call that takes longer is one with too many gyms.
    """

    endpoint: Endpoint
    judge: Judge
    pack_tokens: int
    slow_seconds: float
    name: str = VariantChoice.PACKED
    prompt_version: str = prompt.VERSION
    parameters: Mapping[str, float] = field(default_factory=dict)
    gyms_per_call_allowed: int = 2 * MOST
    gyms_per_call: int = START

    @cached_property
    def setup_hash(self) -> str:
        """Changes when the same bundle would be asked about, or its answer judged, differently.

        Who shares its call does not count.
        """
        return content_hash(
            [
                self.endpoint.identity,
                self.endpoint.model,
                prompt.most_completion_tokens(1),
                *([dict(self.parameters)] if self.parameters else []),
                [prompt.INSTRUCTIONS, combined.HOURS_RULE, combined.PROPERTIES, combined.HOURS_PROPERTY],
                self.judge.hash,
            ]
        )

    def requests(self, bundle: Bundle) -> Sequence[LlmRequest]:
        """The one request about a gym: what asks it alone, and names its answer in the cache."""
        return [self.request([bundle])]

    def request(self, subjects: Sequence[Bundle]) -> LlmRequest:
        """The one request about some gyms. About a single one, it names that gym's answer in the cache."""
        single = subjects[0] if len(subjects) == 1 else None
        return LlmRequest(
            endpoint=self.endpoint.identity,
            model=self.endpoint.model,
            messages=prompt.render(subjects),
            schema_name=prompt.SCHEMA_NAME,
            schema=prompt.schema(subjects),
            parameters={"max_completion_tokens": prompt.most_completion_tokens(len(subjects)), **self.parameters},
            place_id=single.place_id if single else f"pack of {len(subjects)}",
            variant=self.name,
            hints=self.endpoint.hints(prompt.VERSION),
            protocol=self.endpoint.protocol,
            shorter=lambda: self._shorter(single),
        )

    def _shorter(self, bundle: Bundle | None) -> LlmRequest | None:
        half = bundle.halved() if bundle else None
        return self.request([half]) if half else None

    def split(self, text: str, size: int) -> Sequence[str | None]:
        """Each gym's part of an answer about `size` gyms."""
        return prompt.split(text, size)

    def tokens(self, subject: Bundle) -> int:
        """What a gym adds to a prompt."""
        return prompt.content_tokens(subject)

    @asynccontextmanager
    async def asking(self, gateway: Gateway, idle: IdleWork) -> AsyncIterator[Enrich]:
        """Gather the gyms that are asked about at the same time into calls."""
        size = PackSize(slow_seconds=self.slow_seconds)
        packer: Packer[Bundle, Findings] = Packer(gateway, self, token_budget=self.pack_tokens, size=size)
        try:
            yield partial(self._enrich, packer, idle)
        finally:
            await packer.close()

    async def _enrich(
        self, packer: Packer[Bundle, Findings], idle: IdleWork, bundle: Bundle
    ) -> tuple[Enrichment, Usage]:
        request = self.request([bundle])
        check = self.judge.check(prompt.parse, bundle)
        idle.add(check.prepare)
        answer = await packer.ask(bundle, request, check)
        return enrichment_from(answer, bundle, [request], self), answer.usage
