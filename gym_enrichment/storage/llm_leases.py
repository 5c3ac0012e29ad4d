"""Queries that let one process at a time pay for a prompt: a lease on its fingerprint, taken with the look into
the cache.

What must not live here: waiting for a lease (llm/).
"""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, delete, update

from gym_enrichment.storage.clock import now_seconds
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_calls import CachedAnswer, find_cached
from gym_enrichment.storage.tables import llm_leases
from gym_enrichment.storage.upsert import dialect_insert

LEASE_SECONDS = 30.0
"""How long a lease outlives its process. Living holders renew theirs three times in that time."""


def find_or_claim(
    database: Database, fingerprints: Sequence[str], holder: str
) -> tuple[dict[str, CachedAnswer], set[str]]:
    """The known answers among `fingerprints`, and which of the others `holder` has now leased.

    What is in neither is being paid for by somebody else at this moment.
    """
    with database.read() as connection:
        found = find_cached(connection, fingerprints)
    missing = sorted({fingerprint for fingerprint in fingerprints if fingerprint not in found})
    if not missing:
        return found, set()
    with database.write() as connection:
        claimed = _claim(connection, missing, holder)
        # Its last holder may have saved the answer between the look and the claim.
        late = find_cached(connection, sorted(claimed))
        release(connection, late, holder)
    return found | late, claimed - set(late)


def renew_leases(database: Database, holder: str) -> None:
    """Extend all leases of a living holder."""
    with database.write() as connection:
        until = now_seconds(connection) + LEASE_SECONDS
        connection.execute(update(llm_leases).where(llm_leases.c.holder == holder).values(expires_at=until))


def release(connection: Connection, fingerprints: Collection[str], holder: str) -> None:
    """Give leases back, in the caller's transaction."""
    if fingerprints:
        connection.execute(
            delete(llm_leases).where(llm_leases.c.fingerprint.in_(list(fingerprints)), llm_leases.c.holder == holder)
        )


def _claim(connection: Connection, fingerprints: Sequence[str], holder: str) -> set[str]:
    now = now_seconds(connection)
    insert = dialect_insert(connection, llm_leases)
    taken_over = insert.on_conflict_do_update(
        index_elements=["fingerprint"],
        set_={"holder": insert.excluded.holder, "expires_at": insert.excluded.expires_at},
        where=llm_leases.c.expires_at < now,
    ).returning(llm_leases.c.fingerprint)
    rows = [{"fingerprint": key, "holder": holder, "expires_at": now + LEASE_SECONDS} for key in fingerprints]
    return set(connection.execute(taken_over, rows).scalars())
