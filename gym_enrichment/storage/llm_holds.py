"""Reservations that outlive their process: what a request that may be in an API batch holds of each budget.

A hold is a part of its budget's `reserved`. Whoever asks the same request again takes it over instead of reserving
anew, and whoever books the result ends it. What must not live here: when to reserve and to settle (llm_admission.py).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, insert, select, text, update

from gym_enrichment.storage.tables import budget_holds, budgets

_BUDGETS_LOCK = 7203117


@dataclass(frozen=True, slots=True)
class Hold:
    """So many billionths of a dollar of the budget `scope` are reserved for `request`."""

    request: str
    scope: str
    reserved: int


def lock_budgets(connection: Connection) -> None:
    """One transaction at a time from here on; SQLite's writers are alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _BUDGETS_LOCK})


def find_holds(connection: Connection, requests: Collection[str]) -> dict[str, set[str]]:
    """The scopes in which something is reserved for each of `requests`, whoever reserved it."""
    scopes: dict[str, set[str]] = {}
    if requests:
        query = select(budget_holds.c.request, budget_holds.c.scope).where(budget_holds.c.request.in_(requests))
        for row in connection.execute(query):
            scopes.setdefault(row.request, set()).add(row.scope)
    return scopes


def take_holds(connection: Connection, requests: Collection[str], new: Iterable[Hold], holder: str) -> None:
    """All that is reserved for `requests` is `holder`'s to settle from now on: what was there, and `new`."""
    if requests:
        connection.execute(update(budget_holds).where(budget_holds.c.request.in_(requests)).values(holder=holder))
    now = datetime.now(UTC)
    rows = [
        {"request": h.request, "scope": h.scope, "holder": holder, "reserved": h.reserved, "created_at": now}
        for h in new
    ]
    if rows:
        connection.execute(insert(budget_holds), rows)


def end_holds(connection: Connection, requests: Collection[str], holder: str) -> list[Hold]:
    """Delete what `holder` holds for `requests`; what another gateway took over meanwhile is that one's to end."""
    ended = (
        delete(budget_holds)
        .where(budget_holds.c.request.in_(requests), budget_holds.c.holder == holder)
        .returning(budget_holds.c.request, budget_holds.c.scope, budget_holds.c.reserved)
    )
    return [Hold(*row) for row in connection.execute(ended)]


def spend_old_holds(connection: Connection, before: datetime) -> None:
    """What was reserved before that, and never asked for again, was charged for all we know."""
    old = delete(budget_holds).where(budget_holds.c.created_at < before)
    lock_budgets(connection)
    sums: dict[str, int] = {}
    for row in connection.execute(old.returning(budget_holds.c.scope, budget_holds.c.reserved)):
        sums[row.scope] = sums.get(row.scope, 0) + row.reserved
    for scope, reserved in sorted(sums.items()):
        connection.execute(
            update(budgets)
            .where(budgets.c.scope == scope)
            .values(reserved=budgets.c.reserved - reserved, spent=budgets.c.spent + reserved)
        )
