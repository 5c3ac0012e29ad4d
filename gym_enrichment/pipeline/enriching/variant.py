"""What a variant, a way of asking, is; and how a checked answer becomes an enrichment in each of them.

What must not live here: which variants there are (variants.py) and what one asks (a module each).
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from gym_enrichment.domain.findings import Findings
from gym_enrichment.domain.hashing import content_hash
from gym_enrichment.domain.models import Bundle, Enrichment
from gym_enrichment.llm.endpoint import Endpoint
from gym_enrichment.llm.gateway import Gateway
from gym_enrichment.llm.requests import Answer, LlmRequest, Usage
from gym_enrichment.pipeline.background import IdleWork
from gym_enrichment.pipeline.enriching.judging import Judge

Enrich = Callable[[Bundle], Awaitable[tuple[Enrichment, Usage]]]
"""Asks about one gym; the usage is what was paid for it now. Called for many gyms at once.

Raises:
    AskFailed: this gym has no valid answer.
    BudgetReached: it was not asked about.
    RunStopped: no gym can have an answer.
"""


class Variant(Protocol):
    """A way of asking about gyms. Making one connects to nothing."""

    @property
    def name(self) -> str:
        """What tables and settings call it."""

    @property
    def prompt_version(self) -> str:
        """Names the prompt in the rows that it brought."""

    @property
    def endpoint(self) -> Endpoint:
        """Whom it asks, and for which model."""

    @property
    def judge(self) -> Judge:
        """Who says what an answer is worth."""

    @property
    def setup_hash(self) -> str:
        """Changes when the same bundle would be asked about, or its answer judged, differently."""

    @property
    def gyms_per_call_allowed(self) -> int:
        """How many gyms are begun per call in flight allowed.

        More than a call holds: those that wait for a retry or for the database must not idle the others.
        """

    @property
    def gyms_per_call(self) -> int:
        """How many gyms a call is about, as a rule."""

    def requests(self, bundle: Bundle) -> Sequence[LlmRequest]:
        """The requests about one gym alone: their fingerprints name its answers in the cache."""

    def asking(self, gateway: Gateway, idle: IdleWork) -> AbstractAsyncContextManager[Enrich]:
        """Enriches through `gateway` until the context ends; what can be done while it waits is given to `idle`."""


def enrichment_from(
    answer: Answer[Findings], bundle: Bundle, requests: Sequence[LlmRequest], variant: Variant
) -> Enrichment:
    """The row of a gym that was asked about with `requests`; its figures are what was paid for it now."""
    return Enrichment(
        place_id=bundle.place_id,
        variant=variant.name,
        state="enriched",
        bundle_hash=bundle.content_hash,
        model=answer.model,
        prompt_version=variant.prompt_version,
        fingerprint=fingerprint_of(requests),
        setup_hash=variant.setup_hash,
        prompt_tokens=answer.usage.prompt_tokens,
        completion_tokens=answer.usage.completion_tokens,
        cost_usd=answer.usage.cost_usd,
        from_cache=answer.from_cache,
        **answer.value.fields(bundle.reviews, publish_unverified=variant.judge.publish_unverified),
    )


def fingerprint_of(requests: Sequence[LlmRequest]) -> str:
    """Names all that was asked about a gym: the fingerprint of its one request, or a hash of those of several."""
    fingerprints = [request.fingerprint for request in requests]
    return fingerprints[0] if len(fingerprints) == 1 else content_hash(fingerprints)
