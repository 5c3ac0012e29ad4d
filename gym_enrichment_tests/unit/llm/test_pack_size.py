"""How many questions share a call, which ones, and how its cost is shared out."""

from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_enrichment.llm.pack_size import MOST, START, PackSize, gathered, shares

SLOW = 30.0


def after_good_calls(size: PackSize, calls: int) -> int:
    for _ in range(calls):
        size.answered(size.size, 0, 1.0)
    return size.size


def test_it_climbs_to_the_most_while_calls_are_well_and_stays_there() -> None:
    size = PackSize(SLOW)
    assert size.size == START
    assert after_good_calls(size, 2) == START
    assert after_good_calls(size, 1) == START + 1
    assert after_good_calls(size, 100) == MOST


def test_calls_that_are_not_full_prove_nothing() -> None:
    size = PackSize(SLOW)
    for _ in range(50):
        size.answered(START - 1, 0, 1.0)
    assert size.size == START


def test_calls_that_failed_at_the_same_size_make_it_fall_once() -> None:
    size = PackSize(SLOW, start=10)
    for _ in range(20):
        size.failed(10)
    assert size.size == 5


@pytest.mark.parametrize(("asked", "invalid", "seconds"), [(10, 3, 1.0), (10, 0, SLOW + 1)], ids=["invalid", "slow"])
def test_many_invalid_parts_or_a_long_wait_make_it_fall(asked: int, invalid: int, seconds: float) -> None:
    size = PackSize(SLOW, start=10)
    size.answered(asked, invalid, seconds)
    assert size.size == 7


@pytest.mark.parametrize(("asked", "invalid"), [(10, 2), (5, 1), (2, 1)])
def test_a_part_that_went_wrong_by_chance_does_not(asked: int, invalid: int) -> None:
    size = PackSize(SLOW, start=asked)
    size.answered(asked, invalid, 1.0)
    assert size.size == asked


def test_it_never_falls_below_one_and_comes_back() -> None:
    size = PackSize(SLOW)
    for asked in (5, 2, 1, 1):
        size.failed(asked)
    assert size.size == 1
    assert after_good_calls(size, 60) > 1


def test_it_tries_a_size_that_fails_ever_more_seldom() -> None:
    size = PackSize(SLOW)
    failed = 0
    for _ in range(500):
        if size.size > 6:
            failed += 1
            size.failed(size.size)
        else:
            size.answered(size.size, 0, 1.0)
    assert failed <= 10


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10), st.floats(0, 60)), max_size=50))
def test_the_same_history_gives_the_same_size(history: list[tuple[int, int, float]]) -> None:
    def told() -> list[int]:
        size, sizes = PackSize(SLOW), []
        for invalid, asked, seconds in history:
            size.answered(asked or 1, invalid, seconds) if invalid < 10 else size.failed(asked or 1)
            sizes.append(size.size)
        return sizes

    assert told() == told()
    assert all(1 <= size <= MOST for size in told())


def waiting(*tokens: int, most: int = 99) -> list[tuple[int, int]]:
    return [(own, most) for own in tokens]


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        ([], (0, False)),
        (waiting(100, 100), (2, False)),
        (waiting(*repeat(100, 9)), (5, True)),
        (waiting(500, 400, 200), (2, True)),
        (waiting(5_000, 100), (1, True)),
        (waiting(5_000), (1, False)),
        ([(100, 1), (100, 99)], (1, True)),
        ([(100, 99), (100, 1)], (1, True)),
        ([(100, 2), (100, 2), (100, 2)], (2, True)),
        ([(100, 99), (100, 99), (100, 2)], (2, True)),
    ],
)
def test_those_that_wait_longest_share_a_call_within_size_and_tokens(
    queue: list[tuple[int, int]], expected: tuple[int, bool]
) -> None:
    assert gathered(queue, size=5, token_budget=1_000) == expected


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10_000), min_size=1, max_size=12))
def test_shares_add_up_exactly_and_follow_the_weights(total: int, weights: list[int]) -> None:
    parts = shares(total, weights)
    assert min(parts) >= 0
    if sum(weights):
        assert sum(parts) == total
        assert all(abs(part - total * own / sum(weights)) <= 1.001 for part, own in zip(parts, weights, strict=True))
