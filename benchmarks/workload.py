"""The work that is measured: gyms with as much of their reviews as selection leaves (700 tokens), all different."""

from collections.abc import Iterator

from pydantic import SecretStr

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.domain.hashing import content_hash
from gym_enrichment.domain.models import Bundle, BundleReview
from gym_enrichment.llm.endpoint import Endpoint
from gym_enrichment.llm.requests import LlmRequest
from gym_enrichment.pipeline.enriching.combined import CombinedVariant
from gym_enrichment.pipeline.enriching.judging import Judge

TEXT = (
    "The gym is clean and has plenty of machines, free weights, showers and lockers. Staff were friendly and the"
    " classes in the evening are good, though parking is not easy at that time. "
)
_REVIEWS, _BATCH = 17, 100


def bundle(number: int, seed: int) -> Bundle:
    """One gym; another for every number and seed."""
    facts = {"name": f"Gym {seed} {number}", "city": "Oran", "country": "DZ", "hours": []}
    reviews = [BundleReview(f"{number}-{review}", f"{TEXT}{review}") for review in range(_REVIEWS)]
    return Bundle(
        place_id=f"gym-{seed}-{number}",
        gym=facts,
        reviews=reviews,
        content_hash=content_hash([seed, number]),
        reviews_total=_REVIEWS,
        reviews_with_text=_REVIEWS,
        review_tokens=700,
        revision=1,
    )


def bundles(gyms: int, seed: int = 0) -> Iterator[tuple[str, list[Bundle]]]:
    """Batches of a hundred gyms."""
    for start in range(0, gyms, _BATCH):
        numbers = range(start, min(gyms, start + _BATCH))
        yield f"batch-{start // _BATCH + 1:06d}", [bundle(number, seed) for number in numbers]


def requests(gyms: int) -> list[LlmRequest]:
    """The requests that the combined variant makes for the same gyms."""
    variant = CombinedVariant(Endpoint("bench", None, SecretStr("bench"), "bench"), Judge(Vocabulary.default()))
    return [variant.alone(item) for _, batch in bundles(gyms) for item in batch]
