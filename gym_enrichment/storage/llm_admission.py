"""Queries that admit calls: requests and tokens per minute, and budgets, shared by all processes.

Both are checked and taken in one transaction, before a call is sent. What must not live here: waiting.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import Connection, delete, select, update

from gym_enrichment.storage.clock import now_seconds
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_holds import Hold, end_holds, find_holds, lock_budgets, take_holds
from gym_enrichment.storage.tables import budgets, llm_usage
from gym_enrichment.storage.upsert import dialect_insert

NANO = 1_000_000_000
"""Money is counted in whole billionths of a dollar: sums are exact, and a token costs some hundred of them."""
_WINDOW_SECONDS = 62
"""Usage is counted per second. 61 whole seconds contain every window of 60, wherever it begins; one more, for
calls that reach the server up to a second after they were admitted."""


def run_scope(run_id: str) -> str:
    """The scope of a run's budget."""
    return f"run:{run_id}"


def month_scope(now: datetime) -> str:
    """The scope of the budget of the month in UTC."""
    return f"month:{now.astimezone(UTC):%Y-%m}"


@dataclass(frozen=True, slots=True)
class Terms:
    """What calls are admitted under. None means no limit.

    Args:
        endpoint: whose limits; every process that calls it shares them.
        requests_per_minute, tokens_per_minute: most in any 60 seconds.
        budgets: scope (`run_scope`, `month_scope`) to the most dollars that may be spent in it.
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
    """A call that wants to be sent: its likely tokens, and the most it can cost in billionths of a dollar.

    `request` names a call whose result may outlive this process: what is reserved for it is kept under that name, and
    is not reserved again when it is asked again.
    """

    tokens: int
    worst_cost: int
    request: str | None = None


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
    """An admitted call that ended: how far its tokens were off, and its cost against what was reserved.

    `request` as in its Want; `requests_not_sent` is 1 for a call that was never sent after all.
    """

    counted_in: int
    token_correction: int
    reserved: int
    cost: int
    request: str | None = None
    requests_not_sent: int = 0


def admit(database: Database, terms: Terms, wants: Sequence[Want], holder: str = "") -> list[Admission]:
    """Admit calls in their order, as far as limits and budgets allow; what is admitted is taken at once.

    Args:
        database: shared by all who call.
        terms: the limits and budgets.
        wants: the calls; no two with the same name.
        holder: who will settle those that have a name.
    """
    with database.write() as connection:
        return admit_within(connection, terms, wants, holder)


def admit_within(connection: Connection, terms: Terms, wants: Sequence[Want], holder: str = "") -> list[Admission]:
    """As `admit`, in the caller's writing transaction."""
    lock_budgets(connection)
    now = now_seconds(connection)
    window = _Window(connection, terms, now)
    holds = find_holds(connection, [want.request for want in wants if want.request is not None])
    purse = _Purse(connection, terms, holds)
    admissions = [_judge(want, window, purse) for want in wants]
    window.save(connection)
    purse.save(connection, holder)
    return admissions


def settle(connection: Connection, terms: Terms, settlements: Sequence[Settlement], holder: str = "") -> None:
    """Replace estimates by what calls really took, in the caller's transaction.

    A call with a name is charged to each budget that it was reserved in, by whichever run, and to those of `terms`:
    once to each.
    """
    _correct_usage(connection, terms, settlements)
    released: Counter[str] = Counter()
    spent: Counter[str] = Counter()
    named = {settlement.request: settlement for settlement in settlements if settlement.request is not None}
    if named:
        lock_budgets(connection)
        for hold in end_holds(connection, named, holder):
            released[hold.scope] += hold.reserved
            if hold.scope not in terms.budgets:
                spent[hold.scope] += named[hold.request].cost
    for scope in terms.budgets:
        released[scope] += sum(settlement.reserved for settlement in settlements if settlement.request is None)
        spent[scope] += sum(settlement.cost for settlement in settlements)
    for scope in sorted(released):
        connection.execute(
            update(budgets)
            .where(budgets.c.scope == scope)
            .values(reserved=budgets.c.reserved - released[scope], spent=budgets.c.spent + spent[scope])
        )


