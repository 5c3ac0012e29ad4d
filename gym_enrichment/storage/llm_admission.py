"""Queries that admit calls: requests and tokens per minute, and budgets, shared by all processes.

Both are checked and taken in one transaction, before a call is sent. What must not live here: waiting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, delete, select, text, update

from gym_enrichment.storage.clock import now_seconds
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.tables import budgets, llm_usage
from gym_enrichment.storage.upsert import dialect_insert

NANO = 1_000_000_000
"""Money is counted in whole billionths of a dollar: sums are exact, and a token costs some hundred of them."""
_WINDOW_SECONDS = 62
"""Usage is counted per second. 61 whole seconds contain every window of 60, wherever it begins; one more, for
calls that reach the server up to a second after they were admitted."""
_ADMISSION_LOCK = 7203117


@dataclass(frozen=True, slots=True)
class Terms:
    """What calls are admitted under. None means no limit.

    Args:
        endpoint: whose limits; every process that calls it shares them.
        requests_per_minute, tokens_per_minute: most in any 60 seconds.
        budgets: scope ("run:...", "month:2026-11") to the most dollars that may be spent in it.
    """

    endpoint: str
    requests_per_minute: int | None
    tokens_per_minute: int | None
    budgets: Mapping[str, float]

    @property
    def limited(self) -> bool:
        """Whether there is anything to check at all."""
        return bool(self.requests_per_minute or self.tokens_per_minute or self.budgets)


@dataclass(frozen=True, slots=True)
class Want:
    """A call that wants to be sent: its likely tokens, and the most it can cost in billionths of a dollar."""

    tokens: int
    worst_cost: int


class Verdict(StrEnum):
    """What becomes of a Want."""

    ADMITTED = "admitted"
    WAIT = "wait"
    """Too many requests or tokens in this minute."""
    BLOCKED = "blocked"
    """The budget is taken by calls that are not settled yet; what they leave may suffice."""
    REACHED = "reached"
    """The budget is spent."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The verdict, for how long to wait after WAIT, and the second that an admitted call is counted in."""

    verdict: Verdict
    seconds: float = 0.0
    counted_in: int = 0


@dataclass(frozen=True, slots=True)
class Settlement:
    """An admitted call that ended: how far its tokens were off, and its cost against what was reserved."""

    counted_in: int
    token_correction: int
    reserved: int
    cost: int


def admit(database: Database, terms: Terms, wants: Sequence[Want]) -> list[Admission]:
    """Admit calls in their order, as far as limits and budgets allow; what is admitted is taken at once."""
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADMISSION_LOCK})
        now = now_seconds(connection)
        window = _Window(connection, terms, now)
        purse = _Purse(connection, terms)
        admissions = [_judge(want, window, purse) for want in wants]
        window.save(connection)
        purse.save(connection)
    return admissions


def settle(connection: Connection, terms: Terms, settlements: Sequence[Settlement]) -> None:
    """Replace estimates by what calls really took, in the caller's transaction."""
    corrections: dict[int, int] = {}
    for settlement in settlements:
        corrections[settlement.counted_in] = corrections.get(settlement.counted_in, 0) + settlement.token_correction
    if terms.tokens_per_minute:
        for second, tokens in sorted(corrections.items()):
            connection.execute(
                update(llm_usage)
                .where(llm_usage.c.endpoint == terms.endpoint, llm_usage.c.second == second)
                .values(tokens=llm_usage.c.tokens + tokens)
            )
    reserved, cost = sum(s.reserved for s in settlements), sum(s.cost for s in settlements)
    for scope in sorted(terms.budgets):
        connection.execute(
            update(budgets)
            .where(budgets.c.scope == scope)
            .values(reserved=budgets.c.reserved - reserved, spent=budgets.c.spent + cost)
        )


def budget_spent(connection: Connection, scope: str) -> float:
    """Dollars spent in a scope, calls that were never settled included at their worst."""
    query = select(budgets.c.spent + budgets.c.reserved).where(budgets.c.scope == scope)
    return (connection.execute(query).scalar() or 0) / NANO


