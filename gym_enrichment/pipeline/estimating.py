"""What a run would ask and cost, before anything is spent.

What must not live here: choosing batches (choosing.py) and prices (llm/pricing.py).
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import islice
from typing import Any

from gym_enrichment.domain.experiments import Experiment
from gym_enrichment.domain.models import Bundle
from gym_enrichment.llm.endpoint import OPENAI, Endpoint
from gym_enrichment.llm.pricing import FREE, price_from_settings
from gym_enrichment.llm.requests import LlmRequest
from gym_enrichment.pipeline.bundling import build_bundles
from gym_enrichment.pipeline.enriching.variant import Variant, fingerprint_of
from gym_enrichment.pipeline.enriching.variants import by_variant, staying_legacy, variants_of
from gym_enrichment.prompts.tokens import count_tokens
from gym_enrichment.settings import Settings
from gym_enrichment.storage.llm_calls import find_cached
from gym_enrichment.storage.statistics import CallHabits, call_habits

_COMPLETION_TOKENS = 240
"""Of one gym's answer, until the ledger knows better: what a description and ten amenities with evidence take."""
_SECONDS = 3.0
"""Of one call, until the ledger knows better."""
_LOW, _HIGH = 0.85, 1.35
"""Answers are shorter or longer than their mean, and some are asked for twice."""
_GYMS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Estimate:
    """What `run` would do. `priced` is False when the model's price is not known and the cost says nothing.

    `legacy` are gyms that stay with what the old pipeline found.
    `seconds` is the time of the calls at the configured limits.
    """

    gyms: int
    to_ask: int
    skipped: int
    cached: int
    llm_calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    cost_usd_low: float
    cost_usd_high: float
    seconds: float
    priced: bool
    legacy: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For `estimate --json`."""
        return asdict(self)


def estimate(settings: Settings, endpoint: Endpoint, experiment: Experiment, batch_ids: Sequence[str]) -> Estimate:
    """What enriching `batch_ids` would take: builds bundles and prompts, looks into the cache, sends nothing.

    Raises:
        SettingsError: the price settings are incomplete.
    """
    variants = variants_of(experiment, settings, endpoint)
    work = {name: _Work() for name in variants}
    kept = 0
    bundles = build_bundles(settings.database, batch_ids, settings.token_budget, settings.vocabulary)
    everything = (bundle for _, batch in bundles for bundle in batch)
    while group := list(islice(everything, _GYMS_AT_ONCE)):
        staying = staying_legacy(settings.database, experiment, group)
        for name, having in by_variant(experiment, group, staying).items():
            work[name].add(settings, variants[name], having)
        kept += len(staying)
    estimates = [_of_variant(settings, endpoint, variants[name], done) for name, done in work.items() if done.gyms]
    found = _sum(estimates)
    return replace(found, gyms=found.gyms + kept, legacy=kept)


def _of_variant(settings: Settings, endpoint: Endpoint, variant: Variant, work: "_Work") -> Estimate:
    with settings.database.read() as connection:
        habits = call_habits(connection, variant.name)
    calls, shared_tokens = work.calls(variant.gyms_per_call, endpoint)
    prompt_tokens = work.own_tokens + shared_tokens
    completion = round(work.to_ask * (habits.completion_tokens_per_gym if habits else _COMPLETION_TOKENS))
    price = price_from_settings(settings, variant.endpoint.model)
    low, likely, high = (
        round((price or FREE).cost(prompt_tokens, 0, round(completion * share)) * max(1.0, share), 6)
        for share in (_LOW, 1.0, _HIGH)
    )
    return Estimate(
        gyms=work.gyms,
        to_ask=work.to_ask,
        skipped=work.skipped,
        cached=work.cached,
        llm_calls=calls,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion,
        cost_usd=likely,
        cost_usd_low=low,
        cost_usd_high=high,
        seconds=round(_seconds(settings, habits, calls, prompt_tokens + completion), 1),
        priced=price is not None,
    )


def _sum(estimates: Sequence[Estimate]) -> Estimate:
    """Of all variants together; they share what they may call at once."""
    names = [field.name for field in fields(Estimate) if field.name != "priced"]
    sums = {name: sum(getattr(estimate, name) for estimate in estimates) for name in names}
    return Estimate(**sums, priced=all(estimate.priced for estimate in estimates))


@dataclass(slots=True)
class _Work:
    """What the gyms counted so far would take; `kinds` has the requests of each schema, and one of them."""

    gyms: int = 0
    skipped: int = 0
    cached: int = 0
    to_ask: int = 0
    own_tokens: int = 0
    kinds: dict[str, tuple[int, LlmRequest]] = field(default_factory=dict)

    def add(self, settings: Settings, variant: Variant, group: Sequence[Bundle]) -> None:
        """Count some gyms; equal ones share their calls."""
        asked = [variant.requests(bundle) for bundle in group if bundle.reviews]
        different = {fingerprint_of(requests): requests for requests in asked}
        known: Collection[str] = ()
        if settings.cache_ttl_seconds:
            fingerprints = [request.fingerprint for requests in different.values() for request in requests]
            with settings.database.read() as connection:
                known = find_cached(connection, fingerprints)
        self.gyms += len(group)
        self.skipped += sum(not bundle.reviews for bundle in group)
        for requests in different.values():
            unknown = [request for request in requests if request.fingerprint not in known]
            self.to_ask += bool(unknown)
            self.cached += not unknown
            for request in unknown:
                self._add_request(request)

    def _add_request(self, request: LlmRequest) -> None:
        self.own_tokens += count_tokens(request.messages[1]["content"])
        count, first = self.kinds.get(request.schema_name, (0, request))
        self.kinds[request.schema_name] = (count + 1, first)

    def calls(self, gyms_per_call: int, endpoint: Endpoint) -> tuple[int, int]:
        """How many calls they take, and the tokens of what these say whatever the gym."""
        calls = tokens = 0
        for count, request in self.kinds.values():
            needed = -(-count // gyms_per_call)
            shared = count_tokens(request.messages[0]["content"]) + _schema_tokens(endpoint, request.schema)
            calls, tokens = calls + needed, tokens + needed * shared
        return calls, tokens


def _schema_tokens(endpoint: Endpoint, schema: Mapping[str, Any]) -> int:
    """OpenAI charges for the schema as for a prompt; servers that we know nothing of may not."""
    return count_tokens(json.dumps(schema)) if endpoint.identity == OPENAI else 0


def _seconds(settings: Settings, habits: CallHabits | None, calls: int, tokens: int) -> float:
    """The longest of what latency, requests per minute and tokens per minute allow."""
    latency = habits.latency_seconds if habits else _SECONDS
    by_requests = 60 * calls / settings.requests_per_minute if settings.requests_per_minute else 0.0
    by_tokens = 60 * tokens / settings.tokens_per_minute if settings.tokens_per_minute else 0.0
    return max(calls * latency / settings.concurrency, by_requests, by_tokens)
