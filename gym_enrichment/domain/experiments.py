"""Experiments: several variants side by side, and which gym is asked about with which of them.

A gym has a point, a hash of the experiment's name and its place_id. The points are divided into segments, each of one
variant. When shares change, a variant that shrinks gives up what it got last and a variant that grows takes just that:
no gym moves that need not, and going back moves back the very same gyms.

What must not live here: where experiments are kept (storage/experiments.py), when shares change (rollout.py).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property

POINTS = 16**8
"""Points are the first 8 hex digits of an MD5, which Postgres can compute too; 1/POINTS is the finest share."""
_SHADOW = ":shadow"
LEGACY = "legacy"
"""The variant of what the pipeline before this one found: it asks nothing, its rows come with `ingest`.

A gym stays with it while its reviews are what they were and no other variant found anything; in an experiment that
names it, the gyms that have it stay with it. Any other gym that would have it has the experiment's first other one.
"""


class ExperimentError(ValueError):
    """An experiment, or a change of one, that cannot be; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class VariantSpec:
    """One way of asking, by a name of its own.

    Args:
        name: what rows, ledger and statistics call it.
        kind: `combined`, `fanout` or `packed`.
        model: the model asked; None for that of the settings.
        prompt_version: that of `kind` when the experiment began, for the record: the code has one version of each.
        parameters: sent with each request (`temperature` ...).
    """

    name: str
    kind: str
    model: str | None = None
    prompt_version: str | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of_kind(cls, kind: str) -> "VariantSpec":
        """The plain variant of a kind, called like it."""
        return cls(kind, kind)


@dataclass(frozen=True, slots=True)
class Segment:
    """The points from `start` until before `end`, all of one variant."""

    start: int
    end: int
    variant: str


@dataclass(frozen=True, slots=True)
class Shadow:
    """A variant that a share of the gyms is asked about with as well, without being published."""

    variant: str
    share: float


