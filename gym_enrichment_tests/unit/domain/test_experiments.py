"""Which gym has which variant: stable, in the shares asked for, and no gym moves that need not."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_enrichment.domain.experiments import POINTS, Experiment, ExperimentError, Shadow, VariantSpec, point_of

OLD, NEW, THIRD = VariantSpec("old", "fanout"), VariantSpec("new", "combined"), VariantSpec("third", "packed")


def experiment(new: float, name: str = "rollout") -> Experiment:
    return Experiment.begun(name, [OLD, NEW], {"old": 1 - new, "new": new})


def test_of_a_million_gyms_the_shares_hold_and_none_moves_back() -> None:
    shares = (0.1, 0.25, 0.5, 0.75, 1.0)
    steps = [experiment(shares[0])]
    steps += [steps[0].with_shares({"old": 1 - share, "new": share}) for share in shares[1:]]
    points = [point_of("rollout", f"ChIJ{number:023d}") for number in range(1_000_000)]
    having_new = []
    for share, step in zip(shares, steps, strict=True):
        ranges = [(segment.start, segment.end) for segment in step.segments if segment.variant == "new"]
        having_new.append({point for point in points if any(start <= point < end for start, end in ranges)})
        counted = sum(point in having_new[-1] for point in points) / len(points)
        assert abs(counted - share) < 0.002
    assert all(before <= after for before, after in pairwise(having_new))


def test_a_gyms_variant_depends_on_the_experiment_and_its_id_alone() -> None:
    # Written down once: it must never change, or gyms would be paid for again.
    assert [point_of("rollout", place_id) for place_id in ("gym-1", "gym-2", "صالة")] == [
        213962378,
        1996660467,
        828361161,
    ]
    ids = [f"gym-{number}" for number in range(2_000)]
    one, other = experiment(0.5), experiment(0.5, name="other")
    assert [one.variant_of(gym) for gym in ids] == [experiment(0.5).variant_of(gym) for gym in ids]
    agree = sum(one.variant_of(gym) == other.variant_of(gym) for gym in ids) / len(ids)
    assert 0.45 < agree < 0.55


def test_going_back_and_on_again_moves_the_same_gyms() -> None:
    ids = [f"gym-{number}" for number in range(2_000)]
    quarter = experiment(0.25)
    half = quarter.with_shares({"old": 0.5, "new": 0.5})
    back = half.with_shares({"old": 0.75, "new": 0.25})
    again = back.with_shares({"old": 0.5, "new": 0.5})
    assert [quarter.variant_of(gym) for gym in ids] == [back.variant_of(gym) for gym in ids]
    assert [half.variant_of(gym) for gym in ids] == [again.variant_of(gym) for gym in ids]


SHARES = (
    st.lists(st.integers(0, 100), min_size=3, max_size=3)
    .filter(any)
    .map(lambda parts: dict(zip(("old", "new", "third"), (part / sum(parts) for part in parts), strict=True)))
)


@given(st.lists(SHARES, min_size=1, max_size=6), st.integers(0, POINTS - 1))
def test_only_who_grows_gets_a_point_and_only_who_shrinks_loses_one(
    changes: list[dict[str, float]], point: int
) -> None:
    def owner(step: Experiment) -> str:
        (found,) = [segment.variant for segment in step.segments if segment.start <= point < segment.end]
        return found

    before = Experiment.begun("three", [OLD, NEW, THIRD], {"old": 1.0})
    for shares in changes:
        after = before.with_shares(shares)
        assert sum(segment.end - segment.start for segment in after.segments) == POINTS
        assert all(abs(after.shares[name] - share) < 1e-6 for name, share in shares.items())
        if owner(before) != owner(after):
            assert after.shares[owner(before)] < before.shares[owner(before)]
            assert after.shares[owner(after)] > before.shares[owner(after)]
        before = after


def test_the_shadow_is_a_share_of_all_gyms_and_never_a_gyms_own_variant() -> None:
    shadowed = Experiment.begun("x", [OLD, NEW], {"old": 0.5, "new": 0.5}, Shadow("new", 0.2))
    ids = [f"gym-{number}" for number in range(5_000)]
    with_old = [gym for gym in ids if shadowed.variant_of(gym) == "old"]
    assert {shadowed.shadow_of(gym) for gym in ids if shadowed.variant_of(gym) == "new"} == {None}
    assert 0.17 < sum(shadowed.shadow_of(gym) == "new" for gym in with_old) / len(with_old) < 0.23
    assert shadowed.unpublished == []
    assert Experiment.begun("x", [OLD, NEW], {"old": 1.0}, Shadow("new", 0.2)).unpublished == ["new"]


@pytest.mark.parametrize("shares", [{"old": 0.5}, {"old": 1.2, "new": -0.2}, {"old": 0.5, "other": 0.5}, {}])
def test_shares_that_cannot_be_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ExperimentError):
        Experiment.begun("x", [OLD, NEW], shares)
