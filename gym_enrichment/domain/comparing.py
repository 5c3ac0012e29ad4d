"""Variants compared: what each did as figures with intervals, their differences, and where two answers agree.

What must not live here: queries (storage/variant_counts.py), and what follows from a figure (rollout.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gym_enrichment.domain.evaluation import (
    Difference,
    Percentiles,
    Share,
    clustered_share,
    difference,
    percentiles,
    share_of,
)
from gym_enrichment.domain.experiments import LEGACY
from gym_enrichment.domain.rollout import GuardrailFigures

Figure = Share | Percentiles


@dataclass(frozen=True, slots=True)
class VariantCounts:
    """What one variant did in some time.

    Args:
        variant: its name.
        enriched: gyms that it has an enrichment for from then.
        failed: gyms that it failed at then, and has none for.
        answers: answers it was given, good or not.
        invalid: those that broke the rules, were cut off or empty.
        claims: of a sample of its gyms, how many amenities named nothing supports, and how many were named.
        repaired: of the same sample, descriptions that had to be mended.
        tokens: of the same sample, prompt and completion tokens.
        cost_usd: dollars for all calls.
        latency_p95: seconds; None without an answer.
        evaluation_loss: 1 - F1 of amenities in its last evaluation; None without one.
    """

    variant: str
    enriched: int
    failed: int
    answers: int
    invalid: int
    claims: Sequence[tuple[int, int]]
    repaired: int
    tokens: Sequence[int]
    cost_usd: float
    latency_p95: float | None
    evaluation_loss: float | None

    @property
    def was_asked(self) -> bool:
        """Whether there can have been failures and cost: of what the old pipeline did nothing is known."""
        return self.variant != LEGACY

    @property
    def gyms(self) -> int:
        """Gyms that were asked about."""
        return self.enriched + self.failed


def guardrail_figures(counts: VariantCounts) -> GuardrailFigures:
    """The figures that guardrails look at (rollout.GUARDRAILS)."""
    unsupported, named = (sum(part[which] for part in counts.claims) for which in (0, 1))
    return GuardrailFigures(
        counts.gyms,
        {
            "failure_rate": counts.failed / counts.gyms if counts.gyms and counts.was_asked else None,
            "invalid_answers": counts.invalid / counts.answers if counts.answers else None,
            "unverified_share": unsupported / named if named else None,
            "evaluation_loss": counts.evaluation_loss,
            "cost_per_gym": counts.cost_usd / counts.gyms if counts.gyms and counts.was_asked else None,
            "latency_p95": counts.latency_p95,
        },
    )


def figures_of(counts: VariantCounts) -> dict[str, Figure]:
    """Figures with their 95 % intervals; less is better for all of them."""
    return {
        "failure_rate": share_of(counts.failed, counts.gyms if counts.was_asked else 0),
        "invalid_answers": share_of(counts.invalid, counts.answers),
        "unverified_share": clustered_share(counts.claims),
        "descriptions_repaired": share_of(counts.repaired, len(counts.claims)),
        "tokens_per_gym": percentiles(counts.tokens if counts.was_asked else ()),
    }


def differences(before: Mapping[str, Figure], after: Mapping[str, Figure]) -> dict[str, Difference]:
    """How the figures of one variant differ from those of another; says where there is not enough data."""
    return {name: difference(figure, after[name], higher_is_better=False) for name, figure in before.items()}


def agreement(pairs: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> dict[str, Share]:
    """Where the rows that two variants have for the same gym agree, field by field.

    Of amenities: the share of all that either names which both name.
    """
    women: list[bool] = []
    hours: list[bool] = []
    both_verified: list[bool] = []
    amenities: list[tuple[int, int]] = []
    for one, other in pairs:
        women.append(one["has_women_hours"] == other["has_women_hours"])
        hours.append(one["hours_french"] == other["hours_french"])
        both_verified.append(all(row["statuses"].get("description") == "verified" for row in (one, other)))
        named, also = set(one["amenities"]), set(other["amenities"])
        amenities.append((len(named & also), len(named | also)))
    return {
        "has_women_hours": share_of(sum(women), len(women)),
        "amenities": clustered_share(amenities),
        "hours_french": share_of(sum(hours), len(hours)),
        "description_verified_by_both": share_of(sum(both_verified), len(both_verified)),
    }
