"""Shares, estimates and their 95 % confidence intervals; the difference between two of them.

Plain statistics, each method with its source: nothing here knows what a gym's label or an amenity is.
Everything is computed in closed form, so that equal inputs give equal figures.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, Protocol

CONFIDENCE = 0.95
SMALL = 20
"""Below so many independent units a figure is marked as small: its interval is too wide to decide on."""
_Z = 1.959963984540054  # the normal quantile of a two-sided 95 % interval

DifferenceVerdict = Literal["better", "worse", "no difference shown", "not enough data"]


class Bounded(Protocol):
    """A figure with its interval: None where there is not enough data."""

    @property
    def value(self) -> float | None: ...  # noqa: D102
    @property
    def low(self) -> float | None: ...  # noqa: D102
    @property
    def high(self) -> float | None: ...  # noqa: D102
    @property
    def small(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `of`; `share`, `low` and `high` are None when `of` is 0.

    `units` are the independent ones (gyms) that the `of` come from; `small` when they are fewer than SMALL.
    """

    count: int
    of: int
    share: float | None
    low: float | None
    high: float | None
    units: int
    small: bool

    @property
    def value(self) -> float | None:
        """The share, under the name that all bounded figures use."""
        return self.share


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval over `units` independent units; all None when there is not enough data."""

    value: float | None
    low: float | None
    high: float | None
    units: int
    small: bool


@dataclass(frozen=True, slots=True)
class Percentiles:
    """How a figure per gym is spread: `low` and `high` bound the median; all None without a gym."""

    units: int
    median: float | None
    low: float | None
    high: float | None
    p95: float | None
    largest: float | None
    total: float
    small: bool

    @property
    def value(self) -> float | None:
        """The median, under the name that all bounded figures use."""
        return self.median


@dataclass(frozen=True, slots=True)
class Difference:
    """After minus before, with its interval; the verdict is decided by the interval alone."""

    change: float | None
    low: float | None
    high: float | None
    verdict: DifferenceVerdict
    small: bool


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """The same gyms before and after: how many turned right, how many turned wrong."""

    gained: int
    lost: int
    of: int
    p_value: float | None
    verdict: DifferenceVerdict
    small: bool


def wilson(count: float, of: float) -> tuple[float, float]:
    """The score interval of a proportion; `of` must be above 0 and may be an effective, fractional size.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927);
    it holds near 0 and 1, unlike the textbook interval (R. G. Newcombe, Statistics in Medicine 17 (1998) 857).
    """
    share = count / of
    centre = share + _Z**2 / (2 * of)
    reach = _Z * math.sqrt(share * (1 - share) / of + _Z**2 / (4 * of**2))
    scale = 1 + _Z**2 / of
    low, high = (centre - reach) / scale, (centre + reach) / scale
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def share_of(count: int, of: int) -> Share:
    """The share of independent units, with Wilson's interval.

    Raises ValueError when `count` is not within 0 and `of`.
    """
    return _share(count, of, effective=of, units=of)


def clustered_share(parts: Iterable[tuple[int, int]]) -> Share:
    """The share over `(count, of)` of each gym, whose parts are not independent of each other.

    Wilson's interval at the effective sample size: `of` divided by the design effect of the ratio estimator
    (L. Kish, Survey Sampling (1965); N. Dean and M. Pagano, J. Survey Statistics and Methodology 3 (2015) 484).
    The design effect is never below 1, and one gym alone counts as one unit.
    """
    speaking = [(count, of) for count, of in parts if of]
    count, of = sum(part[0] for part in speaking), sum(part[1] for part in speaking)
    return _share(count, of, effective=_effective_size(speaking, count, of), units=len(speaking))


def f1_of(tp: int, fp: int, fn: int) -> Estimate:
    """F1 of independent units, with its interval.

    F1 is 2q / (1 + q) for q = tp / (tp + fp + fn), which rises with q; and q is a plain proportion of the units
    that are no true negatives. Its Wilson interval, carried through that function, is the interval of F1.
    """
    return _f1(share_of(tp, tp + fp + fn))


def clustered_f1(parts: Iterable[tuple[int, int, int]]) -> Estimate:
    """F1 over `(tp, fp, fn)` of each gym, as `f1_of` but with the interval of `clustered_share`."""
    return _f1(clustered_share((tp, tp + fp + fn) for tp, fp, fn in parts))


def percentiles(values: Sequence[float]) -> Percentiles:
    """Median, 95th percentile (nearest rank) and largest of a figure per gym.

    The median's interval is made of order statistics, which assumes nothing about the spread (W. J. Conover,
    Practical Nonparametric Statistics (1999), 3.2); fewer than 6 values have none.
    """
    if not values:
        return Percentiles(0, None, None, None, None, None, 0.0, small=True)
    ordered = sorted(float(value) for value in values)
    size = len(ordered)
    rank = _median_rank(size)
    return Percentiles(
        units=size,
        median=median(ordered),
        low=ordered[rank - 1] if rank else None,
        high=ordered[size - rank] if rank else None,
        p95=ordered[(19 * size + 19) // 20 - 1],  # ceil(0.95 n) in whole numbers
        largest=ordered[-1],
        total=math.fsum(ordered),
        small=size < SMALL,
    )


def difference(before: Bounded, after: Bounded, *, higher_is_better: bool = True) -> Difference:
    """After minus before for two independent evaluations, from the two intervals.

    The hybrid of two intervals: method 10 of R. G. Newcombe, "Interval estimation for the difference between
    independent proportions", Statistics in Medicine 17 (1998) 873; for other figures G. Y. Zou and A. Donner,
    Statistics in Medicine 27 (2008) 1693. On the same gyms it errs on the careful side: see `paired_difference`.

    Args:
        before: the last evaluation's figure.
        after: the new one's.
        higher_is_better: False for tokens and cost.
    """
    small = before.small or after.small
    old, old_low, old_high = before.value, before.low, before.high
    new, new_low, new_high = after.value, after.low, after.high
    if old is None or old_low is None or old_high is None or new is None or new_low is None or new_high is None:
        return Difference(None, None, None, "not enough data", small=small)
    change = new - old
    low = change - math.hypot(new - new_low, old_high - old)
    high = change + math.hypot(new_high - new, old - old_low)
    return Difference(change, low, high, _verdict(low > 0, high < 0, higher_is_better), small=small)


def paired_difference(before: Mapping[str, bool], after: Mapping[str, bool]) -> PairedDifference:
    """Whether the gyms that are in both came out right more often after than before.

    The exact test of Q. McNemar, Psychometrika 12 (1947) 153: only the gyms that changed speak.
    """
    both = before.keys() & after.keys()
    gained = sum(after[gym] and not before[gym] for gym in both)
    lost = sum(before[gym] and not after[gym] for gym in both)
    small = len(both) < SMALL
    if not both:
        return PairedDifference(0, 0, 0, None, "not enough data", small=small)
    changed = gained + lost
    tail = sum(math.comb(changed, k) for k in range(min(gained, lost) + 1))
    p_value = min(1.0, 2 * tail / 2**changed)
    shown = p_value < 1 - CONFIDENCE
    verdict = _verdict(shown and gained > lost, shown and lost > gained, higher_is_better=True)
    return PairedDifference(gained, lost, len(both), p_value, verdict, small=small)


def _share(count: int, of: int, *, effective: float, units: int) -> Share:
    if not 0 <= count <= of:
        raise ValueError(f"{count} of {of} is no share")
    if not of:
        return Share(0, 0, None, None, None, units, small=True)
    share = count / of
    low, high = wilson(share * effective, effective)
    return Share(count, of, share, low, high, units, small=units < SMALL)


def _effective_size(parts: Sequence[tuple[int, int]], count: int, of: int) -> float:
    if not 0 < count < of:
        return of if len(parts) > 1 else min(of, 1)
    clusters = len(parts)
    if clusters < 2:
        return 1
    share = count / of
    spread = math.fsum((part - share * size) ** 2 for part, size in parts) * clusters / (clusters - 1)
    design_effect = (spread / of**2) / (share * (1 - share) / of)
    return of / max(1.0, design_effect)


def _f1(share: Share) -> Estimate:
    def rise(q: float | None) -> float | None:
        return None if q is None else 2 * q / (1 + q)

    return Estimate(rise(share.share), rise(share.low), rise(share.high), share.units, share.small)


def _median_rank(size: int) -> int:
    """The largest k so that the k-th smallest and k-th largest hold the median with 95 %; 0 when none does."""
    # P(fewer than k of `size` values lie below the median) must stay within 2.5 %: whole numbers, no rounding.
    below, rank = 0, 0
    while True:
        below += math.comb(size, rank)
        if 40 * below > 2**size:
            return rank
        rank += 1


def _verdict(higher: bool, lower: bool, higher_is_better: bool) -> DifferenceVerdict:
    if not (higher or lower):
        return "no difference shown"
    return "better" if higher == higher_is_better else "worse"
