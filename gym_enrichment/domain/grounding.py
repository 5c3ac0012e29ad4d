"""Holds an LLM's claims about a gym against the reviews that it was given: what they show, and what they do not.

What must not live here: descriptions (descriptions.py), and reviews that try to steer the model: they are in no
bundle (instructions.py).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.domain.answer_rules import names_a_price
from gym_enrichment.domain.folding import fold
from gym_enrichment.domain.models import WomenOnly
from gym_enrichment.domain.women import (
    WomenStatement,
    women_only_name,
    women_only_statements,
    women_only_verdict,
)

Status = Literal["verified", "repaired", "unverified"]
"""A cited review shows it; other reviews than those cited show it; none does."""

MOST_CITED = 5
WOMEN_SPACE = "espace-femmes"
"""The concept that only the verdict on women-only hours and spaces may show."""
_STEM = 5
"""Letters that two forms of one word share ("escalade", "escalader")."""
_WORD = re.compile(r"[^\W\d_]{4,}")
# What is said of a gym and is nothing that it has: no proposal for the vocabulary.
_JUDGEMENT = re.compile(
    r"\b(?:ambiance|accueil\w*|proprete|propre|prix|tarif\w*|rapport qualite|qualite|personnel|equipe|service|servi"
    r"|convivial\w*|sympa\w*|agreable|chaleureu\w*|professionn\w*|excellen\w*|bon|bonne|meilleur\w*|grand\w*|super"
    r"|famil\w*|motivant\w*|securis\w*|calme|moderne|recent\w*|atmosphere|friendly|clean\w*|staff|price\w*|great|good"
    r"|nice|quality|value|welcoming|limpi\w*|amable|precio\w*|trato)\b"
)


@dataclass(frozen=True, slots=True)
class AmenityClaim:
    """An amenity as the LLM named it, with the numbers of the reviews that it says mention it, from 1."""

    name: str
    reviews: Sequence[int]


@dataclass(frozen=True, slots=True)
class GroundedAmenity:
    """A concept of the vocabulary that was claimed, and the numbers of the reviews that show it, the cited first."""

    id: str
    label: str
    status: Status
    reviews: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A claim that is no concept of the vocabulary: kept for whoever extends it, never a filter."""

    name: str
    status: Status
    reviews: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GroundedAmenities:
    """What became of all claims: concepts, the best supported first and the unverified last; and proposals."""

    amenities: tuple[GroundedAmenity, ...]
    proposals: tuple[Proposal, ...]

    @property
    def supported(self) -> frozenset[str]:
        """The ids of the concepts that reviews show."""
        return frozenset(amenity.id for amenity in self.amenities if amenity.status != "unverified")


@dataclass(frozen=True, slots=True)
class GroundedWomen:
    """Whether there are hours or a space for women only, and the reviews that say so; 0 is the gym's own name.

    `hours` are the times that those reviews state for women, as they write them.
    """

    verdict: WomenOnly
    status: Status
    reviews: tuple[int, ...]
    hours: tuple[str, ...] = ()


class Mentions:
    """Which reviews affirm and which deny each concept; a review that does both denies."""

    def __init__(self, reviews: Mapping[int, str], vocabulary: Vocabulary) -> None:
        self.affirming: dict[str, list[int]] = {}
        self.denying: dict[str, list[int]] = {}
        for number, text in reviews.items():
            stands: dict[str, bool] = {}
            for mention in vocabulary.mentions(text):
                stands[mention.amenity_id] = stands.get(mention.amenity_id, True) and mention.affirmed
            for amenity_id, affirmed in stands.items():
                (self.affirming if affirmed else self.denying).setdefault(amenity_id, []).append(number)

    def forget(self, amenity_id: str) -> None:
        """No review is to show this concept."""
        self.affirming.pop(amenity_id, None)

    def supporting(self, amenity_id: str) -> list[int]:
        """The reviews that affirm a concept; none if as many deny it."""
        affirming = self.affirming.get(amenity_id, [])
        return affirming if len(affirming) > len(self.denying.get(amenity_id, [])) else []


