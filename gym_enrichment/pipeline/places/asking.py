"""Asks Google Places within every limit, again while errors are transient, and counts what it cost.

What must not live here: what is asked, and what becomes of the answers.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from gym_enrichment.llm.gateway import Backoff
from gym_enrichment.settings import Settings
from gym_enrichment.sources.google_places import PlacesError, Sku
from gym_enrichment.sources.google_places.errors import MAYBE_CHARGED, STOPS, TRANSIENT
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_admission import NANO, Terms, Verdict, Want, admit_within
from gym_enrichment.storage.place_requests import PlacesLimits, PlacesUsage, take_back_charge, take_request

Answer = TypeVar("Answer")
Result = TypeVar("Result")

MOST_ATTEMPTS = 5
"""Attempts at one request while its errors are transient."""
MOST_CHARGED = 2
"""Of those, attempts that may have been charged: one that was lost is asked for once more."""
_MOST_FAILURES = 10
"""Requests that fail for good one after the other, before nothing more is asked."""
_LONGEST_PAUSE = 600.0
"""Seconds. A server that asks for more time is left alone; the next run goes on."""
_NAP_SECONDS = 60.0
"""Claims are renewed at least so often while something is waited for."""
_BACKOFF = Backoff(base=0.5, cap=30.0)


class PlacesStopped(Exception):
    """Nothing more can be asked; the message says why. What was answered is saved."""


class Asker:
    """Sends requests; used by several tasks of one event loop at once.

    Args:
        settings: the limits.
        database: shared by all who ask.
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self.database = database
        self.limits = limits_of(settings)
        self.stopped: str | None = None
        self._turn = asyncio.Lock()
        self._terms = Terms(settings.places_url, settings.places_requests_per_minute, None, {})
        self._requests: Counter[Sku] = Counter()
        self._charged: Counter[Sku] = Counter()
        self._failures = 0
        self._pause_until = 0.0

    async def write(self, work: Callable[[Connection], Result]) -> Result:
        """What `work` returns, in a writing transaction, as `off_loop`."""

        def written() -> Result:
            with self.database.write() as connection:
                return work(connection)

        return await self.off_loop(written)

    async def off_loop(self, work: Callable[[], Result]) -> Result:
        """Work with the database in another thread, one piece at a time.

        While it waits for a lock, answers are still taken: one that was paid for must not run into its timeout.
        """
        async with self._turn:
            return await asyncio.to_thread(work)

    async def ask(self, sku: Sku, send: Callable[[], Awaitable[Answer]], hold: Callable[[Connection], None]) -> Answer:
        """The answer to a request.

        Args:
            sku: what it is billed as.
            send: makes one attempt.
            hold: renews the claim of what is asked for.

        Raises:
            PlacesStopped: nothing more can be asked, now or at all.
            PlacesError: this request failed for good.
        """
        charged = 0
        for attempt in range(1, MOST_ATTEMPTS + 1):
            taken_at = await self._admit(sku, hold)
            try:
                answer = await send()
            except PlacesError as error:
                charged += await self._settle(sku, taken_at, error)
                if error.kind not in TRANSIENT:
                    self._failures = 0
                    raise
                if attempt == MOST_ATTEMPTS or charged == MOST_CHARGED:
                    self._failed(error)
                    raise
                await self._back_off(_BACKOFF.wait(attempt, error.retry_after), error, hold)
            else:
                self._failures = 0
                self._charged[sku] += 1
                return answer
        raise AssertionError("unreachable")

    def usage(self) -> list[PlacesUsage]:
        """What this asker asked, by SKU."""
        return [
            PlacesUsage(sku, self._requests[sku], self._charged[sku], self._charged[sku] * sku.price / NANO)
            for sku in Sku
            if self._requests[sku]
        ]

    def stop(self, reason: str) -> None:
        """Nothing more is asked from now on; the first reason counts."""
        self.stopped = self.stopped or reason

    async def _admit(self, sku: Sku, hold: Callable[[Connection], None]) -> datetime:
        """Wait until the request may be sent; returns when it was counted."""
        while True:
            self._check()
            await self._nap(self._pause_until - asyncio.get_running_loop().time(), hold)
            self._check()
            now = datetime.now(UTC)
            wait, forbidden = await self.write(partial(self._take, sku, hold, now))
            if forbidden:
                self.stop(forbidden)
            self._check()
            if wait == 0.0:
                self._requests[sku] += 1
                return now
            await self._nap(wait, hold)

    def _take(
        self, sku: Sku, hold: Callable[[Connection], None], now: datetime, connection: Connection
    ) -> tuple[float, str | None]:
        """Count a request, or say for how long it must wait, or why it may not be sent."""
        hold(connection)
        [admission] = admit_within(connection, self._terms, [Want(0, 0)])
        if admission.verdict is Verdict.WAIT:
            return admission.seconds, None
        return 0.0, take_request(connection, sku, sku.price, self.limits, now)

    def _check(self) -> None:
        if self.stopped is not None:
            raise PlacesStopped(self.stopped)

    async def _settle(self, sku: Sku, taken_at: datetime, error: PlacesError) -> int:
        """Book a failed attempt; returns whether it may have been charged."""
        if error.kind in MAYBE_CHARGED:
            self._charged[sku] += 1
            return 1
        await self.write(lambda connection: take_back_charge(connection, sku, sku.price, taken_at))
        if error.kind in STOPS:
            self.stop(error.message)
            raise PlacesStopped(error.message) from None
        return 0

    def _failed(self, error: PlacesError) -> None:
        self._failures += 1
        if self._failures >= _MOST_FAILURES:
            self.stop(f"{self._failures} requests in a row failed, the last one: {error.message}")

    async def _back_off(self, seconds: float, error: PlacesError, hold: Callable[[Connection], None]) -> None:
        """Wait before the next attempt; what Google asks to wait, everybody waits."""
        if seconds > _LONGEST_PAUSE:
            self.stop(f"{error.message} and asks to wait {seconds:.0f} s")
        elif error.retry_after is not None:
            self._pause_until = max(self._pause_until, asyncio.get_running_loop().time() + seconds)
        else:
            await self._nap(seconds, hold)

    async def _nap(self, seconds: float, hold: Callable[[Connection], None]) -> None:
        while seconds > 0:
            await asyncio.sleep(min(seconds, _NAP_SECONDS))
            seconds -= _NAP_SECONDS
            if seconds > 0:
                await self.write(hold)


def limits_of(settings: Settings) -> PlacesLimits:
    """The limits that the settings name."""
    return PlacesLimits(settings.places_requests_per_day, settings.places_budget_usd)