def find_budgets(connection: Connection, scopes: Collection[str]) -> dict[str, tuple[float, float]]:
    """Dollars spent and dollars reserved in each of `scopes` in which there are any.

    What a crash hides stays reserved, at its worst.
    """
    query = select(budgets).where(budgets.c.scope.in_(scopes)).order_by(budgets.c.scope)
    return {row.scope: (row.spent / NANO, row.reserved / NANO) for row in connection.execute(query)}


def _correct_usage(connection: Connection, terms: Terms, settlements: Sequence[Settlement]) -> None:
    if not terms.requests_per_minute and not terms.tokens_per_minute:
        return
    tokens: Counter[int] = Counter()
    not_sent: Counter[int] = Counter()
    for settlement in settlements:
        tokens[settlement.counted_in] += settlement.token_correction
        not_sent[settlement.counted_in] += settlement.requests_not_sent
    for second in sorted(tokens):
        if not_sent[second] or (terms.tokens_per_minute and tokens[second]):
            connection.execute(
                update(llm_usage)
                .where(llm_usage.c.endpoint == terms.endpoint, llm_usage.c.second == second)
                .values(tokens=llm_usage.c.tokens + tokens[second], requests=llm_usage.c.requests - not_sent[second])
            )


def _judge(want: Want, window: "_Window", purse: "_Purse") -> Admission:
    verdict = purse.verdict(want)
    if verdict is not Verdict.ADMITTED:
        return Admission(verdict)
    wait = window.wait_seconds(want.tokens)
    if wait > 0.0:
        return Admission(Verdict.WAIT, seconds=wait)
    window.take(want.tokens)
    purse.take(want)
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
    """The budgets that a call is charged to: it must fit into each in which nothing is reserved for it yet."""

    def __init__(self, connection: Connection, terms: Terms, holds: Mapping[str, Collection[str]]) -> None:
        self._holds = holds
        self._new_holds: list[Hold] = []
        self._admitted: list[str] = []
        self._caps = {scope: round(dollars * NANO) for scope, dollars in terms.budgets.items()}
        self._taken = dict.fromkeys(self._caps, 0)
        self._spent: dict[str, int] = {}
        self._reserved: dict[str, int] = {}
        for scope in sorted(self._caps):
            row = connection.execute(select(budgets).where(budgets.c.scope == scope)).first()
            self._spent[scope] = row.spent if row else 0
            self._reserved[scope] = row.reserved if row else 0

    def verdict(self, want: Want) -> Verdict:
        verdict = Verdict.ADMITTED
        for scope in self._open_scopes(want):
            cap = self._caps[scope]
            if self._spent[scope] + want.worst_cost > cap:
                return Verdict.REACHED
            if self._spent[scope] + self._reserved[scope] + self._taken[scope] + want.worst_cost > cap:
                verdict = Verdict.BLOCKED
        return verdict

    def take(self, want: Want) -> None:
        scopes = self._open_scopes(want)
        for scope in scopes:
            self._taken[scope] += want.worst_cost
        if want.request is not None:
            self._admitted.append(want.request)
            self._new_holds.extend(Hold(want.request, scope, want.worst_cost) for scope in scopes)

    def _open_scopes(self, want: Want) -> list[str]:
        held = self._holds.get(want.request, ()) if want.request is not None else ()
        return [scope for scope in self._caps if scope not in held]

    def save(self, connection: Connection, holder: str) -> None:
        take_holds(connection, [name for name in self._admitted if name in self._holds], self._new_holds, holder)
        for scope in sorted(self._caps):
            if not self._taken[scope]:
                continue
            insert = dialect_insert(connection, budgets).values(scope=scope, spent=0, reserved=self._taken[scope])
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["scope"], set_={"reserved": budgets.c.reserved + insert.excluded.reserved}
                )
            )
