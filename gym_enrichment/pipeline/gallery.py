"""Gyms as the directory shows them, each fact with the reviews that support it: the gallery of the report page.

What must not live here: queries (storage/), and how the page looks (report/).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from gym_enrichment.domain.experiments import LEGACY
from gym_enrichment.domain.findings import GYM_ITSELF
from gym_enrichment.domain.hours import NOT_STATED
from gym_enrichment.storage.raw_lookups import find_review_texts
from gym_enrichment.storage.report_rows import newest_published

DEFAULT_GYMS = 500
"""Most gyms in the gallery: some 2 MB of page on real reviews."""
REVIEWS_PER_FACT = 3
REVIEW_CHARACTERS = 1_200

Status = str | None
"""verified, repaired, unverified, or not_stated of hours; None where there is no enrichment."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A claim about a gym: how it was checked, and the reviews that support it.

    `reviews` are keys of the gallery's texts, REVIEWS_PER_FACT at most of the `supported_by`; `by_name` says that the
    gym's own name is evidence.
    """

    status: Status = None
    reviews: Sequence[str] = ()
    supported_by: int = 0
    by_name: bool = False


@dataclass(frozen=True, slots=True)
class GymView:
    """One published gym. `women` is None unless there is a yes; `hours` are lines, none when nothing is known.

    `legacy`: what is shown was found by the old pipeline.
    """

    name: str
    city: str | None
    address: str | None
    state: str
    description: str | None
    description_status: Status
    amenities: Mapping[str, Fact]
    women: Fact | None
    women_hours: str | None
    hours: Sequence[str]
    hours_sentence: str | None
    hours_status: Status
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class Gallery:
    """The gyms enriched last, `left_out` more are published; `reviews` are untrusted texts, cut when too long."""

    gyms: Sequence[GymView]
    left_out: int
    reviews: Mapping[str, str]


def gather_gallery(connection: Connection, most: int, published: int) -> Gallery:
    """The `most` gyms of the `published` ones that were enriched last, with the reviews that support their facts."""
    rows = newest_published(connection, most)
    gyms = [_gym(row) for row in rows]
    wanted = {
        review
        for gym in gyms
        for fact in [*gym.amenities.values(), *([gym.women] if gym.women else [])]
        for review in fact.reviews
    }
    texts = find_review_texts(connection, sorted(wanted))
    return Gallery(gyms, published - len(gyms), {review: _cut(text) for review, text in texts.items()})


def _gym(row: Mapping[str, Any]) -> GymView:
    evidence, statuses = row["evidence"] or {}, row["statuses"] or {}
    shown, checked = evidence.get("amenities", {}), statuses.get("amenities", {})
    hours = row["hours_french"] or NOT_STATED
    return GymView(
        name=row["name"] or row["place_id"],
        city=row["city"],
        address=row["address"],
        state=row["state"],
        description=row["description"],
        description_status=statuses.get("description"),
        amenities={label: _fact(checked.get(label), shown.get(label, ())) for label in row["amenities"]},
        women=(
            _fact(statuses.get("has_women_hours"), evidence.get("has_women_hours", ()))
            if row["has_women_hours"]
            else None
        ),
        women_hours=row["women_hours"],
        hours=[] if hours == NOT_STATED else hours.split("; "),
        hours_sentence=row["hours_sentence"],
        hours_status=statuses.get("hours_french"),
        legacy=row["variant"] == LEGACY,
    )


def _fact(status: Status, evidence: Sequence[str]) -> Fact:
    reviews = [review for review in evidence if review != GYM_ITSELF]
    return Fact(status, reviews[:REVIEWS_PER_FACT], len(reviews), by_name=len(reviews) < len(evidence))


def _cut(text: str) -> str:
    return text if len(text) <= REVIEW_CHARACTERS else text[:REVIEW_CHARACTERS].rstrip() + " […]"
