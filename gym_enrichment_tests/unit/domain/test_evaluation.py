"""Labels, scores and intervals: published figures reproduced, and what must hold for any figures."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_enrichment.domain.evaluation import (
    ALL_RULES,
    Estimate,
    Label,
    Score,
    Share,
    amenity_score,
    clustered_share,
    description_rules,
    difference,
    evidence_kept,
    hours_exact,
    paired_difference,
    parse_label,
    percentiles,
    score_difference,
    share_of,
    women_right,
    women_score,
)

SHARES = st.integers(1, 400).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of)))


# ---- labels


def test_a_label_needs_only_a_gym_and_a_verdict() -> None:
    assert parse_label({"place_id": "a", "verdict": "true"}) == Label("a", "true")


def test_fields_that_other_label_files_have_are_passed_over() -> None:
    row = {"place_id": "a", "verdict": "false", "why": "a wish", "evidence": "reviews", "n_reviews": 5, "name": "x"}
    assert parse_label(row) == Label("a", "false", why="a wish")


def test_a_full_label_keeps_every_field() -> None:
    label = parse_label(
        {
            "place_id": "a",
            "verdict": "true",
            "evidence_review_ids": ["r1"],
            "amenities": ["piscine"],
            "amenities_absent": ["sauna"],
            "hours_french": ["lundi: Fermé"],
            "women_hours": "de 9h à 12h",
        }
    )
    expected = Label(
        "a", "true", ("r1",), "", frozenset({"piscine"}), frozenset({"sauna"}), ("lundi: Fermé",), "de 9h à 12h"
    )
    assert label == expected


def test_hours_that_cannot_be_stated_differ_from_hours_that_are_not_labelled() -> None:
    assert parse_label({"place_id": "a", "verdict": "none", "hours_french": None}).hours_french == ()
    assert parse_label({"place_id": "a", "verdict": "none"}).hours_french is None


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"verdict": "true"}, "place_id"),
        ({"place_id": " ", "verdict": "true"}, "place_id"),
        ({"place_id": "a"}, "verdict"),
        ({"place_id": "a", "verdict": "maybe"}, "verdict"),
        ({"place_id": "a", "verdict": "true", "evidence_review_ids": "r1"}, "evidence_review_ids"),
        ({"place_id": "a", "verdict": "true", "amenities": [1]}, "amenities"),
        ({"place_id": "a", "verdict": "true", "hours_french": "lundi: Fermé"}, "hours_french"),
        ({"place_id": "a", "verdict": "true", "why": 3}, "why"),
    ],
)
def test_a_wrong_field_is_named(row: dict[str, object], field: str) -> None:
    with pytest.raises(ValueError, match=f"'{field}'"):
        parse_label(row)


# ---- shares


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [  # R. G. Newcombe (1998), Statistics in Medicine 17, 857, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval_is_the_published_one(count: int, of: int, low: float, high: float) -> None:
    share = share_of(count, of)
    assert (share.low, share.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@given(SHARES)
def test_an_interval_holds_its_share_and_stays_within_0_and_1(counts: tuple[int, int]) -> None:
    share = share_of(*counts)
    assert share.share is not None
    assert share.low is not None
    assert share.high is not None
    assert 0 <= share.low <= share.share <= share.high <= 1
    assert share.high > share.low, "no share of finitely many gyms is certain"


@given(SHARES)
def test_more_of_the_same_gives_a_narrower_interval(counts: tuple[int, int]) -> None:
    few, many = share_of(*counts), share_of(counts[0] * 4, counts[1] * 4)
    assert width(many) < width(few)


def test_nothing_to_count_is_not_enough_data() -> None:
    share = share_of(0, 0)
    assert (share.share, share.low, share.high, share.small) == (None, None, None, True)


def test_fewer_than_20_are_marked_as_small() -> None:
    assert share_of(10, 19).small
    assert not share_of(10, 20).small


@pytest.mark.parametrize(("count", "of"), [(3, 2), (-1, 2)])
def test_an_impossible_share_is_refused(count: int, of: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        share_of(count, of)


def test_gyms_of_one_part_each_have_the_interval_of_independent_ones() -> None:
    clustered = clustered_share([(1, 1)] * 30 + [(0, 1)] * 10)
    plain = share_of(30, 40)
    # n / (n - 1) is all that the design effect may add here
    assert (clustered.low, clustered.high) == (
        pytest.approx(plain.low, abs=0.003),
        pytest.approx(plain.high, abs=0.003),
    )


def test_parts_that_agree_within_each_gym_count_as_gyms_not_as_parts() -> None:
    clustered = clustered_share([(10, 10)] * 15 + [(0, 10)] * 5)
    assert clustered.share == 0.75
    assert width(clustered) == pytest.approx(width(share_of(15, 20)), rel=0.05)
    assert width(clustered) > 2 * width(share_of(150, 200))
    assert clustered.units == 20


def test_many_parts_of_one_gym_are_one_unit() -> None:
    one = clustered_share([(30, 40)])
    assert one.small
    assert width(one) > 0.7


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)).map(lambda pair: (min(pair), max(pair))), max_size=30))
def test_a_clustered_interval_is_never_narrower_than_the_plain_one(parts: list[tuple[int, int]]) -> None:
    clustered = clustered_share(parts)
    plain = share_of(sum(count for count, _ in parts), sum(of for _, of in parts))
    assert clustered.share == plain.share
    if plain.share is not None:
        assert width(clustered) >= width(plain) - 1e-9


# ---- percentiles


def test_the_medians_interval_is_the_published_one_of_order_statistics() -> None:
    # Ranks of the 95 % interval of a median, for n = 6, 10, 20, 50: 1-6, 2-9, 6-15, 18-33 (any table of the sign test)
    for size, low, high in ((6, 1, 6), (10, 2, 9), (20, 6, 15), (50, 18, 33)):
        spread = percentiles(range(1, size + 1))
        assert (spread.low, spread.high) == (low, high)


def test_five_gyms_have_a_median_and_no_interval() -> None:
    spread = percentiles([5, 1, 4, 2, 3])
    assert (spread.median, spread.low, spread.high, spread.small) == (3, None, None, True)


def test_no_gym_has_no_percentile() -> None:
    spread = percentiles([])
    assert (spread.units, spread.median, spread.p95, spread.total) == (0, None, None, 0.0)


def test_the_95th_percentile_is_the_nearest_rank() -> None:
    assert percentiles(range(1, 101)).p95 == 95
    assert percentiles(range(1, 21)).p95 == 19
    assert percentiles([7]).p95 == 7


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
def test_percentiles_are_in_order_and_do_not_depend_on_the_order_of_gyms(values: list[float]) -> None:
    spread = percentiles(values)
    assert spread == percentiles(values[::-1])
    assert spread.median == statistics.median(values)
    assert spread.largest == max(values)
    if spread.low is not None:
        assert spread.high is not None
        assert spread.low <= spread.median <= spread.high <= spread.largest


# ---- differences


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [  # R. G. Newcombe (1998), Statistics in Medicine 17, 873, table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_newcombes_interval_is_the_published_one(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    found = difference(share_of(*second), share_of(*first))
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_a_difference_is_better_or_worse_only_when_its_interval_says_so() -> None:
    assert difference(share_of(40, 100), share_of(80, 100)).verdict == "better"
    assert difference(share_of(80, 100), share_of(40, 100)).verdict == "worse"
    assert difference(share_of(80, 100), share_of(78, 100)).verdict == "no difference shown"
    assert difference(share_of(80, 100), share_of(0, 0)).verdict == "not enough data"


def test_fewer_tokens_are_better() -> None:
    before, after = percentiles(range(900, 1000)), percentiles(range(600, 700))
    assert difference(before, after, higher_is_better=False).verdict == "better"
    assert difference(after, before, higher_is_better=False).verdict == "worse"


def test_a_median_without_an_interval_is_not_enough_data() -> None:
    assert difference(percentiles([1, 2, 3]), percentiles(range(50))).verdict == "not enough data"


def test_a_difference_over_few_gyms_is_marked_as_small() -> None:
    assert difference(share_of(0, 10), share_of(10, 10)).small


@given(SHARES, SHARES)
def test_before_and_after_swapped_turn_the_difference_around(one: tuple[int, int], other: tuple[int, int]) -> None:
    there, back = difference(share_of(*one), share_of(*other)), difference(share_of(*other), share_of(*one))
    assert there.low is not None
    assert back.high is not None
    assert there.low == pytest.approx(-back.high)
    assert {there.verdict, back.verdict} in ({"better", "worse"}, {"no difference shown"})


@given(SHARES)
def test_a_figure_does_not_differ_from_itself(counts: tuple[int, int]) -> None:
    assert difference(share_of(*counts), share_of(*counts)).verdict == "no difference shown"


def test_paired_gyms_that_all_turned_right_are_better_from_six_on() -> None:
    # McNemar's exact two-sided p: 2 / 2^5 = 0.0625, 2 / 2^6 = 0.03125
    five = paired_difference({str(n): n >= 5 for n in range(30)}, dict.fromkeys(map(str, range(30)), True))
    six = paired_difference({str(n): n >= 6 for n in range(30)}, dict.fromkeys(map(str, range(30)), True))
    assert (five.p_value, five.verdict) == (0.0625, "no difference shown")
    assert (six.p_value, six.verdict, six.gained, six.lost) == (0.03125, "better", 6, 0)


def test_paired_gyms_that_all_turned_wrong_are_worse() -> None:
    before = dict.fromkeys("abcdefghij", True)
    assert paired_difference(before, dict.fromkeys(before, False)).verdict == "worse"


def test_only_gyms_in_both_evaluations_are_paired() -> None:
    assert paired_difference({"a": True, "b": False}, {"b": True, "c": True}).of == 1
    assert paired_difference({"a": True}, {"b": True}).verdict == "not enough data"


# ---- scores


def labels(**verdicts: str) -> list[Label]:
    return [parse_label({"place_id": gym, "verdict": verdict}) for gym, verdict in verdicts.items()]


def test_the_women_score_counts_yes_as_found_and_all_else_as_not() -> None:
    gyms = labels(a="true", b="true", c="false", d="false", e="true")
    score = women_score(gyms, {"a": "yes", "b": "unknown", "c": "yes", "d": "no", "e": None})
    assert (score.tp, score.fp, score.fn, score.tn) == (1, 1, 2, 1)
    assert (score.precision.share, score.recall.share, score.f1.value) == (0.5, pytest.approx(1 / 3), 0.4)


def test_ambiguous_and_silent_gyms_are_not_scored() -> None:
    score = women_score(labels(a="ambiguous", b="none"), {"a": "yes", "b": "yes"})
    assert (score.tp, score.fp, score.fn, score.tn) == (0, 0, 0, 0)
    assert score.f1.value is None


def test_a_gym_without_a_verdict_is_a_miss_not_an_exception() -> None:
    assert women_score(labels(a="true"), {}).fn == 1
    assert women_right(labels(a="true", b="false", c="none"), {}) == {"a": False, "b": True}


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_f1_lies_within_its_interval_and_between_precision_and_recall(tp: int, fp: int, fn: int, tn: int) -> None:
    found = women_figures(tp, fp, fn, tn)
    if tp + fp + fn == 0:
        assert found.f1.value is None
        return
    assert found.f1.value == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert found.f1.low is not None
    assert found.f1.high is not None
    assert 0 <= found.f1.low <= found.f1.value <= found.f1.high <= 1
    if found.precision.share is not None and found.recall.share is not None:
        least, most = sorted((found.precision.share, found.recall.share))
        assert least - 1e-9 <= found.f1.value <= most + 1e-9


def test_the_interval_of_f1_agrees_with_a_bootstrap_over_gyms() -> None:
    found = women_figures(60, 12, 8, 40).f1
    outcomes = ["tp"] * 60 + ["fp"] * 12 + ["fn"] * 8 + ["tn"] * 40
    dice = random.Random(4)
    drawn = sorted(f1(dice.choices(outcomes, k=len(outcomes))) for _ in range(2_000))
    assert found.low == pytest.approx(drawn[50], abs=0.02)
    assert found.high == pytest.approx(drawn[-51], abs=0.02)


def test_a_perfect_score_on_few_gyms_is_not_certain() -> None:
    perfect = women_figures(8, 0, 0, 8)
    assert perfect.f1.value == 1
    assert perfect.f1.low is not None
    assert perfect.f1.low < 0.85


def test_published_amenities_that_are_denied_or_not_spoken_of_are_wrong() -> None:
    label = Label(
        "a", "none", amenities=frozenset({"piscine", "parking"}), amenities_absent=frozenset({"sauna", "spa"})
    )
    score = amenity_score([label], {"a": ["piscine", "sauna", "wifi"]})
    assert (score.tp, score.fp, score.fn, score.tn) == (1, 2, 1, 1)


def test_recall_asks_for_no_more_amenities_than_a_gym_may_publish() -> None:
    many = frozenset(f"amenity-{n}" for n in range(14))
    score = amenity_score([Label("a", "none", amenities=many)], {"a": sorted(many)[:10]})
    assert (score.recall.count, score.recall.of, score.fn) == (10, 10, 0)


def test_gyms_whose_amenities_are_not_labelled_are_not_scored() -> None:
    assert amenity_score(labels(a="true"), {"a": ["piscine"]}).precision.of == 0


def test_a_gym_that_publishes_no_amenity_misses_them_all() -> None:
    score = amenity_score([Label("a", "none", amenities=frozenset({"piscine"}))], {})
    assert (score.recall.share, score.precision.share) == (0, None)


def test_evidence_in_another_gyms_bundle_is_not_kept() -> None:
    gyms = [Label("a", "true", ("a1", "a2")), Label("b", "false", ("b1",)), Label("c", "true")]
    kept = evidence_kept(gyms, {"a": ["a1", "a9"], "c": ["b1", "a2"]})
    assert (kept.count, kept.of, kept.units) == (1, 3, 2)


def test_hours_are_exact_to_the_character_and_only_where_labelled() -> None:
    gyms = [
        Label("same", "none", hours_french=("lundi: Fermé",)),
        Label("other", "none", hours_french=("lundi: 06:00\u2009–\u200922:00",)),
        Label("nothing to state", "none", hours_french=()),
        Label("invented", "none", hours_french=()),
        Label("not labelled", "none"),
    ]
    published = {
        "same": ["lundi: Fermé"],
        "other": ["lundi: 06:00 - 22:00"],
        "nothing to state": None,
        "invented": ["lundi: Fermé"],
    }
    exact = hours_exact(gyms, published)
    assert (exact.count, exact.of) == (2, 4)


def test_each_description_rule_has_the_share_of_gyms_that_keep_it() -> None:
    kept = description_rules({"a": ["price"], "b": [], "c": ["price", "length"]}, rules=["length", "french"])
    assert {rule: share.count for rule, share in kept.items()} == {"length": 2, "french": 3, "price": 1, ALL_RULES: 1}
    assert kept["price"].of == 3


def test_the_difference_of_two_scores_is_one_for_each_figure() -> None:
    found = score_difference(women_figures(40, 40, 10, 50), women_figures(40, 2, 10, 88))
    assert {name: part.verdict for name, part in found.items()} == {
        "precision": "better",
        "recall": "no difference shown",
        "f1": "better",
    }


def women_figures(tp: int, fp: int, fn: int, tn: int) -> Score:
    verdicts = ["yes"] * (tp + fp) + ["no"] * (fn + tn)
    truths = ["true"] * tp + ["false"] * fp + ["true"] * fn + ["false"] * tn
    gyms = labels(**{f"g{n}": truth for n, truth in enumerate(truths)})
    return women_score(gyms, {f"g{n}": verdict for n, verdict in enumerate(verdicts)})


def f1(outcomes: list[str]) -> float:
    tp, fp, fn = (outcomes.count(kind) for kind in ("tp", "fp", "fn"))
    return 2 * tp / (2 * tp + fp + fn)


def width(bounded: Estimate | Share) -> float:
    assert bounded.low is not None
    assert bounded.high is not None
    assert not math.isnan(bounded.low)
    return bounded.high - bounded.low
