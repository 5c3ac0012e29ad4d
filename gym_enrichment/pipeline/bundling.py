"""From raw gyms and reviews to bundles: one gym's facts and selected reviews, ready for a prompt.

A bundle that is stored as it would be built is taken as it is: its gym has the same revision and its setup hash is the
same.
"""

import sys
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from importlib.metadata import version

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.domain.hashing import content_hash
from gym_enrichment.domain.instructions import tries_to_steer
from gym_enrichment.domain.models import Bundle, Gym
from gym_enrichment.domain.reviews import clean_text
from gym_enrichment.domain.selection import select_reviews
from gym_enrichment.prompts.tokens import count_tokens
from gym_enrichment.storage.bundles import RawGym, read_batches
from gym_enrichment.storage.engine import Database

_TAKING_PART = (("pipeline", "bundling.py"), ("prompts", "tokens.py"), ("storage", "bundles.py"))
_PACKAGES = ("ftfy", "quicktok-v1")
"""Others' code by which texts are repaired and tokens counted."""


def build_bundles(
    database: Database, batch_ids: Sequence[str], token_budget: int, vocabulary: Vocabulary | None = None
) -> Iterator[tuple[str, list[Bundle]]]:
    """The bundles of each batch, batch by batch, from one reviews query for all of them.

    Built are only those that are not stored as they would be built; if there is none, reviews are not queried.

    Args:
        database: where the raw rows are.
        batch_ids: which batches; any number.
        token_budget: most review tokens in one bundle.
        vocabulary: what amenities there are; the packaged one by default.

    Raises:
        UnknownBatch: a batch is not in the database.
    """
    vocabulary = vocabulary or Vocabulary.default()
    with database.read() as connection:
        for batch_id, gyms in read_batches(connection, batch_ids, bundle_setup_hash(token_budget, vocabulary)):
            yield (
                batch_id,
                [gym if isinstance(gym, Bundle) else build_bundle(gym, token_budget, vocabulary) for gym in gyms],
            )


def build_bundle(raw: RawGym, token_budget: int, vocabulary: Vocabulary | None = None) -> Bundle:
    """One gym's bundle. Equal facts and reviews give an equal `content_hash`, whatever their revision."""
    vocabulary = vocabulary or Vocabulary.default()
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
        setup_hash=bundle_setup_hash(token_budget, vocabulary),
    )


def bundle_setup_hash(token_budget: int, vocabulary: Vocabulary) -> str:
    """Changes when the same gym and reviews could give another bundle."""
    return content_hash([token_budget, vocabulary.hash, _code_hash()])


@cache
def _code_hash() -> str:
    """Of the code by which bundles are built: our sources and the versions of what they rest upon.

    Of the sources, not a number that somebody has to raise: who forgets that publishes stale bundles, whereas a change
    of what has nothing to do with bundles costs one rebuilding. `domain` imports nothing of ours, so that with these
    two modules the list is complete.
    """
    package = resources.files("gym_enrichment")
    sources = [package / room / name for room, name in _TAKING_PART]
    folders = [package / "domain"]
    while folders:
        for entry in sorted(folders.pop().iterdir(), key=lambda entry: entry.name):
            if entry.is_dir():
                folders.append(entry)
            elif entry.name.endswith((".py", ".toml")):
                sources.append(entry)
    rests_upon = [sys.version_info[:2], unicodedata.unidata_version, *map(version, _PACKAGES)]
    return content_hash([rests_upon, [source.read_text("utf-8") for source in sources]])


def _facts(gym: Gym) -> dict[str, object]:
    """What the LLM may know of a gym besides its reviews."""
    return {
        "name": clean_text(gym.name),
        "city": clean_text(gym.city),
        "country": clean_text(gym.country),
        "hours": [clean_text(line) for line in gym.hours or ()],
    }
