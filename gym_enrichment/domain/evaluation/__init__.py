"""How good what is published is: labels, scores against them, and confidence intervals.

Pure functions: no files, no database, no model.
"""

from gym_enrichment.domain.evaluation.intervals import (
    SMALL,
    Difference,
    Estimate,
    PairedDifference,
    Percentiles,
    Share,
    clustered_share,
    difference,
    paired_difference,
    percentiles,
    share_of,
)
from gym_enrichment.domain.evaluation.labels import Label, LabelVerdict, parse_label
from gym_enrichment.domain.evaluation.metrics import (
    ALL_RULES,
    Score,
    amenity_score,
    description_rules,
    evidence_kept,
    hours_exact,
    score_difference,
    women_right,
    women_score,
)

__all__ = [
    "ALL_RULES",
    "SMALL",
    "Difference",
    "Estimate",
    "Label",
    "LabelVerdict",
    "PairedDifference",
    "Percentiles",
    "Score",
    "Share",
    "amenity_score",
    "clustered_share",
    "description_rules",
    "difference",
    "evidence_kept",
    "hours_exact",
    "paired_difference",
    "parse_label",
    "percentiles",
    "score_difference",
    "share_of",
    "women_right",
    "women_score",
]
