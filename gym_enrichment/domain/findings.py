"""What an answer turned out to be worth: each field with how it was checked, as it is stored and published.

What must not live here: the checking (grounding.py, descriptions.py, hours/) and the asking.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gym_enrichment.domain.answer_rules import MOST_AMENITIES
from gym_enrichment.domain.grounding import GroundedAmenities, GroundedWomen, Status
from gym_enrichment.domain.hours import NOT_STATED, StatedHours
from gym_enrichment.domain.models import BundleReview

GYM_ITSELF = "gym"
"""What evidence says instead of a review id when the gym's own name is the evidence."""


@dataclass(frozen=True, slots=True)
class Findings:
    """One gym's answer after it was checked against its reviews. `description_status` is verified or repaired."""

    description: str
    description_status: Status
    amenities: GroundedAmenities
    women: GroundedWomen
    hours: StatedHours

    def fields(self, reviews: Sequence[BundleReview], *, publish_unverified: bool) -> dict[str, Any]:
        """The fields of an Enrichment.

        Args:
            reviews: the bundle's, in the order of their numbers.
            publish_unverified: whether amenities that nothing supports are published as well.
        """
        published = [
            amenity for amenity in self.amenities.amenities if publish_unverified or amenity.status != "unverified"
        ][:MOST_AMENITIES]
        kept_back = [amenity for amenity in self.amenities.amenities if amenity not in published]
        women_yes = self.women.verdict == "yes" and self.women.status != "unverified"
        return {
            "description": self.description,
            "amenities": [amenity.label for amenity in published],
            "has_women_hours": women_yes,
            "women_only": self.women.verdict,
            "women_hours": "; ".join(self.women.hours) if women_yes and self.women.hours else None,
            "hours_french": self.hours.french,
            "hours_sentence": self.hours.sentence,
            "hours_osm": self.hours.osm,
            "evidence": {
                "amenities": {amenity.label: _ids(amenity.reviews, reviews) for amenity in published},
                "has_women_hours": _ids(self.women.reviews, reviews),
            },
            "statuses": {
                "description": self.description_status,
                "amenities": {amenity.label: amenity.status for amenity in published},
                "has_women_hours": self.women.status,
                "hours_french": self.hours.status,
            },
            "unpublished": {
                "amenities": [amenity.label for amenity in kept_back],
                "proposals": {
                    proposal.name: {"status": proposal.status, "reviews": _ids(proposal.reviews, reviews)}
                    for proposal in self.amenities.proposals
                },
            }
            | ({"hours_french": self.hours.reason} if self.hours.reason else {}),
        }


def broken_promises(row: Mapping[str, Any]) -> list[str]:
    """What must never be published, as a stored enrichment has it; empty when all of it is shown by reviews."""
    statuses, evidence = row["statuses"], row["evidence"]
    reasons = []
    if len(row["amenities"]) > MOST_AMENITIES:
        reasons.append("too many amenities")
    if any(not evidence.get("amenities", {}).get(label) for label in row["amenities"]):
        reasons.append("an amenity without a review")
    if row["has_women_hours"] and not evidence.get("has_women_hours"):
        reasons.append("women-only hours without a review")
    if row["has_women_hours"] and (row["women_only"] != "yes" or statuses.get("has_women_hours") == "unverified"):
        reasons.append("women-only hours that were not verified")
    if statuses.get("hours_french") == "unverified" and row["hours_french"] != NOT_STATED:
        reasons.append("hours that were not verified")
    return reasons


def _ids(numbers: Sequence[int], reviews: Sequence[BundleReview]) -> list[str]:
    return [reviews[number - 1].review_id if number else GYM_ITSELF for number in numbers]
