"""A small test of a variant: a few gyms asked about, for somebody to look at before it is given a share."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gym_enrichment.domain.experiments import LEGACY, ExperimentError, VariantSpec
from gym_enrichment.domain.models import Bundle, EnrichedBatch, Enrichment, GymFailure
from gym_enrichment.llm.endpoint import open_endpoint
from gym_enrichment.pipeline.bundling import build_bundles
from gym_enrichment.pipeline.enriching.enricher import Enricher
from gym_enrichment.settings import Settings, VariantChoice
from gym_enrichment.storage.batches import all_batches, assign_batches
from gym_enrichment.storage.enrichments import write_enriched_batch
from gym_enrichment.storage.experiments import version_in_force


@dataclass(frozen=True, slots=True)
class Trial:
    """What a test brought: enrichments and failures, the gyms' names, and figures as those of `run`."""

    variant: str
    enrichments: Sequence[Enrichment]
    failures: Sequence[GymFailure]
    names: Mapping[str, str | None]
    figures: Mapping[str, int | float]

    def as_dict(self) -> dict[str, Any]:
        """For `run --test --json`."""
        return {
            "variant": self.variant,
            **self.figures,
            "failures": [{"place_id": f.place_id, "error": f"{f.kind}: {f.message}"} for f in self.failures],
            "enrichments": [asdict(found) for found in self.enrichments],
        }


def try_variant(settings: Settings, variant: str, gyms: int, *, publish: bool = False) -> Trial:
    """Ask about the first gyms with any review. Whatever experiment is in force, all of them get `variant`.

    Calls are booked and cached as always; enrichments are saved only with `publish`.

    Args:
        settings: whom to ask.
        variant: a kind, or the name of a variant of the experiment in force.
        gyms: how many.
        publish: save what is found, and publish it as any run does.

    Raises:
        ExperimentError: there is no such variant.
        RunStopped: nothing can be asked before somebody mends the configuration.
    """
    spec = _spec(settings, variant)
    assign_batches(settings.database, settings.batch_size)
    picked = list(_first_bundles(settings, gyms))
    with open_endpoint(settings) as endpoint:
        batches = list(Enricher(settings, endpoint, only=spec).enrich(picked, f"test-{uuid.uuid4().hex}", gyms))
    for batch in batches if publish else ():
        write_enriched_batch(settings.database, batch)
    return Trial(
        variant,
        [found for batch in batches for found in batch.enrichments],
        [failure for batch in batches for failure in batch.failures],
        {bundle.place_id: str(bundle.gym.get("name") or "") for _, bundles in picked for bundle in bundles},
        _sum(batches),
    )


def _spec(settings: Settings, variant: str) -> VariantSpec:
    with settings.database.read() as connection:
        version = version_in_force(connection)
    specs = version.experiment.variants if version else ()
    named = {spec.name: spec for spec in specs if spec.name != LEGACY}
    kinds = {kind.value: VariantSpec.of_kind(kind.value) for kind in VariantChoice}
    known = kinds | named
    if variant not in known:
        raise ExperimentError(f"no variant {variant!r}: there are {', '.join(known)}")
    return known[variant]


def _first_bundles(settings: Settings, gyms: int) -> Iterator[tuple[str, list[Bundle]]]:
    with settings.database.read() as connection:
        batch_ids = all_batches(connection)
    for batch_id, bundles in build_bundles(settings.database, batch_ids, settings.token_budget, settings.vocabulary):
        found = [bundle for bundle in bundles if bundle.reviews][:gyms]
        if found:
            yield batch_id, found
        gyms -= len(found)
        if not gyms:
            return


def _sum(batches: Sequence[EnrichedBatch]) -> Mapping[str, int | float]:
    sums: dict[str, int | float] = {}
    for batch in batches:
        for name, value in batch.figures.items():
            sums[name] = sums.get(name, 0) + value
    return sums
