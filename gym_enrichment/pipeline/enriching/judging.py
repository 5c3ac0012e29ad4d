"""Judges an answer about one gym: its rules, then its claims against the reviews that the LLM was given.

What must not live here: the rules themselves (domain/).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.domain.answer_rules import (
    AnswerRejected,
    broken_amenity_rules,
    broken_character_rules,
    broken_description_rules,
    broken_women_rules,
)
from gym_enrichment.domain.descriptions import Described
from gym_enrichment.domain.findings import Findings
from gym_enrichment.domain.grounding import AmenityClaim, Mentions, Status, ground_amenities, ground_women
from gym_enrichment.domain.hashing import content_hash
from gym_enrichment.domain.hours import StatedHours, stated_hours, translated_hours
from gym_enrichment.domain.models import Bundle
from gym_enrichment.prompts.combined import CombinedAnswer

VERSION = 1
"""Changes when the same answer would be judged differently, so that `run` judges it again: from the cache, for free."""


@dataclass(frozen=True)
class Judge:
    """Turns answers into findings.

    Args:
        vocabulary: what amenities there are.
        publish_unverified: whether amenities that no review supports are published.
    """

    vocabulary: Vocabulary
    publish_unverified: bool = False

    @cached_property
    def hash(self) -> str:
        """Changes when the same answer would be judged differently."""
        concepts = [[amenity.id, amenity.label, list(amenity.synonyms)] for amenity in self.vocabulary.amenities]
        return content_hash([VERSION, self.publish_unverified, concepts])

    def check(self, parse: Callable[[str], CombinedAnswer], bundle: Bundle) -> Callable[[str], Findings]:
        """What the gateway is to make of the text of an answer about `bundle`."""
        return partial(self._judge, parse, bundle)

    def _judge(self, parse: Callable[[str], CombinedAnswer], bundle: Bundle, text: str) -> Findings:
        """The findings of an answer.

        Raises:
            AnswerRejected: it breaks rules; names all of them. If it only claims too much, what is left without that
                is `usable`.
        """
        answer = parse(text)
        hard = self._hard_reasons(answer, bundle)
        reviews = {number: review.text for number, review in enumerate(bundle.reviews, start=1)}
        name = str(bundle.gym.get("name") or "")
        claims = [AmenityClaim(claim.name, claim.reviews) for claim in answer.amenities]
        mentions = Mentions(reviews, self.vocabulary)
        amenities = ground_amenities(claims, reviews, mentions, self.vocabulary)
        women = ground_women(answer.has_women_hours, answer.women_hours_reviews, reviews, name)
        described = Described(bundle.gym, reviews, mentions, women.verdict, self.vocabulary)
        soft = described.broken_rules(answer.description)
        unshown = broken_women_rules(answer.has_women_hours is True, women.reviews)
        if not (hard or soft or unshown):
            return Findings(answer.description, "verified", amenities, women, _hours(answer, bundle))
        usable = None
        if not hard:
            mended = described.repaired(answer.description) if soft else answer.description
            status: Status = "repaired" if soft else "verified"
            usable = mended and Findings(mended, status, amenities, women, _hours(answer, bundle))
        raise AnswerRejected([*hard, *soft, *unshown], usable=usable)

    @staticmethod
    def _hard_reasons(answer: CombinedAnswer, bundle: Bundle) -> list[str]:
        """What nothing but another answer can mend."""
        names = [claim.name for claim in answer.amenities]
        return [
            *broken_character_rules([answer.description, answer.hours_french or "", *names]),
            *broken_description_rules(answer.description, str(bundle.gym.get("name") or "")),
            *broken_amenity_rules(names),
        ]


def _hours(answer: CombinedAnswer, bundle: Bundle) -> StatedHours:
    lines = [str(line) for line in bundle.gym.get("hours") or ()]
    return stated_hours(lines) or translated_hours(lines, answer.hours_french)
