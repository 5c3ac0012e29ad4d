"""The variants that there are, by the name that settings give them."""

import math

from gym_enrichment.llm.endpoint import Endpoint
from gym_enrichment.pipeline.enriching.combined import CombinedVariant
from gym_enrichment.pipeline.enriching.fanout import FanoutVariant
from gym_enrichment.pipeline.enriching.judging import Judge
from gym_enrichment.pipeline.enriching.packed import PackedVariant
from gym_enrichment.pipeline.enriching.variant import Variant
from gym_enrichment.settings import LlmMode, Settings, VariantChoice

_SLOW_SHARE = 0.5
"""A call that takes more than half of the time-out has too many gyms: the next one might be lost to it."""


def variant_of(settings: Settings, endpoint: Endpoint) -> Variant:
    """The variant that GYM_VARIANT or `run --variant` names, asking `endpoint`."""
    judge = Judge(settings.vocabulary, settings.publish_unverified)
    match settings.variant:
        case VariantChoice.COMBINED:
            return CombinedVariant(endpoint, judge)
        case VariantChoice.FANOUT:
            return FanoutVariant(endpoint, judge)
        case VariantChoice.PACKED:
            # In an API batch every answer takes hours, however short it is.
            batched = settings.llm_mode is LlmMode.BATCH
            slow_seconds = math.inf if batched else _SLOW_SHARE * settings.timeout_seconds
            return PackedVariant(endpoint, judge, settings.pack_tokens, slow_seconds)