@dataclass(frozen=True)
class Experiment:
    """Which gym is asked about with which variant. The segments hold every point once, in the order they were got."""

    name: str
    variants: Sequence[VariantSpec]
    segments: Sequence[Segment]
    shadow: Shadow | None = None

    @classmethod
    def begun(
        cls,
        name: str,
        variants: Sequence[VariantSpec],
        shares: Mapping[str, float],
        shadow: Shadow | None = None,
    ) -> "Experiment":
        """A new experiment; the first variant is the one that everything is compared with.

        Raises:
            ExperimentError: shares that do not add up to 1, or are of variants that there are not.
        """
        names = [variant.name for variant in variants]
        if not name or not names or len(set(names)) != len(names):
            raise ExperimentError("an experiment needs a name, and variants with different names")
        if any((variant.name == LEGACY) != (variant.kind == LEGACY) for variant in variants) or names == [LEGACY]:
            raise ExperimentError(f"{LEGACY} is what the old pipeline found: name it so, beside another variant")
        whole = cls(name, tuple(variants), (Segment(0, POINTS, names[0]),)).with_shares(shares)
        return whole.with_shadow(shadow) if shadow else whole

    @classmethod
    def of_one(cls, variant: VariantSpec) -> "Experiment":
        """What holds when there is no experiment: every gym with one variant."""
        return cls("", (variant,), (Segment(0, POINTS, variant.name),))

    @property
    def shares(self) -> dict[str, float]:
        """The share of the gyms that each variant has."""
        return {variant.name: round(self._points(variant.name) / POINTS, 8) for variant in self.variants}

    @property
    def shown_shares(self) -> str:
        """The shares for people: "old 75%, new 25%"."""
        return ", ".join(f"{name} {100 * share:.3g}%" for name, share in self.shares.items())

    @property
    def unpublished(self) -> list[str]:
        """Variants whose rows nobody may see: that of the shadow, unless some gyms have it anyway."""
        return [self.shadow.variant] if self.shadow and not self._points(self.shadow.variant) else []

    @property
    def names_legacy(self) -> bool:
        """Whether its shares decide which gyms stay with what the old pipeline found."""
        return any(variant.name == LEGACY for variant in self.variants)

    def asked_with(self, variant: str) -> str:
        """What gyms of `variant` are asked about with: it, or the first other one in place of LEGACY."""
        if variant != LEGACY:
            return variant
        return next(spec.name for spec in self.variants if spec.name != LEGACY)

    def with_shares(self, shares: Mapping[str, float]) -> "Experiment":
        """With new shares, as few gyms as possible moved. Variants without a share get none.

        Raises:
            ExperimentError: as `begun`.
        """
        if unknown := sorted(set(shares) - {variant.name for variant in self.variants}):
            raise ExperimentError(f"no variant {', '.join(unknown)} in experiment {self.name}")
        if any(share < 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-9:
            raise ExperimentError("shares are numbers from 0 to 1 that add up to 1")
        return replace(self, segments=_divided(self.segments, _whole_points(shares)))

    def with_shadow(self, shadow: Shadow) -> "Experiment":
        """With another shadow; of share 0, with none.

        Raises:
            ExperimentError: a variant that there is not, or no share.
        """
        known = {variant.name for variant in self.variants} - {LEGACY}
        if shadow.variant not in known or not 0 <= shadow.share <= 1:
            raise ExperimentError(f"the shadow is a variant of experiment {self.name} with a share from 0 to 1")
        return replace(self, shadow=shadow if shadow.share else None)

    def variant_of(self, place_id: str) -> str:
        """The variant that a gym is asked about and published with, or LEGACY where it may stay with that."""
        point = point_of(self.name, place_id)
        return next(segment.variant for segment in self._searched if segment.start <= point < segment.end)

    def shadow_of(self, place_id: str) -> str | None:
        """The variant that a gym is asked about with as well, if any."""
        if self.shadow is None or self.shadow.variant == self.variant_of(place_id):
            return None
        return self.shadow.variant if point_of(self.shadow_name, place_id) < self.shadow_points else None

    @property
    def shadow_points(self) -> int:
        """A gym whose point in `shadow_name` is below this one is in the shadow."""
        return round(self.shadow.share * POINTS) if self.shadow else 0

    @property
    def shadow_name(self) -> str:
        """What points in the shadow are hashed with: who is in it does not depend on the variant that a gym has."""
        return self.name + _SHADOW

    @cached_property
    def _searched(self) -> Sequence[Segment]:
        """The largest segments first: most gyms are in them."""
        return sorted(self.segments, key=lambda segment: segment.start - segment.end)

    def _points(self, variant: str) -> int:
        return sum(segment.end - segment.start for segment in self.segments if segment.variant == variant)


def point_of(experiment: str, place_id: str) -> int:
    """A gym's point in an experiment: the same in every process, whatever else there is."""
    hashed = hashlib.md5(f"{experiment}:{place_id}".encode(), usedforsecurity=False).hexdigest()
    return int(hashed[:8], 16)


def _whole_points(shares: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers that add up to POINTS."""
    ends, total = [0], Fraction(0)
    for share in shares.values():
        total += Fraction(share).limit_denominator(POINTS)
        ends.append(round(total * POINTS))
    ends[-1] = POINTS
    return {name: end - start for name, start, end in zip(shares, ends, ends[1:], strict=False)}


def _divided(segments: Sequence[Segment], wanted: Mapping[str, int]) -> tuple[Segment, ...]:
    """The segments after each variant got as many points as it is wanted to have."""
    surplus = {segment.variant: 0 for segment in segments}
    for segment in segments:
        surplus[segment.variant] += segment.end - segment.start
    surplus = {name: surplus.get(name, 0) - wanted.get(name, 0) for name in {**surplus, **wanted}}
    kept: list[Segment] = []
    freed: list[tuple[int, int]] = []
    for segment in reversed(segments):
        cut = max(0, min(surplus[segment.variant], segment.end - segment.start))
        surplus[segment.variant] -= cut
        if cut:
            freed.append((segment.end - cut, segment.end))
        if segment.start < segment.end - cut:
            kept.append(replace(segment, end=segment.end - cut))
    kept.reverse()
    return (*kept, *_taken(freed, {name: -points for name, points in surplus.items() if points < 0}))


def _taken(freed: Sequence[tuple[int, int]], missing: dict[str, int]) -> Iterator[Segment]:
    """The freed points for those that lack some."""
    for start, end in freed:
        for name, lacks in missing.items():
            size = min(lacks, end - start)
            if size:
                yield Segment(start, start + size, name)
                missing[name] -= size
                start += size
