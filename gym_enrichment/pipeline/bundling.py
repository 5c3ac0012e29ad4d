"""From raw gyms and reviews to bundles: one gym's facts and selected reviews, ready for a prompt."""

from collections.abc import Iterator, Sequence

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.domain.hashing import content_hash
from gym_enrichment.domain.instructions import tries_to_steer
from gym_enrichment.domain.models import Bundle, Gym
from gym_enrichment.domain.reviews import clean_text
from gym_enrichment.domain.selection import select_reviews
from gym_enrichment.prompts.tokens import count_tokens
from gym_enrichment.storage.bundles import RawGym, read_raw_batches
from gym_enrichment.storage.engine import Database


def build_bundles(
    database: Database, batch_ids: Sequence[str], token_budget: int, vocabulary: Vocabulary | None = None
) -> Iterator[tuple[str, list[Bundle]]]:
    """The bundles of each batch, batch by batch, from one reviews query for all of them.

    Args:
        database: where the raw rows are.
        batch_ids: which batches; any number.
        token_budget: most review tokens in one bundle.
        vocabulary: what amenities there are; the packaged one by default.

    Raises:
        UnknownBatch: a batch is not in the database.
    """
    with database.read() as connection:
        for batch_id, raw_gyms in read_raw_batches(connection, batch_ids):
            yield batch_id, [build_bundle(raw, token_budget, vocabulary) for raw in raw_gyms]


def build_bundle(raw: RawGym, token_budget: int, vocabulary: Vocabulary | None = None) -> Bundle:
    """One gym's bundle. Equal facts and reviews give an equal `content_hash`, whatever their revision."""
    chosen = select_reviews(raw.reviews, token_budget, count_tokens, vocabulary, tries_to_steer)
    facts = _facts(raw.gym)
    return Bundle(
        place_id=raw.gym.place_id,
        gym=facts,
        reviews=chosen.reviews,
        content_hash=content_hash([facts, [[review.review_id, review.text] for review in chosen.reviews]]),
        reviews_total=len(raw.reviews),
        reviews_with_text=len(raw.reviews) - chosen.left_out["empty"],
        review_tokens=chosen.tokens,
        revision=raw.revision,
        left_out=chosen.left_out,
    )


def _facts(gym: Gym) -> dict[str, object]:
    """What the LLM may know of a gym besides its reviews."""
    return {
        "name": clean_text(gym.name),
        "city": clean_text(gym.city),
        "country": clean_text(gym.country),
        "hours": [clean_text(line) for line in gym.hours or ()],
    }
