"""Opens the gateway of one run as the settings want it: each prompt at once, or many as a batch at half the price.

What must not live here: asking (enricher.py and the variants).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from math import inf

from gym_enrichment.llm.endpoint import Endpoint
from gym_enrichment.llm.gateway import Gateway
from gym_enrichment.llm.pricing import price_from_settings
from gym_enrichment.settings import LlmMode, Settings
from gym_enrichment.storage.llm_admission import Terms, month_scope, run_scope

_LOOKS_IN_PATIENCE = 10
"""A Batch API that fails is given up after GYM_LLM_PATIENCE or so many looks, whichever is longer."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A gateway, how many gyms may be under way at this moment, and what waits at the provider as a clause for logs."""

    gateway: Gateway
    gyms_at_once: Callable[[], int]
    waiting: Callable[[], str]


def open_gateway(settings: Settings, endpoint: Endpoint, run_id: str, gyms_per_call: int) -> Opened:
    """A gateway to `endpoint` for the run `run_id`; `gyms_per_call` may be under way per call allowed."""
    if settings.llm_mode is LlmMode.BATCH:
        return _open_batches(settings, endpoint, run_id)
    from gym_enrichment.llm.openai_transport import OpenAITransport  # a second of import, for those who call

    gateway = Gateway(
        OpenAITransport(endpoint.api_key.get_secret_value(), endpoint.base_url, settings.timeout_seconds),
        settings.database,
        run_id=run_id,
        concurrency=settings.concurrency,
        cache_ttl_seconds=settings.cache_ttl_seconds,
        max_attempts=settings.max_attempts,
        patience=settings.patience_seconds,
        terms=_terms(settings, endpoint, run_id),
        prices=partial(price_from_settings, settings),
    )
    # Of the calls that the server was seen to bear, not of those allowed: what is begun early waits, and is in the way.
    return Opened(gateway, lambda: gateway.stats.limit * gyms_per_call, lambda: "")


def _open_batches(settings: Settings, endpoint: Endpoint, run_id: str) -> Opened:
    from gym_enrichment.llm.batch_api import BatchTransport
    from gym_enrichment.llm.batch_client import BatchClient

    patience = max(settings.patience_seconds, _LOOKS_IN_PATIENCE * settings.batch_poll_seconds)
    transport = BatchTransport(
        BatchClient(endpoint.api_key.get_secret_value(), endpoint.base_url, settings.timeout_seconds, patience),
        settings.database,
        endpoint.identity,
        most_requests=settings.batch_requests,
        gather_seconds=min(1.0, settings.batch_poll_seconds),
        poll_seconds=settings.batch_poll_seconds,
    )
    gateway = Gateway(
        transport,
        settings.database,
        run_id=run_id,
        concurrency=settings.batch_requests,
        cache_ttl_seconds=settings.cache_ttl_seconds,
        max_attempts=settings.max_attempts,
        # A batch is silent for hours; an outage is noticed by the client's own patience.
        patience=inf,
        terms=_terms(settings, endpoint, run_id),
        prices=partial(price_from_settings, settings),
        adaptive=False,
    )
    return Opened(gateway, lambda: settings.batch_requests, transport.progress.line)


def _terms(settings: Settings, endpoint: Endpoint, run_id: str) -> Terms:
    """Budgets always; the limits per minute only for calls that are answered at once: batches have a queue instead."""
    sync = settings.llm_mode is LlmMode.SYNC
    budgets = {
        run_scope(run_id): settings.budget_usd,
        month_scope(datetime.now(UTC)): settings.monthly_budget_usd,
    }
    return Terms(
        endpoint=f"{endpoint.identity} {endpoint.model}",
        requests_per_minute=settings.requests_per_minute if sync else None,
        tokens_per_minute=settings.tokens_per_minute if sync else None,
        budgets={scope: dollars for scope, dollars in budgets.items() if dollars is not None},
    )
