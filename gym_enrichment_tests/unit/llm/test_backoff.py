"""Backoff: exponential, with full jitter, never earlier than the server asks."""

from itertools import pairwise

import pytest

from gym_enrichment.llm.gateway import Backoff

_DRAWS = 2_000


@pytest.mark.parametrize(("failures", "bound"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (6, 16.0)])
def test_a_wait_is_spread_over_all_of_its_exponential_bound(failures: int, bound: float) -> None:
    waits = [Backoff(base=0.5, cap=30.0).wait(failures, None) for _ in range(_DRAWS)]

    assert all(0 <= wait <= bound for wait in waits)
    # Full jitter: the whole range is used, evenly. The odds that a tenth stays empty are below 10**-90.
    tenths = {int(10 * wait / bound) for wait in waits}
    assert tenths >= set(range(10))
    assert sum(waits) / _DRAWS == pytest.approx(bound / 2, rel=0.1)


@pytest.mark.parametrize("failures", [7, 8, 100, 10_000])
def test_no_wait_is_longer_than_the_cap_however_many_failures(failures: int) -> None:
    waits = [Backoff(base=0.5, cap=30.0).wait(failures, None) for _ in range(_DRAWS)]

    assert all(0 <= wait <= 30.0 for wait in waits)
    assert max(waits) > 27.0


def test_two_clients_that_fail_together_do_not_come_back_together() -> None:
    waits = sorted(Backoff(base=1.0, cap=1.0).wait(1, None) for _ in range(100))

    assert all(later > earlier for earlier, later in pairwise(waits))


@pytest.mark.parametrize("failures", [1, 5, 50])
def test_what_the_server_asks_for_is_waited_for_and_spread_a_little(failures: int) -> None:
    waits = [Backoff(base=0.5, cap=30.0).wait(failures, 7.0) for _ in range(_DRAWS)]

    assert all(7.0 <= wait <= 7.5 for wait in waits)
    assert max(waits) - min(waits) > 0.25


def test_a_server_may_ask_for_more_than_the_cap() -> None:
    assert Backoff(base=0.1, cap=0.2).wait(3, 60.0) >= 60.0


def test_a_retry_after_of_zero_still_spreads_the_herd() -> None:
    waits = [Backoff(base=0.5, cap=30.0).wait(1, 0.0) for _ in range(_DRAWS)]

    assert all(0 <= wait <= 0.5 for wait in waits)
    assert max(waits) > 0.4
