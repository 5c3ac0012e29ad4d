"""The offline engine: one gym's answer from rules alone, in the shape that the model is asked for.

Pure functions over text. No network, no prompt, no server, no state but the compiled vocabulary; every statement it
makes was found in the gym's facts or reviews, and no review text is ever repeated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gym_enrichment.domain.amenities import Amenity, Vocabulary
from gym_enrichment.domain.composing import composed_description
from gym_enrichment.domain.grounding import Mentions, reviews_saying, women_statements
from gym_enrichment.domain.hours import NOT_STATED, HoursError, Week, french_lines, parse_hours
from gym_enrichment.domain.witnesses import witnesses
from gym_enrichment.domain.women import women_only_verdict

MAX_AMENITIES = 10
MAX_REVIEWS_CITED = 5
_MAX_REVIEW = 20_000  # characters of one review that are read
_MAX_NAME = 100


def answer(gym: Mapping[str, object], reviews: Mapping[str, str]) -> dict[str, object]:
    """What the model would answer for one gym.

    `gym` has `name`, `city` and `hours` (a list of lines, or None); `reviews` maps short numbers ("1", "2", ...) to
    text. Returns `description`, `amenities` (`name`, `reviews`), `has_women_hours`, `women_hours_reviews` (0 is the
    gym's name) and `hours_french`. Raises ValueError for a review key that is no number.
    """
    texts = {int(number): text[:_MAX_REVIEW] for number, text in reviews.items() if text}
    texts = witnesses(dict(sorted(texts.items())))
    name = _clean(gym.get("name"))
    support = _support(Vocabulary.default(), texts)
    women_reviews = _women_reviews(name, texts)
    week = _week(gym.get("hours"))
    amenities = [amenity for amenity, _ in support]
    return {
        "description": composed_description(name, _clean(gym.get("city")), amenities, bool(women_reviews), week),
        "amenities": [{"name": amenity.label, "reviews": numbers[:MAX_REVIEWS_CITED]} for amenity, numbers in support],
        "has_women_hours": bool(women_reviews),
        "women_hours_reviews": women_reviews,
        "hours_french": ("; ".join(french_lines(week)) if week is not None else "") or NOT_STATED,
    }


def _support(vocabulary: Vocabulary, texts: Mapping[int, str]) -> list[tuple[Amenity, list[int]]]:
    """The amenities with the reviews that affirm them, most supported first.

    A review that denies what it affirms elsewhere does not count; an amenity that as many reviews deny is left out.
    """
    mentions = Mentions(texts, vocabulary)
    kept = [(i, numbers) for i in mentions.affirming if (numbers := mentions.supporting(i))]
    kept.sort(key=lambda item: (-len(item[1]), item[0]))
    return [(vocabulary.get(amenity_id), numbers) for amenity_id, numbers in kept[:MAX_AMENITIES]]


def _women_reviews(name: str, texts: Mapping[int, str]) -> list[int]:
    """The reviews that say so (0 for the name) when the verdict is yes, else nothing."""
    statements = women_statements(texts)
    verdict = women_only_verdict(statements.values(), name)
    return reviews_saying(verdict, statements, name) if verdict == "yes" else []


def _week(hours: object) -> Week | None:
    if not isinstance(hours, list | tuple):
        return None
    lines = [line for line in hours if isinstance(line, str) and line.strip()]
    if not lines:
        return None
    try:
        return parse_hours(lines)
    except HoursError:
        return None


def _clean(value: object) -> str:
    """One line of a fact, without what would end a sentence early."""
    text = re.sub(r"\s+", " ", value).strip(" .!?;,\u200b") if isinstance(value, str) else ""
    return text if len(text) <= _MAX_NAME else text[:_MAX_NAME].rsplit(" ", 1)[0] + "…"
