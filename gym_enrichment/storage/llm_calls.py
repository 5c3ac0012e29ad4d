"""Queries for what was asked of an LLM: the cache of answers and the ledger of attempts.

What must not live here: when to ask (llm/) and what an answer means (prompts/).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, delete, insert, select

from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.tables import ledger, llm_cache
from gym_enrichment.storage.upsert import as_row, upsert


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """An answer that was paid for and found valid."""

    fingerprint: str
    model: str
    answer: str
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One attempt at one request. `outcome` is 'ok' or an error kind of llm/errors.py."""

    run_id: str
    place_id: str
    variant: str
    fingerprint: str
    model: str
    attempt: int
    outcome: str
    http_status: int | None
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost_usd: float
    latency_seconds: float
    started_at: datetime


# Statements of the hot path are built once; building one costs as much as running it.
_FIND = select(llm_cache).where(
    llm_cache.c.fingerprint.in_(bindparam("fingerprints", expanding=True)), llm_cache.c.expires_at > bindparam("now")
)
_BOOK = insert(ledger)


def find_cached(connection: Connection, fingerprints: Sequence[str]) -> dict[str, CachedAnswer]:
    """The fresh answers among `fingerprints`, in one query."""
    if not fingerprints:
        return {}
    found = connection.execute(_FIND, {"fingerprints": list(fingerprints), "now": datetime.now(UTC)})
    return {row.fingerprint: CachedAnswer(*row) for row in found}


def save_calls(connection: Connection, entries: Sequence[LedgerEntry], answers: Sequence[CachedAnswer]) -> None:
    """Attempts and the answers they brought, in the caller's transaction."""
    if entries:
        connection.execute(_BOOK, [as_row(entry) for entry in entries])
    # Two of one fingerprint can only come from two processes whose clocks or leases failed: the later one counts.
    upsert(connection, llm_cache, [as_row(answer) for answer in {a.fingerprint: a for a in answers}.values()])


def sweep_cache(database: Database, most: int = 1_000) -> int:
    """Delete expired answers, at most `most` in one short transaction, so that nobody waits long; returns how many."""
    expired = select(llm_cache.c.fingerprint).where(llm_cache.c.expires_at <= datetime.now(UTC)).limit(most)
    with database.read() as connection:
        keys = list(connection.execute(expired).scalars())
    if not keys:
        return 0
    with database.write() as connection:
        # The time again: an answer may have been renewed since the look.
        swept = delete(llm_cache).where(llm_cache.c.fingerprint.in_(keys), llm_cache.c.expires_at <= datetime.now(UTC))
        return connection.execute(swept).rowcount
