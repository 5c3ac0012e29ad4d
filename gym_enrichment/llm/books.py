"""The gateway's dealings with the database, grouped: many calls, few transactions.

What must not live here: decisions about calls (gateway.py) and SQL (storage/).
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import Connection

from gym_enrichment.llm.grouping import Grouped
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_admission import Admission, Settlement, Terms, Verdict, Want, admit, settle
from gym_enrichment.storage.llm_batches import Receipt, any_open_request, find_open_requests, forget_requests
from gym_enrichment.storage.llm_calls import CachedAnswer, LedgerEntry, save_calls, sweep_cache
from gym_enrichment.storage.llm_leases import LEASE_SECONDS, find_or_claim, release, release_all, renew_leases
from gym_enrichment.storage.outages import again_after_outage

# Gyms are looked up well before a place is free for them.
_LINGER_SECONDS = 0.01


class Claim(Enum):
    """What a look for an unknown answer brings."""

    OURS = "ours"
    """Nobody is paying for it: we are, from now on."""
    THEIRS = "theirs"
    """Another process is paying for it at this moment."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is to be remembered of an attempt or of the end of an ask, all of it or nothing.

    Args:
        entry: the attempt, for the ledger.
        settlement: what its admission turned out to be worth.
        answers: what is known from now on.
        released: the fingerprints whose leases end here.
        receipt: the result that needs no keeping from now on, of a transport that kept it.
    """

    entry: LedgerEntry | None = None
    settlement: Settlement | None = None
    answers: Sequence[CachedAnswer] = ()
    released: Sequence[str] = ()
    receipt: Receipt | None = None


class Books:
    """Cache, leases, allowances, budgets and ledger of one gateway.

    Args:
        database: shared by all processes of a deployment.
        holder: names this gateway in leases; unlike any other that ever was.
        terms: what its calls are admitted under.
    """

    def __init__(self, database: Database, holder: str, terms: Terms) -> None:
        self.errors: Counter[str] = Counter()
        self.find_or_claim: Grouped[str, CachedAnswer | Claim] = Grouped(self._find_or_claim, linger=_LINGER_SECONDS)
        self.save: Grouped[Record, None] = Grouped(self._save)
        self._admit: Grouped[Want, Admission] = Grouped(self._admit_many)
        self._open_batch: Grouped[str, str | None] = Grouped(self._find_open_batches)
        self._renew: Grouped[None, None] = Grouped(self._renew_leases)
        self._database = database
        self._holder = holder
        self._terms = terms
        self._lease_seconds = LEASE_SECONDS
        self._mostly_known = True
        self._batches_open: bool | None = None
        self._leased: set[str] = set()
        self._lost: set[str] = set()
        self._sure_until = math.inf
        self._given_back: set[asyncio.Task[None]] = set()

    async def admit(self, want: Want) -> Admission:
        """May this call be sent? Costs no query where there are no limits and no budgets.

        Whoever is cancelled while waiting for the verdict has taken nothing.
        """
        if want.request is None and not self._terms.limited:
            return Admission(Verdict.ADMITTED)
        admission = asyncio.ensure_future(self._admit(want))
        try:
            return await asyncio.shield(admission)
        except asyncio.CancelledError:
            given_back = asyncio.create_task(self._give_back_when_known(want, admission))
            self._given_back.add(given_back)
            given_back.add_done_callback(self._given_back.discard)
            raise

    async def give_back(self, want: Want, admission: Admission) -> None:
        """An admitted call was not sent after all."""
        unused = Settlement(admission.counted_in, -want.tokens, want.worst_cost, 0, want.request, requests_not_sent=1)
        await self.save(Record(settlement=unused))

    async def open_batch(self, custom_id: Callable[[], str]) -> str | None:
        """The API batch in which an equal request waits; costs no query where the last look found none at all."""
        return None if self._batches_open is False else await self._open_batch(custom_id())

    async def keep_leases(self) -> None:
        """Renew our leases until cancelled: a lease ends with its process, not with its patience.

        Expired answers are swept on the way, a portion each time. A database that fails now may do better at the
        next look: errors are counted, and whoever needs the database to go on sees them anyway.
        """
        self._sure_until = time.monotonic() + self._lease_seconds
        while True:
            await self._count_errors("cache_sweep", lambda: asyncio.to_thread(sweep_cache, self._database))
            await asyncio.sleep(self._lease_seconds / 3)
            while not await self._count_errors("lease_renewal", lambda: self._renew(None)):
                await asyncio.sleep(self._lease_seconds / 30)

    async def lease_is_lost(self, fingerprint: str) -> bool:
        """Whether another process may be paying for what was leased to us.

        That can be so only when leases were not renewed for as long as they last: then this renews them first, and
        raises what the database raises.
        """
        if fingerprint in self._leased and time.monotonic() > self._sure_until:
            await self._renew(None)
        return fingerprint in self._lost

    async def give_leases_back(self) -> None:
        """End all our leases, also those that somebody asked for and did not wait for."""
        await self.find_or_claim.flush()
        await asyncio.to_thread(release_all, self._database, self._holder)

    async def flush(self) -> None:
        """Return when everything handed in so far is durable."""
        if self._given_back:
            await asyncio.wait(self._given_back)
        await self.save.flush()

    async def _give_back_when_known(self, want: Want, admission: "asyncio.Future[Admission]") -> None:
        with suppress(Exception):  # an admission that failed took nothing
            if (await admission).verdict is Verdict.ADMITTED:
                await self.give_back(want, await admission)

    async def _count_errors(self, kind: str, work: Callable[[], Awaitable[object]]) -> bool:
        """Whether `work` went well."""
        try:
            await work()
        except Exception:
            self.errors[kind] += 1
            return False
        return True

    @again_after_outage
    def _find_or_claim(self, fingerprints: list[str]) -> Sequence[CachedAnswer | Claim]:
        known, claimed, batches_open = find_or_claim(
            self._database,
            fingerprints,
            self._holder,
            look_first=self._mostly_known,
            seconds=self._lease_seconds,
        )
        self._lost -= known.keys()
        if claimed:
            self._batches_open = batches_open
            self._leased |= claimed
            self._lost -= claimed
        self._mostly_known = 2 * len(known) > len(fingerprints)
        return [known.get(key) or (Claim.OURS if key in claimed else Claim.THEIRS) for key in fingerprints]

    def _renew_leases(self, asked: list[None]) -> Sequence[None]:
        leased, began = set(self._leased), time.monotonic()
        ours = renew_leases(self._database, self._holder, self._lease_seconds)
        if began > self._sure_until:
            lost = leased - ours
            self._lost |= lost
            self._leased -= lost
        self._sure_until = began + self._lease_seconds
        return [None] * len(asked)

    @again_after_outage
    def _admit_many(self, wants: list[Want]) -> Sequence[Admission]:
        return admit(self._database, self._terms, wants, self._holder)

    @again_after_outage
    def _find_open_batches(self, custom_ids: list[str]) -> Sequence[str | None]:
        with self._database.read() as connection:
            found = find_open_requests(connection, custom_ids)
            if self._batches_open is None:  # the cache is switched off: nothing else looks
                self._batches_open = any_open_request(connection)
        return [found.get(custom_id) for custom_id in custom_ids]

    @again_after_outage
    def _save(self, records: list[Record]) -> Sequence[None]:
        released = [fingerprint for record in records for fingerprint in record.released]
        with self._database.write() as connection:
            save_calls(
                connection,
                [record.entry for record in records if record.entry is not None],
                [answer for record in records for answer in record.answers],
            )
            release(connection, released, self._holder)
            forget_requests(connection, [record.receipt for record in records if record.receipt is not None])
            settlements = _due(connection, records)
            if settlements:
                settle(connection, self._terms, settlements, self._holder)
        self._leased.difference_update(released)
        self._lost.difference_update(released)
        return [None] * len(records)


def _due(connection: Connection, records: Sequence[Record]) -> list[Settlement]:
    """What can be settled: all but the calls whose results may still come, and be charged for, in an API batch."""
    unseen = {
        record.settlement.request
        for record in records
        if record.settlement is not None and record.settlement.request is not None and record.receipt is None
    }
    waiting = find_open_requests(connection, sorted(unseen)) if unseen else {}
    return [
        record.settlement
        for record in records
        if record.settlement is not None and record.settlement.request not in waiting
    ]
