"""The limit finds out what a server bears: rules one by one, then whole servers in virtual time."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from gym_enrichment.llm.allowance import Allowance, Left
from gym_enrichment.llm.limits import START, AdaptiveLimit
from gym_enrichment_tests.unit.llm.virtual_time import VirtualTime

Body = Callable[[AdaptiveLimit, VirtualTime], Coroutine[Any, Any, None]]


def in_virtual_time(body: Body, most: int = 100) -> None:
    loop = VirtualTime()

    async def work() -> None:
        await body(AdaptiveLimit(most, clock=loop.time), loop)

    loop.run(work())


async def starts(limit: AdaptiveLimit, loop: VirtualTime, calls: int, seconds: float = 0.0) -> list[float]:
    """When each of `calls` asked for at once may start; each takes `seconds`."""
    moments: list[float] = []

    async def call() -> None:
        async with limit.place(10):
            moments.append(loop.time())
            await asyncio.sleep(seconds)

    await asyncio.gather(*(call() for _ in range(calls)))
    return moments


async def bear(limit: AdaptiveLimit, loop: VirtualTime, per_second: int, seconds: float = 1.0) -> None:
    """Calls that are answered at an even rate."""
    for _ in range(round(per_second * seconds)):
        async with limit.place(10):
            await asyncio.sleep(1 / per_second)
            limit.answered(1 / per_second)


def flood(limit: AdaptiveLimit, began: float) -> None:
    """So many refusals that they are no accident."""
    for _ in range(5):
        limit.refused(began, None)


# --- places ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("most", "first"), [(1, 1), (5, 5), (20, 20), (500, START)])
def test_it_begins_at_twenty_or_at_the_most_that_is_allowed(most: int, first: int) -> None:
    async def body(limit: AdaptiveLimit, loop: VirtualTime) -> None:
        moments = await starts(limit, loop, 50, seconds=1.0)
        assert sum(moment == 0.0 for moment in moments) == limit.limit == first

    in_virtual_time(body, most)


def test_first_come_first_served() -> None:
    async def body(limit: AdaptiveLimit, loop: VirtualTime) -> None:
        order: list[int] = []

        async def call(number: int) -> None:
            async with limit.place(10):
                order.append(number)
                await asyncio.sleep(0.1)

        await asyncio.gather(*(call(number) for number in range(20)))
        assert order == list(range(20))

    in_virtual_time(body, most=3)


def test_a_waiter_that_is_cancelled_leaves_its_turn_to_the_next() -> None:
    async def body(limit: AdaptiveLimit, loop: VirtualTime) -> None:
        async with limit.place(10):
            waiters = [asyncio.create_task(starts(limit, loop, 1)) for _ in range(2)]
            await asyncio.sleep(1.0)
            waiters[0].cancel()
        assert await waiters[1] == [1.0]
        assert waiters[0].cancelled()
        assert limit.in_flight == 0

    in_virtual_time(body, most=1)


def test_a_waiter_that_is_cancelled_as_its_turn_comes_gives_its_place_back() -> None:
    async def body(limit: AdaptiveLimit, loop: VirtualTime) -> None:
        async with limit.place(10):
            waiters = [asyncio.create_task(starts(limit, loop, 1)) for _ in range(2)]
            await asyncio.sleep(1.0)
        # The place is the first waiter's by now, and it does not know yet.
        assert limit.in_flight == 1
        waiters[0].cancel()
        assert await waiters[1] == [1.0]
        assert limit.in_flight == 0

    in_virtual_time(body, most=1)


# --- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [2.0, 30.0])
def test_a_refusal_holds_everything_up_for_as_long_as_the_server_asks(seconds: float) -> None:
    async def body(limit: AdaptiveLimit, loop: VirtualTime) -> None:
        await asyncio.sleep(5.0)
        limit.refused(loop.time(), retry_after=seconds)
        moments = await starts(limit, loop, 3)
        assert moments[0] == pytest.approx(5.0 + seconds)

    in_virtual_time(body)


def test_a_later_and_longer_wait_counts_though_its_call_is_an_old_one() -> None:
    async def body(limit: AdaptiveLimit, loop: VirtualTime) -> None:
        limit.refused(0.0, retry_after=1.0)
        await asyncio.sleep(0.5)
        limit.refused(0.0, retry_after=3.0)
        assert (await starts(limit, loop, 1))[0] == pytest.approx(3.5)

    in_virtual_time(body)


def test_a_stray_refusal_slows_nothing_down() -> None:
    async def body(limit: AdaptiveLimit, loop: VirtualTime) -> None:
        await bear(limit, loop, 40, seconds=2.0)
        limit.refused(loop.time(), None)
        assert limit.rate is None
        assert limit.limit == START

    in_virtual_time(body)


def test_after_a_flood_of_refusals_starts_are_paced_just_below_what_was_borne() -> None:
    async def body(limit: AdaptiveLimit, loop: VirtualTime) -> None:
        assert limit.rate is None
        await bear(limit, loop, 40, seconds=2.0)
        flood(limit, loop.time())
        assert limit.rate is not None
        assert 32 <= limit.rate < 40
        gap = 1 / limit.rate
        moments = await starts(limit, loop, 20)
        assert [after - before for before, after in pairwise(moments[5:])] == pytest.approx([gap] * 14)

    in_virtual_time(body)


def test_refusals_of_calls_that_began_before_the_slowing_down_say_nothing_new() -> None:
    async def body(limit: AdaptiveLimit, loop: VirtualTime) -> None:
        await bear(limit, loop, 40)
        began = loop.time()
        await asyncio.sleep(0.1)
        flood(limit, began)
        rate = limit.rate
        for _ in range(100):
            limit.refused(began, None)
        assert limit.rate == rate
        await asyncio.sleep(0.1)
        flood(limit, loop.time())
        assert limit.rate is not None
        assert rate is not None
        assert limit.rate < rate

    in_virtual_time(body)


def test_a_server_that_bears_nothing_is_still_tried_now_and_then() -> None:
    async def body(limit: AdaptiveLimit, loop: VirtualTime) -> None:
        for _ in range(200):
            async with limit.place(10):
                limit.refused(loop.time(), None)
        before = loop.time()
        await starts(limit, loop, 2)
        assert loop.time() - before <= 130.0

    in_virtual_time(body)


# --- what the server announces ---------------------------------------------------------------------------


def test_when_the_server_announces_that_nothing_is_left_the_next_call_waits_for_the_reset() -> None:
    async def body(limit: AdaptiveLimit, loop: VirtualTime) -> None:
        async with limit.place(10):
            limit.announced(Allowance(Left(0, 7.0), None))
        assert await starts(limit, loop, 2) == [7.0, 7.0]

    in_virtual_time(body)


def test_calls_in_flight_count_against_what_is_announced() -> None:
    async def body(limit: AdaptiveLimit, loop: VirtualTime) -> None:
        others = [asyncio.create_task(starts(limit, loop, 1, seconds=20.0)) for _ in range(3)]
        async with limit.place(10):
            await asyncio.sleep(1.0)
            # Three of these five may be meant for the others.
            limit.announced(Allowance(Left(5, 9.0), None))
        assert await starts(limit, loop, 3) == [1.0, 1.0, 10.0]
        await asyncio.gather(*others)

    in_virtual_time(body)


def test_tokens_announced_are_shared_out_before_they_are_used() -> None:
    async def body(limit: AdaptiveLimit, loop: VirtualTime) -> None:
        async with limit.place(10):
            limit.announced(Allowance(None, Left(35, 4.0)))
        # Ten of the 35 are those of the call that brought the news.
        assert await starts(limit, loop, 3) == [0.0, 0.0, 4.0]

    in_virtual_time(body)


def test_plenty_announced_holds_nobody_up() -> None:
    async def body(limit: AdaptiveLimit, loop: VirtualTime) -> None:
        async with limit.place(10):
            limit.announced(Allowance(Left(10_000, 60.0), Left(10_000_000, 60.0)))
        assert await starts(limit, loop, 20) == [0.0] * 20

    in_virtual_time(body)


# --- whole servers ---------------------------------------------------------------------------------------


@dataclass
class Server:
    """Bears `per_second` starts in any second, or `at_once` calls at full speed; what is more is refused or slow.

    Args:
        latency: seconds of an answer, a fifth more or less.
        slowdown: latency grows with this power of the calls in flight above `at_once`.
        window: seconds over which starts are counted.
    """

    loop: VirtualTime
    latency: float = 0.2
    per_second: float | None = None
    at_once: int | None = None
    slowdown: int = 1
    retry_after: float | None = None
    in_flight: int = 0
    most_in_flight: int = 0
    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    recent: deque[float] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.dice = random.Random(7)

    async def ask(self) -> bool:
        """Whether it was answered."""
        if self._refuses():
            await asyncio.sleep(0.005)
            self.refused.append(self.loop.time())
            return False
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        queueing = 1.0 if self.at_once is None else max(1.0, self.in_flight / self.at_once)
        await asyncio.sleep(self.latency * queueing**self.slowdown * self.dice.uniform(0.8, 1.2))
        self.in_flight -= 1
        self.answered.append(self.loop.time())
        return True

    def _refuses(self) -> bool:
        if self.per_second is None:
            return False
        now = self.loop.time()
        while self.recent and self.recent[0] <= now - 1.0:
            self.recent.popleft()
        if len(self.recent) >= self.per_second:
            return True
        self.recent.append(now)
        return False

    def share(self, of: float, since: float, until: float) -> float:
        """Answers per second as a part of `of`."""
        return sum(since <= moment < until for moment in self.answered) / (until - since) / of

    def refused_share(self, since: float, until: float) -> float:
        refused, answered = (
            sum(since <= moment < until for moment in moments) for moments in (self.refused, self.answered)
        )
        return refused / (refused + answered)


def use(
    seconds: float,
    most: int = 100,
    watch: Callable[[Server, AdaptiveLimit], None] = lambda *_: None,
    **server_options: Any,
) -> Server:
    """A server after so many seconds under as many calls as the limit lets through; `watch` is called each second."""
    loop = VirtualTime()
    server = Server(loop, **server_options)
    limit = AdaptiveLimit(most, clock=loop.time)

    async def ask_on_and_on() -> None:
        while loop.time() < seconds:
            async with limit.place(100):
                began = loop.time()
                if good := await server.ask():
                    limit.answered(loop.time() - began)
                else:
                    limit.refused(began, server.retry_after)
            if not good:
                await asyncio.sleep(0.3)

    async def look_on() -> None:
        while loop.time() < seconds:
            watch(server, limit)
            await asyncio.sleep(1.0)

    async def work() -> None:
        await asyncio.gather(look_on(), *(ask_on_and_on() for _ in range(2 * most)))

    loop.run(work())
    return server


HIDDEN = {
    "50 per second": {"per_second": 50},
    "50 per second, asks to wait": {"per_second": 50, "retry_after": 1.0},
    "50 per second, slow": {"per_second": 50, "latency": 1.5},
    "10 per second": {"per_second": 10},
    "4 per second, slow": {"per_second": 4, "latency": 1.0},
    "slower above 10": {"at_once": 10},
    "slower above 40": {"at_once": 40, "latency": 0.5},
    "much slower above 10": {"at_once": 10, "slowdown": 2},
    "much slower above 40": {"at_once": 40, "slowdown": 2, "latency": 0.5},
}


@pytest.mark.parametrize("options", HIDDEN.values(), ids=HIDDEN)
def test_a_hidden_capacity_is_used_at_nine_tenths_with_two_refusals_in_a_hundred_at_most(
    options: dict[str, Any],
) -> None:
    server = use(120.0, **options)
    best = options.get("per_second") or options["at_once"] / server.latency

    assert server.share(best, 60.0, 120.0) >= 0.9
    assert server.refused_share(60.0, 120.0) < 0.02
    assert server.most_in_flight <= 100


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("stray", [0.01, 0.05, 0.1])
def test_refusals_that_have_nothing_to_do_with_load_cost_little_throughput(stray: float, seed: int) -> None:
    """A tenth of the calls answered with 429 whatever the pace: common, and no reason to crawl."""
    loop, dice = VirtualTime(), random.Random(seed)
    limit, answered = AdaptiveLimit(20, clock=loop.time), []

    async def ask_on_and_on() -> None:
        while loop.time() < 60.0:
            async with limit.place(10):
                began = loop.time()
                if dice.random() < stray:
                    await asyncio.sleep(0.005)
                    limit.refused(began, None)
                    continue
                await asyncio.sleep(0.2)
                limit.answered(0.2)
                answered.append(loop.time())

    async def work() -> None:
        await asyncio.gather(*(ask_on_and_on() for _ in range(80)))

    loop.run(work())
    assert sum(20.0 <= moment < 60.0 for moment in answered) / 40.0 >= 0.8 * 20 / 0.2


def test_a_capacity_of_so_many_a_second_is_found_within_half_a_minute() -> None:
    assert use(30.0, per_second=50).share(50, 10.0, 30.0) >= 0.85


def test_a_plain_server_is_kept_busy_from_the_first_call_to_the_last() -> None:
    loop = VirtualTime()
    limit = AdaptiveLimit(20, clock=loop.time)

    async def call() -> None:
        async with limit.place(100):
            await asyncio.sleep(0.2)
            limit.answered(0.2)

    async def work() -> float:
        await asyncio.gather(*(call() for _ in range(300)))
        return loop.time()

    assert loop.run(work()) == pytest.approx(300 / 20 * 0.2)


def test_a_plain_server_gets_all_the_calls_that_are_allowed_soon() -> None:
    server = use(20.0, most=200)

    assert server.most_in_flight == 200
    assert server.share(200 / 0.2, 10.0, 20.0) >= 0.97


def test_a_settled_level_is_held_without_sawing() -> None:
    levels: list[tuple[float, int]] = []
    use(180.0, watch=lambda server, limit: levels.append((server.loop.time(), limit.limit)), at_once=40, latency=0.5)
    settled = [level for moment, level in levels if moment >= 60.0]

    changes = sum(before != after for before, after in pairwise(settled))
    assert changes <= 6
    assert max(settled) <= 1.5 * min(settled)


def test_tries_for_more_grow_rarer_once_the_border_is_found() -> None:
    server = use(400.0, per_second=50)
    early, late = (sum(since <= moment < since + 100.0 for moment in server.refused) for since in (0.0, 300.0))

    assert late < early / 4
    assert server.share(50, 300.0, 400.0) >= 0.94


def test_a_capacity_that_falls_and_comes_back_is_followed() -> None:
    def change(server: Server, _: AdaptiveLimit) -> None:
        server.per_second = 20 if 60.0 <= server.loop.time() < 120.0 else 50

    server = use(240.0, watch=change, per_second=50)

    assert server.share(20, 75.0, 120.0) >= 0.85
    assert server.refused_share(75.0, 120.0) < 0.02
    assert server.share(50, 210.0, 240.0) >= 0.85
