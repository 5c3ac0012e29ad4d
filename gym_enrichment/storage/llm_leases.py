"""Queries that let one process at a time pay for a prompt: a lease on its fingerprint, taken with the look into
the cache.

What must not live here: waiting for a lease (llm/).
"""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, update

from gym_enrichment.storage.clock import clock
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_batches import any_open_request
from gym_enrichment.storage.llm_calls import CachedAnswer, find_cached
from gym_enrichment.storage.tables import llm_leases
from gym_enrichment.storage.upsert import insert_into

LEASE_SECONDS = 30.0
"""How long a lease outlives its process. Living holders renew theirs three times in that time."""


class Looked(NamedTuple):
    """What a look found.

    Args:
        known: the answers that are known.
        claimed: what is leased to the one who looked. What is in neither is being paid for by somebody else.
        batches_open: whether any request at all waits in an API batch, which may be one of the claimed.
    """

    known: dict[str, CachedAnswer]
    claimed: set[str]
    batches_open: bool


def find_or_claim(
    database: Database,
    fingerprints: Sequence[str],
    holder: str,
    *,
    look_first: bool = True,
    seconds: float = LEASE_SECONDS,
) -> Looked:
    """The known answers among `fingerprints`; the others are leased to `holder` where nobody else has them.

    Args:
        database: shared by all who may pay.
        fingerprints: of the prompts in question.
        holder: who leases.
        look_first: look without writing first. Spares the writing where most answers are known, and costs a
            query where most are not.
        seconds: how long the leases last.
    """
    found: dict[str, CachedAnswer] = {}
    if look_first:
        with database.read() as connection:
            found = find_cached(connection, fingerprints)
    missing = sorted({fingerprint for fingerprint in fingerprints if fingerprint not in found})
    if not missing:
        return Looked(found, set(), batches_open=False)
    with database.write() as connection:
        claimed = _claim(connection, missing, holder, seconds)
        # After the claim: the last holder may have saved the answer just before it gave the lease back.
        known = find_cached(connection, missing)
        release(connection, known, holder)
        # After the claim as well: a request is in its batch before its lease is given back.
        batches_open = any_open_request(connection)
    return Looked(found | known, claimed - set(known), batches_open)


def renew_leases(database: Database, holder: str, seconds: float = LEASE_SECONDS) -> set[str]:
    """Extend all leases of a living holder; returns which. One that another took over is not among them."""
    with database.write() as connection:
        until = clock(connection.dialect.name) + seconds
        ours = update(llm_leases).where(llm_leases.c.holder == holder).values(expires_at=until)
        return set(connection.execute(ours.returning(llm_leases.c.fingerprint)).scalars())


def release(connection: Connection, fingerprints: Collection[str], holder: str) -> None:
    """Give leases back, in the caller's transaction."""
    if fingerprints:
        connection.execute(_RELEASE, {"fingerprints": list(fingerprints), "holder": holder})


def release_all(database: Database, holder: str) -> None:
    """Give back every lease of a holder that ends."""
    with database.write() as connection:
        connection.execute(delete(llm_leases).where(llm_leases.c.holder == holder))


def _claim(connection: Connection, fingerprints: Sequence[str], holder: str, seconds: float) -> set[str]:
    rows = [{"fingerprint": fingerprint, "holder": holder} for fingerprint in fingerprints]
    return set(connection.execute(_claim_statement(connection.dialect.name, seconds), rows).scalars())


# Statements of the hot path are built once; building one costs as much as running it.
_RELEASE = delete(llm_leases).where(
    llm_leases.c.fingerprint.in_(bindparam("fingerprints", expanding=True)),
    llm_leases.c.holder == bindparam("holder"),
)


@cache
def _claim_statement(dialect: str, seconds: float) -> Any:
    """Takes leases that nobody holds, or whose time is over; returns which."""
    statement = insert_into(dialect, llm_leases).values(expires_at=clock(dialect) + seconds)
    return statement.on_conflict_do_update(
        index_elements=["fingerprint"],
        set_={"holder": statement.excluded.holder, "expires_at": statement.excluded.expires_at},
        where=llm_leases.c.expires_at < clock(dialect),
    ).returning(llm_leases.c.fingerprint)