def _judge(want: Want, window: "_Window", purse: "_Purse") -> Admission:
    verdict = purse.verdict(want.worst_cost)
    if verdict is not Verdict.ADMITTED:
        return Admission(verdict)
    wait = window.wait_seconds(want.tokens)
    if wait > 0.0:
        return Admission(Verdict.WAIT, seconds=wait)
    window.take(want.tokens)
    purse.take(want.worst_cost)
    return Admission(Verdict.ADMITTED, counted_in=window.second)


class _Window:
    """The last minute's requests and tokens, second by second."""

    def __init__(self, connection: Connection, terms: Terms, now: float) -> None:
        self.second = int(now)
        self._now = now
        self._terms = terms
        self._taken_requests = 0
        self._taken_tokens = 0
        self._buckets: list[tuple[int, int, int]] = []
        self._limited = bool(terms.requests_per_minute or terms.tokens_per_minute)
        if not self._limited:
            return
        oldest = self.second - _WINDOW_SECONDS
        connection.execute(
            delete(llm_usage).where(llm_usage.c.endpoint == terms.endpoint, llm_usage.c.second <= oldest)
        )
        query = (
            select(llm_usage.c.second, llm_usage.c.requests, llm_usage.c.tokens)
            .where(llm_usage.c.endpoint == terms.endpoint)
            .order_by(llm_usage.c.second)
        )
        self._buckets = [(row.second, row.requests, row.tokens) for row in connection.execute(query)]

    def wait_seconds(self, tokens: int) -> float:
        """0 if a call of `tokens` fits now; else until enough of the past minute has gone by.

        A call that is larger than a whole minute's tokens fits when it is alone.
        """
        requests = sum(bucket[1] for bucket in self._buckets) + self._taken_requests
        spent = sum(bucket[2] for bucket in self._buckets) + self._taken_tokens
        wait = 0.0
        for second, bucket_requests, bucket_tokens in self._buckets:
            if self._fits(requests, spent, tokens):
                return wait
            requests -= bucket_requests
            spent -= bucket_tokens
            wait = second + _WINDOW_SECONDS - self._now
        return wait if self._fits(requests, spent, tokens) else float(_WINDOW_SECONDS)

    def _fits(self, requests: int, spent: int, tokens: int) -> bool:
        terms = self._terms
        if terms.requests_per_minute is not None and requests >= terms.requests_per_minute:
            return False
        return terms.tokens_per_minute is None or spent == 0 or spent + tokens <= terms.tokens_per_minute

    def take(self, tokens: int) -> None:
        self._taken_requests += 1
        self._taken_tokens += tokens

    def save(self, connection: Connection) -> None:
        if not self._taken_requests or not self._limited:
            return
        insert = dialect_insert(connection, llm_usage).values(
            endpoint=self._terms.endpoint,
            second=self.second,
            requests=self._taken_requests,
            tokens=self._taken_tokens,
        )
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["endpoint", "second"],
                set_={
                    "requests": llm_usage.c.requests + insert.excluded.requests,
                    "tokens": llm_usage.c.tokens + insert.excluded.tokens,
                },
            )
        )


class _Purse:
    """The budgets that a call is charged to: it must fit into each."""

    def __init__(self, connection: Connection, terms: Terms) -> None:
        self._taken = 0
        self._caps = {scope: round(dollars * NANO) for scope, dollars in terms.budgets.items()}
        self._spent: dict[str, int] = {}
        self._reserved: dict[str, int] = {}
        for scope in sorted(self._caps):
            row = connection.execute(select(budgets).where(budgets.c.scope == scope)).first()
            self._spent[scope] = row.spent if row else 0
            self._reserved[scope] = row.reserved if row else 0

    def verdict(self, worst_cost: int) -> Verdict:
        verdict = Verdict.ADMITTED
        for scope, cap in self._caps.items():
            if self._spent[scope] + worst_cost > cap:
                return Verdict.REACHED
            if self._spent[scope] + self._reserved[scope] + self._taken + worst_cost > cap:
                verdict = Verdict.BLOCKED
        return verdict

    def take(self, worst_cost: int) -> None:
        self._taken += worst_cost

    def save(self, connection: Connection) -> None:
        if not self._taken:
            return
        for scope in sorted(self._caps):
            insert = dialect_insert(connection, budgets).values(scope=scope, spent=0, reserved=self._taken)
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["scope"], set_={"reserved": budgets.c.reserved + insert.excluded.reserved}
                )
            )
