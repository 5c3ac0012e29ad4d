"""The variants that there are, by their kind."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from gym_enrichment.domain.experiments import LEGACY, Experiment, VariantSpec
from gym_enrichment.domain.models import Bundle
from gym_enrichment.llm.endpoint import Endpoint
from gym_enrichment.pipeline.enriching.combined import CombinedVariant
from gym_enrichment.pipeline.enriching.fanout import FanoutVariant
from gym_enrichment.pipeline.enriching.judging import Judge
from gym_enrichment.pipeline.enriching.packed import PackedVariant
from gym_enrichment.pipeline.enriching.variant import Variant
from gym_enrichment.settings import LlmMode, Settings, VariantChoice
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.legacy import kept_legacy

_SLOW_SHARE = 0.5
"""A call that takes more than half of the time-out has too many gyms: the next one might be lost to it."""


def variants_of(experiment: Experiment, settings: Settings, endpoint: Endpoint) -> dict[str, Variant]:
    """The variants of an experiment by name, asking `endpoint`; LEGACY asks nobody."""
    return {spec.name: variant_of(spec, settings, endpoint) for spec in experiment.variants if spec.name != LEGACY}


def variant_of(spec: VariantSpec, settings: Settings, endpoint: Endpoint) -> Variant:
    """One way of asking `endpoint`, or another model there."""
    judge = Judge(settings.vocabulary, settings.publish_unverified)
    if spec.model is not None:
        endpoint = replace(endpoint, model=spec.model)
    match VariantChoice(spec.kind):
        case VariantChoice.COMBINED:
            return CombinedVariant(endpoint, judge, spec.name, parameters=spec.parameters)
        case VariantChoice.FANOUT:
            return FanoutVariant(endpoint, judge, spec.name, parameters=spec.parameters)
        case VariantChoice.PACKED:
            # In an API batch every answer takes hours, however short it is.
            batched = settings.llm_mode is LlmMode.BATCH
            slow_seconds = math.inf if batched else _SLOW_SHARE * settings.timeout_seconds
            return PackedVariant(
                endpoint, judge, settings.pack_tokens, slow_seconds, spec.name, parameters=spec.parameters
            )


def by_variant(
    experiment: Experiment, bundles: Sequence[Bundle], legacy: Collection[str] = ()
) -> Mapping[str, list[Bundle]]:
    """The bundles by the variant that they are asked about with, those of the shadow twice; never empty.

    Args:
        experiment: which gives gyms their variants.
        bundles: of any gyms.
        legacy: gyms that stay with what the old pipeline found: in the shadow if the experiment names LEGACY, else
            nowhere, since they are no part of it.
    """
    found: dict[str, list[Bundle]] = {}
    for bundle in bundles:
        own = experiment.asked_with(experiment.variant_of(bundle.place_id))
        stays = bundle.place_id in legacy
        having = found.setdefault(own, [])
        if not stays:
            having.append(bundle)
        shadow = experiment.shadow_of(bundle.place_id)
        if bundle.reviews and shadow and (experiment.names_legacy if stays else shadow != own):
            found.setdefault(shadow, []).append(bundle)
    return found or {experiment.asked_with(experiment.variants[0].name): []}


def staying_legacy(database: Database, experiment: Experiment, bundles: Sequence[Bundle]) -> frozenset[str]:
    """The gyms of `bundles` (ten thousand at most) that stay with what the old pipeline found."""
    with database.read() as connection:
        kept = kept_legacy(connection, experiment, [bundle.place_id for bundle in bundles])
    return frozenset(bundle.place_id for bundle in bundles if kept.get(bundle.place_id) == bundle.content_hash)
