"""Queries for requests that are in a batch of the provider's: written before anything is sent, gone once booked.

What must not live here: talking to the provider and waiting (llm/batch_api.py).
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Update, delete, insert, select, update

from gym_enrichment.storage.clock import now_seconds
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_holds import spend_old_holds
from gym_enrichment.storage.tables import llm_batch_requests, llm_batches
from gym_enrichment.storage.upsert import dialect_insert

SUBMITTING_SECONDS = 30.0
"""How long a submission outlives a process that died while it submitted; living ones renew it."""
KEPT = timedelta(days=35)
"""Providers delete the results of a batch after a month: what nobody asked for again by then is lost."""
_IDS_PER_STATEMENT = 5_000


@dataclass(frozen=True, slots=True)
class Submission:
    """Requests that were, or are to be, sent together.

    Args:
        name: ours; the batch carries it in its metadata.
        file_id: the provider's name for the uploaded requests; None before the upload.
        batch_id: the provider's name for the batch; None before its creation is known.
        created_at: when the row was written.
    """

    name: str
    file_id: str | None
    batch_id: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Receipt:
    """Names one result of one batch, so that booking it ends the request's row and no later one."""

    submission: str
    custom_id: str


def custom_id_of(endpoint: str, content: bytes) -> str:
    """40 hex characters that name one exact request to one server, in every process."""
    return hashlib.blake2b(endpoint.encode() + b"\n" + content, digest_size=20).hexdigest()


def any_open_request(connection: Connection) -> bool:
    """Whether any request waits in a batch, or is on its way into one."""
    return connection.execute(_ANY_REQUEST).first() is not None


def find_open_requests(connection: Connection, custom_ids: Sequence[str]) -> dict[str, str]:
    """Those among `custom_ids` whose results may still come, and the batch of each: its id, or our name of it."""
    found = _find(connection, custom_ids)
    oldest = datetime.now(UTC) - KEPT
    return {custom_id: of.batch_id or of.name for custom_id, of in found.items() if of.created_at > oldest}


def claim_requests(database: Database, endpoint: str, name: str, custom_ids: Sequence[str]) -> dict[str, Submission]:
    """Put requests into the new submission `name`, except those that are in one already.

    Returns each request's submission. One that was booked by another process at this very moment is in none.
    """
    now = datetime.now(UTC)
    with database.write() as connection:
        until = now_seconds(connection) + SUBMITTING_SECONDS
        row = {"submission": name, "endpoint": endpoint, "submitting_until": until, "created_at": now}
        connection.execute(insert(llm_batches).values(**row, requests=0))
        ours: set[str] = set()
        for ids in _parts(sorted(custom_ids)):
            rows = [{"custom_id": custom_id, "submission": name} for custom_id in ids]
            added = dialect_insert(connection, llm_batch_requests).values(rows).on_conflict_do_nothing()
            ours.update(connection.execute(added.returning(llm_batch_requests.c.custom_id)).scalars())
        theirs = _find(connection, [custom_id for custom_id in custom_ids if custom_id not in ours])
        if ours:
            connection.execute(_this(name).values(requests=len(ours)))
        else:
            connection.execute(delete(llm_batches).where(llm_batches.c.submission == name))
    new = Submission(name, None, None, now)
    return {
        custom_id: theirs.get(custom_id, new) for custom_id in custom_ids if custom_id in ours or custom_id in theirs
    }


def find_submission(database: Database, name: str) -> Submission | None:
    """What is known of it now; None when it was given up."""
    with database.read() as connection:
        row = connection.execute(select(llm_batches).where(llm_batches.c.submission == name)).first()
    return Submission(row.submission, row.file_id, row.batch_id, row.created_at) if row else None


def save_file(database: Database, name: str, file_id: str) -> bool:
    """The requests are uploaded; False if another process has given the submission up meanwhile."""
    with database.write() as connection:
        until = now_seconds(connection) + SUBMITTING_SECONDS
        return connection.execute(_this(name).values(file_id=file_id, submitting_until=until)).rowcount == 1


def save_batch(database: Database, name: str, batch_id: str) -> None:
    """The batch exists."""
    with database.write() as connection:
        connection.execute(_this(name).values(batch_id=batch_id))


def renew_submission(database: Database, name: str) -> None:
    """The process that submits is alive."""
    with database.write() as connection:
        connection.execute(_this(name).values(submitting_until=now_seconds(connection) + SUBMITTING_SECONDS))


def take_over(database: Database, name: str) -> bool:
    """Whether the caller is the one to find out what became of a submission whose process died half way."""
    with database.write() as connection:
        now = now_seconds(connection)
        abandoned = llm_batches.c.batch_id.is_(None) & (llm_batches.c.submitting_until < now)
        taken = _this(name).where(abandoned).values(submitting_until=now + SUBMITTING_SECONDS)
        return connection.execute(taken).rowcount == 1


def give_up(database: Database, name: str) -> None:
    """Nothing of it can come any more: its requests are as if they were never asked."""
    with database.write() as connection:
        connection.execute(delete(llm_batches).where(llm_batches.c.submission == name))


def forget_requests(connection: Connection, receipts: Collection[Receipt]) -> None:
    """These results are booked, in the caller's transaction."""
    by_submission: dict[str, list[str]] = {}
    for receipt in receipts:
        by_submission.setdefault(receipt.submission, []).append(receipt.custom_id)
    for name in sorted(by_submission):
        connection.execute(
            delete(llm_batch_requests).where(
                llm_batch_requests.c.submission == name, llm_batch_requests.c.custom_id.in_(by_submission[name])
            )
        )


def sweep_batches(database: Database, now: datetime) -> int:
    """Delete submissions whose results are gone at the provider, and what they held of budgets; returns how many."""
    with database.write() as connection:
        spend_old_holds(connection, now - KEPT)
        return connection.execute(delete(llm_batches).where(llm_batches.c.created_at < now - KEPT)).rowcount


_ANY_REQUEST = select(llm_batch_requests.c.custom_id).limit(1)


def _find(connection: Connection, custom_ids: Sequence[str]) -> dict[str, Submission]:
    found: dict[str, Submission] = {}
    for ids in _parts(custom_ids):
        query = (
            select(llm_batch_requests.c.custom_id, llm_batches)
            .join(llm_batches, llm_batches.c.submission == llm_batch_requests.c.submission)
            .where(llm_batch_requests.c.custom_id.in_(ids))
        )
        for row in connection.execute(query):
            found[row.custom_id] = Submission(row.submission, row.file_id, row.batch_id, row.created_at)
    return found


def _this(name: str) -> Update:
    return update(llm_batches).where(llm_batches.c.submission == name)


def _parts(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + _IDS_PER_STATEMENT] for start in range(0, len(ids), _IDS_PER_STATEMENT)]
