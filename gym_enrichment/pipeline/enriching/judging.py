"""Judges an answer about one gym: its rules, then its claims against the reviews that the LLM was given.

What must not live here: the rules themselves (domain/).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

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
from gym_enrichment.domain.grounding import (
    WOMEN_SPACE,
    AmenityClaim,
    GroundedAmenities,
    GroundedWomen,
    Mentions,
    Status,
    ground_amenities,
    ground_women,
    women_statements,
)
from gym_enrichment.domain.hashing import content_hash
from gym_enrichment.domain.hours import StatedHours, stated_hours, translated_hours
from gym_enrichment.domain.models import Bundle, WomenOnly
from gym_enrichment.domain.witnesses import witnesses
from gym_enrichment.domain.women import WomenStatement, women_only_verdict
from gym_enrichment.prompts.combined import AmenitiesAnswer, CombinedAnswer, DescriptionAnswer, WomenAnswer

Value = TypeVar("Value")

VERSION = 4
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
        lexicon = self.vocabulary.lexicon
        return content_hash([VERSION, self.publish_unverified, concepts, sorted(lexicon.words), sorted(lexicon.names)])

    def check(self, parse: Callable[[str], CombinedAnswer], bundle: Bundle) -> "Check":
        """What the gateway is to make of the text of an answer about `bundle`."""
        return Check(self.vocabulary, parse, bundle)


@dataclass(frozen=True, slots=True)
class Part(Generic[Value]):
    """What one part of an answer is worth.

    Args:
        value: what can be published of it; None if nothing can.
        hard: the rules it breaks that nothing but another answer can mend.
        soft: those it breaks by claiming too much: `value` is what is left without that.
    """

    value: Value | None
    hard: Sequence[str] = ()
    soft: Sequence[str] = ()

    def accepted(self) -> Value:
        """The value of a part that breaks no rule.

        Raises:
            AnswerRejected: it breaks some; names all of them.
        """
        if self.value is None or self.hard or self.soft:
            raise AnswerRejected([*self.hard, *self.soft], usable=None if self.hard else self.value)
        return self.value


class Check:
    """Judges answers about one gym. `prepare` does what needs no answer, while one is waited for."""

    def __init__(self, vocabulary: Vocabulary, parse: Callable[[str], CombinedAnswer], bundle: Bundle) -> None:
        self._vocabulary = vocabulary
        self._parse = parse
        self._bundle = bundle
        self._name = str(bundle.gym.get("name") or "")

    def prepare(self) -> None:
        """Read the reviews."""
        self._described.prepare()

    def __call__(self, text: str) -> Findings:
        """The findings of an answer.

        Raises:
            AnswerRejected: it breaks rules; names all of them. If it only claims too much, what is left without that
                is `usable`.
        """
        answer = self._parse(text)
        description, amenities, women = self.description(answer), self.amenities(answer), self.women(answer)
        hard = list(dict.fromkeys([*description.hard, *amenities.hard, *women.hard]))
        findings = None
        if not hard and description.value and amenities.value and women.value:
            findings = assembled(description.value, amenities.value, women.value)
        return Part(findings, hard, [*description.soft, *amenities.soft, *women.soft]).accepted()

    def description(self, answer: DescriptionAnswer) -> Part[tuple[str, Status]]:
        """The description, with how it was checked."""
        text = answer.description
        if hard := [*broken_character_rules([text]), *broken_description_rules(text, self._name)]:
            return Part(None, hard, self._described.broken_rules(text))
        if soft := self._described.broken_rules(text):
            mended = self.mended(text)
            return Part((mended, "repaired") if mended else None, soft=soft)
        return Part((text, "verified"))

    def mended(self, description: str) -> str | None:
        """What can be published in place of a description that breaks rules; None if nothing can."""
        return self._described.repaired(description)

    def amenities(self, answer: AmenitiesAnswer) -> Part[GroundedAmenities]:
        """The amenities, with the reviews that show them."""
        names = [claim.name for claim in answer.amenities]
        if hard := [*broken_character_rules(names), *broken_amenity_rules(names)]:
            return Part(None, hard)
        claims = [AmenityClaim(claim.name, claim.reviews) for claim in answer.amenities]
        return Part(ground_amenities(claims, self._witnesses, self._mentions, self._vocabulary))

    def women(self, answer: WomenAnswer) -> Part[tuple[GroundedWomen, StatedHours]]:
        """Women-only hours with the reviews that show them, and the opening hours."""
        women = ground_women(answer.has_women_hours, answer.women_hours_reviews, self._statements, self._name)
        unshown = broken_women_rules(answer.has_women_hours is True, women.reviews)
        if hard := broken_character_rules([answer.hours_french or ""]):
            return Part(None, hard, unshown)
        return Part((women, _hours(answer, self._bundle)), soft=unshown)

    @cached_property
    def _reviews(self) -> dict[int, str]:
        return {number: review.text for number, review in enumerate(self._bundle.reviews, start=1)}

    @cached_property
    def _witnesses(self) -> dict[int, str]:
        return witnesses(self._reviews)

    @cached_property
    def _statements(self) -> dict[int, Sequence[WomenStatement]]:
        return women_statements(self._witnesses)

    @cached_property
    def _verdict(self) -> WomenOnly:
        return women_only_verdict(self._statements.values(), self._name)

    @cached_property
    def _mentions(self) -> Mentions:
        mentions = Mentions(self._witnesses, self._vocabulary)
        if self._verdict != "yes":
            mentions.forget(WOMEN_SPACE)
        return mentions

    @cached_property
    def _described(self) -> Described:
        return Described(self._bundle.gym, self._witnesses, self._mentions, self._verdict, self._vocabulary)


def assembled(
    description: tuple[str, Status], amenities: GroundedAmenities, women: tuple[GroundedWomen, StatedHours]
) -> Findings:
    """The findings of the three parts of an answer, or of three answers."""
    return Findings(*description, amenities, *women)


def _hours(answer: WomenAnswer, bundle: Bundle) -> StatedHours:
    lines = [str(line) for line in bundle.gym.get("hours") or ()]
    return stated_hours(lines) or translated_hours(lines, answer.hours_french)
