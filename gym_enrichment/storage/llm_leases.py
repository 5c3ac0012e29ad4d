"""Queries that let one process at a time pay for a prompt: a lease on its fingerprint, taken with the look into
the cache.

What must not live here: waiting for a lease (llm/).
"""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, update

from gym_enrichment.storage.clock import clock
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_calls import CachedAnswer, find_cached
from gym_enrichment.storage.tables import llm_leases
from gym_enrichment.storage.upsert import insert_into

LEASE_SECONDS = 30.0
"""How long a lease outlives its process. Living holders renew theirs three times in that time."""


def find_or_claim(
    database: Database, fingerprints: Sequence[str], holder: str, *, look_first: bool = True
) -> tuple[dict[str, CachedAnswer], set[str]]:
    """The known answers among `fingerprints`, and which of the others `holder` has now leased.

    What is in neither is being paid for by somebody else at this moment.

    Args:
        database: shared by all who may pay.
        fingerprints: of the prompts in question.
        holder: who leases.
        look_first: look without writing first. Spares the writing where most answers are known, and costs a
            query where most are not.
    """
    found: dict[str, CachedAnswer] = {}
    if look_first:
        with database.read() as connection:
            found = find_cached(connection, fingerprints)
    missing = sorted({fingerprint for fingerprint in fingerprints if fingerprint not in found})
    if not missing:
        return found, set()
    with database.write() as connection:
        claimed = _claim(connection, missing, holder)
        # After the claim: the last holder may have saved the answer just before it gave the lease back.
        known = find_cached(connection, missing)
        release(connection, known, holder)
    return found | known, claimed - set(known)


def renew_leases(database: Database, holder: str) -> None:
    """Extend all leases of a living holder."""
    with database.write() as connection:
        until = clock(connection.dialect.name) + LEASE_SECONDS
        connection.execute(update(llm_leases).where(llm_leases.c.holder == holder).values(expires_at=until))


def release(connection: Connection, fingerprints: Collection[str], holder: str) -> None:
    """Give leases back, in the caller's transaction."""
    if fingerprints:
        connection.execute(_RELEASE, {"fingerprints": list(fingerprints), "holder": holder})


def release_all(database: Database, holder: str) -> None:
    """Give back every lease of a holder that ends."""
    with database.write() as connection:
        connection.execute(delete(llm_leases).where(llm_leases.c.holder == holder))


def _claim(connection: Connection, fingerprints: Sequence[str], holder: str) -> set[str]:
    rows = [{"fingerprint": fingerprint, "holder": holder} for fingerprint in fingerprints]
    return set(connection.execute(_claim_statement(connection.dialect.name), rows).scalars())


# Statements of the hot path are built once; building one costs as much as running it.
_RELEASE = delete(llm_leases).where(
    llm_leases.c.fingerprint.in_(bindparam("fingerprints", expanding=True)),
    llm_leases.c.holder == bindparam("holder"),
)


@cache
def _claim_statement(dialect: str) -> Any:
    """Takes leases that nobody holds, or whose time is over; returns which."""
    statement = insert_into(dialect, llm_leases).values(expires_at=clock(dialect) + LEASE_SECONDS)
    return statement.on_conflict_do_update(
        index_elements=["fingerprint"],
        set_={"holder": statement.excluded.holder, "expires_at": statement.excluded.expires_at},
        where=llm_leases.c.expires_at < clock(dialect),
    ).returning(llm_leases.c.fingerprint)
