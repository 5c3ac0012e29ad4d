"""Which reviews of a gym go into its bundle, and how their text is cleaned for the prompt.

What must not live here: storage of reviews, whose text stays as it came.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from gym_enrichment.domain.models import BundleReview, Review

_WHITE_SPACE = re.compile(r"\s+")
# Control and zero-width characters carry nothing that a reader of the review would see.
_INVISIBLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def clean_text(text: str | None) -> str:
    """The text as one line without invisible characters; "" when nothing is left."""
    if not text:
        return ""
    return _WHITE_SPACE.sub(" ", _INVISIBLE.sub("", text)).strip()


def select_reviews(
    reviews: Sequence[Review], token_budget: int, count_tokens: Callable[[str], int]
) -> tuple[list[BundleReview], int]:
    """The newest distinct reviews that fit, and the tokens they take.

    A review that is too long for what is left is passed over for shorter ones; a gym whose every review is
    too long gets the beginning of its newest. Deterministic: equal dates are ordered by id.

    Args:
        reviews: all of one gym.
        token_budget: most tokens of all texts together.
        count_tokens: counts in the model's vocabulary.
    """
    distinct: dict[str, BundleReview] = {}
    for review in sorted(
        reviews, key=lambda review: (review.published_at or _LONG_AGO, review.review_id), reverse=True
    ):
        text = clean_text(review.text)
        if text:
            distinct.setdefault(text.casefold(), BundleReview(review.review_id, text))
    chosen: list[BundleReview] = []
    used = 0
    for candidate in distinct.values():
        tokens = count_tokens(candidate.text)
        if used + tokens <= token_budget:
            chosen.append(candidate)
            used += tokens
    if distinct and not chosen:
        newest = next(iter(distinct.values()))
        chosen = [BundleReview(newest.review_id, _beginning(newest.text, token_budget, count_tokens))]
        used = count_tokens(chosen[0].text)
    return chosen, used


def _beginning(text: str, token_budget: int, count_tokens: Callable[[str], int]) -> str:
    """The longest run of whole words from the start that fits (a word of its own size is cut)."""
    fits, too_long = 0, len(text)
    while fits + 1 < too_long:
        middle = (fits + too_long) // 2
        if count_tokens(text[:middle]) <= token_budget:
            fits = middle
        else:
            too_long = middle
    return text[:fits].rpartition(" ")[0] or text[:fits]
