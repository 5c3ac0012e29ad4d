"""Variant `combined`: one call asks everything about one gym."""

from dataclasses import dataclass, replace
from functools import cached_property, partial

from gym_enrichment.domain.hashing import content_hash
from gym_enrichment.domain.models import Bundle, Enrichment
from gym_enrichment.llm.endpoint import Endpoint
from gym_enrichment.llm.gateway import Gateway
from gym_enrichment.llm.requests import Answer, LlmRequest
from gym_enrichment.prompts import combined as prompt
from gym_enrichment.prompts.combined import CombinedAnswer

GYM_ITSELF = "gym"
"""What evidence says instead of a review id when the gym's own name or facts are the evidence."""


@dataclass(frozen=True)
class CombinedVariant:
    """Asks `endpoint` with the combined prompt."""

    endpoint: Endpoint
    name: str = "combined"

    @cached_property
    def setup_hash(self) -> str:
        """Changes when the same bundle would be asked about differently."""
        return content_hash(
            [self.endpoint.identity, self.endpoint.model, self._parameters, prompt.INSTRUCTIONS, prompt.SCHEMA]
        )

    @property
    def _parameters(self) -> dict[str, int]:
        return {"max_completion_tokens": prompt.MOST_COMPLETION_TOKENS}

    def request(self, bundle: Bundle) -> LlmRequest:
        """The one request for a gym."""
        return LlmRequest(
            endpoint=self.endpoint.identity,
            model=self.endpoint.model,
            messages=prompt.render(bundle),
            schema_name=prompt.SCHEMA_NAME,
            schema=prompt.SCHEMA,
            parameters=self._parameters,
            place_id=bundle.place_id,
            variant=self.name,
            shorter=lambda: self._shorter(bundle),
        )

    def _shorter(self, bundle: Bundle) -> LlmRequest | None:
        """The request with the first half of the reviews: their numbers stay what they were."""
        if len(bundle.reviews) < 2:
            return None
        return self.request(replace(bundle, reviews=bundle.reviews[: len(bundle.reviews) // 2]))

    async def enrich(self, gateway: Gateway, bundle: Bundle) -> tuple[Enrichment, Answer[CombinedAnswer]]:
        """Ask about one gym.

        Raises:
            AskFailed: this gym has no valid answer.
            RunStopped: no gym can have one.
        """
        request = self.request(bundle)
        answer = await gateway.ask(request, partial(prompt.check, bundle=bundle))
        found = answer.value
        return Enrichment(
            place_id=bundle.place_id,
            variant=self.name,
            state="enriched",
            description=found.description,
            amenities=[claim.name for claim in found.amenities],
            has_women_hours=found.has_women_hours,
            hours_french=found.hours_french,
            evidence=_evidence(bundle, found),
            bundle_hash=bundle.content_hash,
            model=answer.model,
            prompt_version=prompt.VERSION,
            fingerprint=request.fingerprint,
            setup_hash=self.setup_hash,
            prompt_tokens=answer.usage.prompt_tokens,
            completion_tokens=answer.usage.completion_tokens,
            cost_usd=answer.usage.cost_usd,
            from_cache=answer.from_cache,
        ), answer


def _evidence(bundle: Bundle, found: CombinedAnswer) -> dict[str, object]:
    def ids(numbers: list[int]) -> list[str]:
        return [bundle.reviews[number - 1].review_id if number else GYM_ITSELF for number in numbers]

    return {
        "amenities": {claim.name: ids(claim.reviews) for claim in found.amenities},
        "has_women_hours": ids(found.women_hours_reviews) if found.has_women_hours else [],
    }
