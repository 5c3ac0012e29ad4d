"""What those who watch a run are told."""

import time
from collections import Counter

import pytest

from gym_enrichment.llm.caller import GatewayStats
from gym_enrichment.pipeline.enriching.enricher import Progress


@pytest.fixture
def stats() -> GatewayStats:
    errors = Counter({"rate_limited": 3, "invalid_answer": 1})
    return GatewayStats(llm_calls=54, cache_hits=6, in_flight=18, limit=20, cost_usd=0.1234, errors=errors)


def test_a_line_says_how_far_how_fast_how_long_still_what_it_cost_and_what_went_wrong(stats: GatewayStats) -> None:
    progress = Progress(gyms=300, done=50, failed=2, started=time.monotonic() - 10.0, stats=stats)

    assert progress.line() == (
        "50/300 gyms done (2 failed), 5.0/s, 50 s left, 18 in flight (limit 20), 54 calls, 6 cache hits, $0.1234,"
        " 1 invalid_answer, 3 rate_limited"
    )


def test_without_a_total_nothing_is_said_of_the_time_left(stats: GatewayStats) -> None:
    progress = Progress(done=50, started=time.monotonic() - 10.0, stats=stats, waiting=lambda: "batches: 1 in_progress")

    assert progress.line().startswith("50 gyms done (0 failed), 5.0/s, 18 in flight")
    assert progress.line().endswith("; batches: 1 in_progress")
