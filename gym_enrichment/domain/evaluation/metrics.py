"""Labels against what was published: women-only hours, amenities, evidence, hours, description rules.

A labelled gym that is missing from what was published counts as if nothing was: failures are not hidden. Pass
the labels of the gyms that were asked about. What must not live here: running a variant, and printing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from gym_enrichment.domain.answer_rules import MOST_AMENITIES
from gym_enrichment.domain.evaluation.intervals import (
    Difference,
    Estimate,
    Share,
    clustered_f1,
    clustered_share,
    difference,
    f1_of,
    share_of,
)
from gym_enrichment.domain.evaluation.labels import Label

ALL_RULES = "all rules"
"""The key under which `description_rules` counts the gyms that break no rule."""


@dataclass(frozen=True, slots=True)
class Score:
    """Precision, recall and F1 with their intervals, and the counts that they are made of."""

    precision: Share
    recall: Share
    f1: Estimate
    tp: int
    fp: int
    fn: int
    tn: int


def women_score(labels: Iterable[Label], verdicts: Mapping[str, str | None]) -> Score:
    """How well "yes" finds the gyms with hours or a space for women only.

    Only labels that are true or false are scored. A verdict of "yes" is positive; "no", "unknown" and none are
    negative.
    """
    scored = [label for label in labels if label.verdict in ("true", "false")]
    right = {(said, true): 0 for said in (True, False) for true in (True, False)}
    for label in scored:
        right[verdicts.get(label.place_id) == "yes", label.verdict == "true"] += 1
    tp, fp, fn, tn = right[True, True], right[True, False], right[False, True], right[False, False]
    return Score(share_of(tp, tp + fp), share_of(tp, tp + fn), f1_of(tp, fp, fn), tp, fp, fn, tn)


def women_right(labels: Iterable[Label], verdicts: Mapping[str, str | None]) -> dict[str, bool]:
    """For each scored gym whether its women-only verdict is right, for `paired_difference`."""
    return {
        label.place_id: (verdicts.get(label.place_id) == "yes") == (label.verdict == "true")
        for label in labels
        if label.verdict in ("true", "false")
    }


def amenity_score(labels: Iterable[Label], published: Mapping[str, Collection[str]]) -> Score:
    """Published amenity ids against the labelled ones, over all gyms together (micro).

    An id that is not labelled as supported is wrong, whether the reviews deny it or do not speak of it. A gym
    publishes at most MOST_AMENITIES, so recall asks for no more. True negatives are absent ones left out.
    """
    parts = [_amenity_counts(label, set(published.get(label.place_id, ()))) for label in labels]
    counts = [part for part in parts if part is not None]
    tp, fp, fn, tn = (sum(part[i] for part in counts) for i in range(4))
    return Score(
        precision=clustered_share((part[0], part[0] + part[1]) for part in counts),
        recall=clustered_share((part[0], part[0] + part[2]) for part in counts),
        f1=clustered_f1(part[:3] for part in counts),
        tp=tp,
        fp=fp,
        fn=fn,
        tn=tn,
    )


def evidence_kept(labels: Iterable[Label], bundles: Mapping[str, Collection[str]]) -> Share:
    """The share of the labels' evidence reviews whose id is in their gym's bundle."""
    parts = []
    for label in labels:
        wanted = set(label.evidence_review_ids)
        parts.append((len(wanted & set(bundles.get(label.place_id, ()))), len(wanted)))
    return clustered_share(parts)


def hours_exact(labels: Iterable[Label], published: Mapping[str, Sequence[str] | None]) -> Share:
    """The share of gyms whose published lines of hours are the labelled ones, to the character but for kinds of space.

    Where nothing can be stated, publishing nothing (no lines, or None) is exact.
    """
    scored = [label for label in labels if label.hours_french is not None]
    exact = sum(_plain(published.get(label.place_id) or ()) == _plain(label.hours_french or ()) for label in scored)
    return share_of(exact, len(scored))


def description_rules(broken: Mapping[str, Collection[str]], rules: Iterable[str] = ()) -> dict[str, Share]:
    """For each rule the share of gyms that keep it, and ALL_RULES for the gyms that keep every one.

    Args:
        broken: place_id to the ids of the rules that the gym's description breaks.
        rules: ids to report even when no gym breaks them.
    """
    names = dict.fromkeys([*rules, *sorted({rule for ids in broken.values() for rule in ids})])
    kept = {rule: share_of(sum(rule not in ids for ids in broken.values()), len(broken)) for rule in names}
    return {**kept, ALL_RULES: share_of(sum(not ids for ids in broken.values()), len(broken))}


def score_difference(before: Score, after: Score) -> dict[str, Difference]:
    """The differences in precision, recall and F1 between two evaluations."""
    return {
        "precision": difference(before.precision, after.precision),
        "recall": difference(before.recall, after.recall),
        "f1": difference(before.f1, after.f1),
    }


def _plain(lines: Sequence[str]) -> list[str]:
    return [" ".join(line.split()) for line in lines]


def _amenity_counts(label: Label, published: set[str]) -> tuple[int, int, int, int] | None:
    if label.amenities is None:
        return None
    right = len(published & label.amenities)
    missing = max(0, min(MOST_AMENITIES, len(label.amenities)) - right)
    return right, len(published) - right, missing, len(label.amenities_absent - published)
