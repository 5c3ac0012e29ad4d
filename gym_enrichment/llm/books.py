"""The gateway's dealings with the database, grouped: many calls, few transactions.

What must not live here: decisions about calls (gateway.py) and SQL (storage/).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from gym_enrichment.llm.grouping import Grouped
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_admission import Admission, Settlement, Terms, Verdict, Want, admit, settle
from gym_enrichment.storage.llm_batches import Receipt, forget_requests
from gym_enrichment.storage.llm_calls import CachedAnswer, LedgerEntry, save_calls, sweep_cache
from gym_enrichment.storage.llm_leases import LEASE_SECONDS, find_or_claim, release, release_all, renew_leases

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
        self.find_or_claim: Grouped[str, CachedAnswer | Claim] = Grouped(self._find_or_claim, linger=_LINGER_SECONDS)
        self.save: Grouped[Record, None] = Grouped(self._save)
        self._admit: Grouped[Want, Admission] = Grouped(self._admit_many)
        self._database = database
        self._holder = holder
        self._terms = terms
        self._mostly_known = True

    async def admit(self, want: Want) -> Admission:
        """May this call be sent? Costs no query where there are no limits and no budgets."""
        return await self._admit(want) if self._terms.limited else Admission(Verdict.ADMITTED)

    async def keep_leases(self) -> None:
        """Renew our leases until cancelled: a lease ends with its process, not with its patience.

        Expired answers are swept on the way, a portion each time.
        """
        while True:
            await asyncio.to_thread(sweep_cache, self._database)
            await asyncio.sleep(LEASE_SECONDS / 3)
            await asyncio.to_thread(renew_leases, self._database, self._holder)

    async def give_leases_back(self) -> None:
        """End all our leases, also those that somebody asked for and did not wait for."""
        await self.find_or_claim.flush()
        await asyncio.to_thread(release_all, self._database, self._holder)

    async def flush(self) -> None:
        """Return when everything handed in so far is durable."""
        await self.save.flush()

    def _find_or_claim(self, fingerprints: list[str]) -> Sequence[CachedAnswer | Claim]:
        found, claimed = find_or_claim(self._database, fingerprints, self._holder, look_first=self._mostly_known)
        self._mostly_known = 2 * len(found) > len(fingerprints)
        return [found.get(key) or (Claim.OURS if key in claimed else Claim.THEIRS) for key in fingerprints]

    def _admit_many(self, wants: list[Want]) -> Sequence[Admission]:
        return admit(self._database, self._terms, wants)

    def _save(self, records: list[Record]) -> Sequence[None]:
        with self._database.write() as connection:
            save_calls(
                connection,
                [record.entry for record in records if record.entry is not None],
                [answer for record in records for answer in record.answers],
            )
            release(connection, [released for record in records for released in record.released], self._holder)
            forget_requests(connection, [record.receipt for record in records if record.receipt is not None])
            settlements = [record.settlement for record in records if record.settlement is not None]
            if settlements and self._terms.limited:
                settle(connection, self._terms, settlements)
        return [None] * len(records)