def ground_amenities(
    claims: Sequence[AmenityClaim], reviews: Mapping[int, str], mentions: Mentions, vocabulary: Vocabulary
) -> GroundedAmenities:
    """Each claimed concept once, with the reviews that show it.

    A claim is `verified` if a cited review affirms it, `repaired` if only others do. It is `unverified` if none
    does, or if at least as many deny it. What the vocabulary does not know becomes a proposal, unless it is a
    judgement or a price.

    Args:
        claims: what the LLM said.
        reviews: what it was given, by number.
        mentions: what those reviews say.
        vocabulary: the concepts.
    """
    cited: dict[str, list[int]] = {}
    proposals: dict[str, Proposal] = {}
    for claim in claims:
        concepts = _concepts(claim.name, vocabulary)
        for amenity_id in concepts or ():
            cited.setdefault(amenity_id, []).extend(claim.reviews)
        if concepts is None and not _JUDGEMENT.search(fold(claim.name)) and not names_a_price(claim.name):
            proposals.setdefault(fold(claim.name).strip(), _proposal(claim, reviews))
    found = [_grounded(amenity_id, numbers, mentions, vocabulary) for amenity_id, numbers in cited.items()]
    support = {amenity.id: len(mentions.supporting(amenity.id)) for amenity in found}
    # Stable: what is supported alike stays in the LLM's order.
    found.sort(key=lambda amenity: -support[amenity.id])
    return GroundedAmenities(tuple(found), tuple(proposals.values()))


def women_statements(reviews: Mapping[int, str]) -> dict[int, Sequence[WomenStatement]]:
    """What each review states of hours or a space for women; those that state nothing are left out."""
    return {number: found for number, text in reviews.items() if (found := women_only_statements(text))}


def ground_women(
    claimed: bool | None, cited: Sequence[int], statements: Mapping[int, Sequence[WomenStatement]], gym_name: str
) -> GroundedWomen:
    """The verdict that the statements of the reviews, and the gym's name, show.

    The rules of women.py decide, since what they find they can show: a claimed yes stands (`verified`) if a cited
    review or the name says so and the voices on the whole do not deny it; a yes that the LLM missed or cited badly
    is `repaired`. A yes that nothing shows is `unverified`, and nobody knows. Of a no, the reviews that deny it are
    the evidence; a no, or no answer, of which nothing is said means that nobody knows.
    """
    verdict = women_only_verdict(statements.values(), gym_name)
    saying = reviews_saying(verdict, statements, gym_name)
    if verdict == "yes":
        shown = claimed is True and bool(set(cited) & set(saying))
        ordered = [*(n for n in saying if n in cited), *(n for n in saying if n not in cited)][:MOST_CITED]
        hours = dict.fromkeys(s.hours for n in saying if n for s in statements[n] if s.verdict == "yes" and s.hours)
        return GroundedWomen("yes", "verified" if shown else "repaired", tuple(ordered), tuple(hours))
    if claimed is True:
        return GroundedWomen("unknown", "unverified", ())
    return GroundedWomen(verdict, "verified", tuple(saying[:MOST_CITED]))


def _concepts(name: str, vocabulary: Vocabulary) -> list[str] | None:
    """The concepts that a claim names ("Sauna et hammam": two), none of a denial; None if none that is known."""
    concept = vocabulary.resolve(name)
    if concept is not None:
        return [concept.id]
    mentions = vocabulary.mentions(name)
    return [mention.amenity_id for mention in mentions if mention.affirmed] if mentions else None


def reviews_saying(verdict: WomenOnly, statements: Mapping[int, Sequence[WomenStatement]], gym_name: str) -> list[int]:
    """The numbers of the reviews that state a verdict; 0 for a name that says yes."""
    named = [0] if verdict == "yes" and women_only_name(gym_name) else []
    return [*named, *(n for n, found in statements.items() if any(s.verdict == verdict for s in found))]


def _grounded(amenity_id: str, cited: Sequence[int], mentions: Mentions, vocabulary: Vocabulary) -> GroundedAmenity:
    supporting = mentions.supporting(amenity_id)
    shown = [number for number in dict.fromkeys(cited) if number in supporting]
    status: Status = "verified" if shown else "repaired" if supporting else "unverified"
    numbers = [*shown, *(number for number in supporting if number not in shown)]
    return GroundedAmenity(amenity_id, vocabulary.get(amenity_id).label, status, tuple(numbers[:MOST_CITED]))


def _proposal(claim: AmenityClaim, reviews: Mapping[int, str]) -> Proposal:
    """A proposal whose words stand in the cited reviews, or at least begin alike, is verified."""
    stems = {word[:_STEM] for word in _WORD.findall(fold(claim.name))}
    shown = [
        number
        for number in dict.fromkeys(claim.reviews)
        if number in reviews and stems and stems <= {word[:_STEM] for word in _WORD.findall(fold(reviews[number]))}
    ]
    return Proposal(claim.name, "verified" if shown else "unverified", tuple(shown[:MOST_CITED]))
