"""The words of the project as plain data: gym, review, bundle, enrichment.

What must not live here: rules about them (the modules beside this one) and how they are stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

State = Literal["enriched", "skipped"]
WomenOnly = Literal["yes", "no", "unknown"]


@dataclass(frozen=True, slots=True)
class Gym:
    """A gym as its source gives it, text as it came.

    `hours` are the lines as the source prints them; `extra` is whatever else the source said.
    """

    place_id: str
    name: str | None = None
    address: str | None = None
    city: str | None = None
    country: str | None = None
    hours: tuple[str, ...] | None = None
    phone: str | None = None
    website: str | None = None
    rating: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Review:
    """A customer's review, text as it came, its author left behind.

    `published_at` is aware UTC; `published_raw` keeps a date that names no day ("il y a 2 semaines").
    """

    review_id: str
    place_id: str
    text: str | None = None
    rating: float | None = None
    published_at: datetime | None = None
    published_raw: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class BundleReview:
    """One review of a bundle, cleaned: what the LLM reads, under its own id."""

    review_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """One gym's facts and selected reviews, ready for a prompt.

    `gym` holds what the LLM may know (name, city, country, hours). `revision` is the gym's revision that
    the bundle was built from; `review_tokens` counts the selected texts in the model's own vocabulary;
    `left_out` how many reviews were left out for which reason (domain/selection.py); `setup_hash` stands for all that
    shaped it besides the gym and its reviews (pipeline/bundling.py).
    """

    place_id: str
    gym: Mapping[str, Any]
    reviews: Sequence[BundleReview]
    content_hash: str
    reviews_total: int
    reviews_with_text: int
    review_tokens: int
    revision: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    setup_hash: str | None = None

    def halved(self) -> "Bundle | None":
        """With the first half of the reviews, whose numbers stay what they were; None if there is one at most."""
        half = len(self.reviews) // 2
        return replace(self, reviews=self.reviews[:half]) if half else None


@dataclass(frozen=True, slots=True)
class Enrichment:
    """What is known of one gym after its LLM answer was checked, or after it was skipped.

    `amenities` are labels of the vocabulary, the best supported first; `has_women_hours` is true only for a yes that
    reviews or the name show, `women_only` tells a no from not knowing, `women_hours` are the times stated for women.
    `evidence` maps a field to the ids of the reviews that support it, `statuses` says how each field was checked,
    and `unpublished` keeps what the LLM said that nothing supports, or that is no amenity of the vocabulary.
    A skipped gym (no review text) has hours and nothing else; its token figures are zero. `setup_hash` stands for
    all of the request but the gym (server, model, parameters, instructions, schema) and for how answers are judged.
    """

    place_id: str
    variant: str
    state: State
    description: str | None
    amenities: Sequence[str]
    has_women_hours: bool | None
    hours_french: str
    evidence: Mapping[str, Any]
    bundle_hash: str
    model: str | None = None
    prompt_version: str | None = None
    fingerprint: str | None = None
    setup_hash: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    from_cache: bool = False
    women_only: WomenOnly | None = None
    women_hours: str | None = None
    hours_sentence: str | None = None
    hours_osm: str | None = None
    statuses: Mapping[str, Any] = field(default_factory=dict)
    unpublished: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GymFailure:
    """Why one gym has no new enrichment: `kind` as `llm/errors.py` names it, `message` for people."""

    place_id: str
    variant: str
    kind: str
    message: str
    attempts: int


@dataclass(frozen=True, slots=True)
class EnrichedBatch:
    """How the gyms of one variant in one batch ended in one run: the good ones, the failed ones, and what both cost.

    `experiment` names the experiment that gave the gyms their variant, if there was one.
    `kept` are the gyms whose stored rows are up to date: nothing was asked, and nothing is to be written. `unasked`
    are those that were not asked about because a budget was reached; they keep what they have.
    `seconds` is wall time from the batch's first ask to its last answer.
    """

    batch_id: str
    run_id: str
    variant: str
    enrichments: Sequence[Enrichment]
    failures: Sequence[GymFailure]
    kept: Sequence[str]
    unasked: Sequence[str]
    llm_calls: int
    cache_hits: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    seconds: float
    experiment: str | None = None

    @property
    def figures(self) -> dict[str, int | float]:
        """The figures that events, tables and the CLI show, under the names they all use."""
        skipped = sum(enrichment.state == "skipped" for enrichment in self.enrichments)
        return {
            "gyms": len(self.enrichments) + len(self.failures) + len(self.kept) + len(self.unasked),
            "enriched": len(self.enrichments) + len(self.kept) - skipped,
            "failed": len(self.failures),
            "skipped": skipped + len(self.unasked),
            "skipped_budget": len(self.unasked),
            "llm_calls": self.llm_calls,
            "cache_hits": self.cache_hits,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cost_usd": self.cost_usd,
            "seconds": self.seconds,
        }
