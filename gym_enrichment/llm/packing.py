"""Several questions in one call: gathers those that must be paid for, sends them together, gives each its own part.

Each question has its own fingerprint, lease and cached answer, as if it had been asked alone; only the call is
shared. What must not live here: what a pack says (`PackForm`) and how large it may be (pack_size.py).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, Protocol, TypeVar

from gym_enrichment.domain.answer_rules import AnswerRejected
from gym_enrichment.llm.errors import CallError, ErrorKind, Reaction
from gym_enrichment.llm.gateway import Gateway, Paid
from gym_enrichment.llm.pack_size import PackSize, gathered, shares
from gym_enrichment.llm.requests import Answer, AskFailed, LlmRequest, RawAnswer, Usage
from gym_enrichment.storage.llm_calls import CachedAnswer

Subject = TypeVar("Subject")
SubjectIn = TypeVar("SubjectIn", contravariant=True)
Checked = TypeVar("Checked")

ASKED_AGAIN = "asked_again_alone"
"""Counted among the errors of a gateway: parts of good calls that were missing, doubled or against a rule."""
_GATHER_SECONDS = 0.1
"""How long a pack that is not full waits for the next question."""
_COMPLETION_WEIGHT = 4
"""A completion token costs four to eight prompt tokens at every large provider: only for sharing a cost out."""


class PackForm(Protocol[SubjectIn]):
    """How questions share a prompt."""

    def request(self, subjects: Sequence[SubjectIn]) -> LlmRequest:
        """The one request about all of `subjects`; about a single one it is the question asked alone."""

    def split(self, text: str, size: int) -> Sequence[str | None]:
        """Each subject's part of an answer, as its answer alone would be; None where there is none.

        Raises:
            AnswerRejected: no part can be told from another.
        """

    def tokens(self, subject: SubjectIn) -> int:
        """What a subject adds to a prompt."""


@dataclass(eq=False, slots=True)
class _Waiting(Generic[Subject, Checked]):
    """A question that is to be paid for; `most_together` falls as packs with it fail."""

    subject: Subject
    request: LlmRequest
    check: Callable[[str], Checked]
    tokens: int
    most_together: int
    paid: "asyncio.Future[Paid[Checked]]"
    usage: Usage = field(default_factory=Usage)
    failures: int = 0


@dataclass(frozen=True, slots=True)
class _Part(Generic[Checked]):
    value: Checked
    text: str


class Packer(Generic[Subject, Checked]):
    """Asks through `gateway`, several subjects in a call. `close` it before the gateway.

    Args:
        gateway: pays, and knows what was paid before.
        form: how questions share a prompt.
        token_budget: most tokens of subjects in one prompt; a larger subject is asked about alone.
        size: how many subjects a call holds.
    """

    def __init__(self, gateway: Gateway, form: PackForm[Subject], *, token_budget: int, size: PackSize) -> None:
        self._gateway = gateway
        self._form = form
        self._token_budget = token_budget
        self._size = size
        self._queue: deque[_Waiting[Subject, Checked]] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._nothing_comes = False

    async def ask(self, subject: Subject, request: LlmRequest, check: Callable[[str], Checked]) -> Answer[Checked]:
        """The checked answer about `subject`; `request` and `check` are those of asking about it alone.

        Raises:
            AskFailed, BudgetReached, RunStopped: as `Gateway.ask`; only for this subject if only it is to blame.
        """
        return await self._gateway.ask(request, check, pay=partial(self._pay, subject, request, check))

    async def close(self) -> None:
        """Cut off what is still being asked."""
        if self._timer is not None:
            self._timer.cancel()
        self._queue.clear()
        calls = list(self._calls)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    async def _pay(self, subject: Subject, request: LlmRequest, check: Callable[[str], Checked]) -> Paid[Checked]:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(
            subject, request, check, self._form.tokens(subject), most_together=1_000_000, paid=loop.create_future()
        )
        self._queue.append(waiting)
        self._nothing_comes = False
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_later(_GATHER_SECONDS, self._gathered_long_enough)
        self._begin_calls()
        return await waiting.paid

    def _gathered_long_enough(self) -> None:
        self._nothing_comes = True
        self._begin_calls()

    def _begin_calls(self) -> None:
        """Begin as many calls as find a place soon, not more: those that come later may be of a better size."""
        limit = self._gateway.stats.limit
        while self._queue and len(self._calls) < limit + limit // 4 + 1:
            turn = ((waiting.tokens, waiting.most_together) for waiting in self._queue)
            count, full = gathered(turn, self._size.size, self._token_budget)
            if not full and not self._nothing_comes:
                break
            pack = [self._queue.popleft() for _ in range(count)]
            call = asyncio.create_task(self._call(pack))
            self._calls.add(call)
            call.add_done_callback(self._called)

    def _called(self, call: "asyncio.Task[None]") -> None:
        self._calls.discard(call)
        self._begin_calls()

    async def _call(self, pack: list[_Waiting[Subject, Checked]]) -> None:
        pack = [waiting for waiting in pack if not waiting.paid.done()]
        try:
            if len(pack) == 1:
                await self._alone(pack[0])
            elif pack:
                await self._together(pack)
        except asyncio.CancelledError:
            for waiting in pack:
                waiting.paid.cancel()
            raise
        except Exception as error:
            for waiting in pack:
                _refuse(waiting, error)

    async def _alone(self, waiting: _Waiting[Subject, Checked]) -> None:
        paid = await self._gateway.pay(waiting.request, waiting.check, waiting.usage)
        self._size.answered(1, 0, 0.0)
        _give(waiting, paid)

    async def _together(self, pack: list[_Waiting[Subject, Checked]]) -> None:
        request = self._form.request([waiting.subject for waiting in pack])
        usage = Usage(llm_calls=max(waiting.failures for waiting in pack))
        earlier = usage.llm_calls

        def keep(parts: Sequence[_Part[Checked] | None], raw: RawAnswer) -> Sequence[CachedAnswer]:
            _share(usage, earlier, pack, parts)
            return [
                answer
                for waiting, part in zip(pack, parts, strict=True)
                if part is not None
                for answer in self._gateway.cached(waiting.request, part.text, raw.model, waiting.usage)
            ]

        try:
            called = await self._gateway.attempt(request, partial(self._parts, pack), usage, keep)
        except CallError as error:
            _share(usage, earlier, pack, [])
            await self._failed(pack, error)
            return
        model = called.raw.model or request.model
        missing = []
        for waiting, part in zip(pack, called.value, strict=True):
            if part is None:
                missing.append(waiting)
            else:
                _give(waiting, Paid(Answer(part.value, model, waiting.usage, from_cache=False), part.text))
        self._size.answered(len(pack), len(missing), called.seconds)
        if missing:
            self._gateway.stats.errors[ASKED_AGAIN] += len(missing)
            self._again(missing, most_together=1)

    def _parts(self, pack: Sequence[_Waiting[Subject, Checked]], text: str) -> list[_Part[Checked] | None]:
        parts = [
            _checked(waiting.check, part) for waiting, part in zip(pack, self._form.split(text, len(pack)), strict=True)
        ]
        if not any(parts):
            raise AnswerRejected(["no part of the answer is valid"])
        return parts

    async def _failed(self, pack: list[_Waiting[Subject, Checked]], error: CallError) -> None:
        """Wait and go on where waiting helps; else with half as many, down to each alone, to find who is to blame."""
        transient = error.reaction is Reaction.RETRY
        if not transient or error.kind is ErrorKind.TIMEOUT:
            self._size.failed(len(pack))
            self._halve(pack)
        if not transient:
            self._again(pack)
            return
        left = []
        for waiting in pack:
            waiting.failures += 1
            if waiting.failures < self._gateway.max_attempts:
                left.append(waiting)
            else:
                _refuse(waiting, AskFailed(error.kind, error.message, waiting.usage))
        if left:
            failures = max(waiting.failures for waiting in left)
            await asyncio.sleep(self._gateway.backoff.wait(failures, error.retry_after))
            self._again(left)

    @staticmethod
    def _halve(pack: Sequence[_Waiting[Subject, Checked]]) -> None:
        for waiting in pack:
            waiting.most_together = max(1, len(pack) // 2)

    def _again(self, pack: Sequence[_Waiting[Subject, Checked]], most_together: int | None = None) -> None:
        """Back to the front of the queue, in their order."""
        for waiting in reversed(pack):
            waiting.most_together = most_together or waiting.most_together
            self._queue.appendleft(waiting)


def _checked(check: Callable[[str], Checked], text: str | None) -> _Part[Checked] | None:
    try:
        return None if text is None else _Part(check(text), text)
    except AnswerRejected:
        return None


def _share(
    usage: Usage,
    earlier: int,
    pack: Sequence[_Waiting[Subject, Checked]],
    parts: Sequence[_Part[Checked] | None],
) -> None:
    """Charge a call to its questions, exactly: the call to the first, tokens by what each asked and was answered."""
    asked = [waiting.tokens for waiting in pack]
    said = [len(part.text) if part is not None else 0 for part in parts]
    prompt = shares(usage.prompt_tokens, asked)
    completion = shares(usage.completion_tokens, said if any(said) else asked)
    weights = [p + _COMPLETION_WEIGHT * c for p, c in zip(prompt, completion, strict=True)]
    costs = [usage.cost_usd * weight / (sum(weights) or 1) for weight in weights]
    costs[0] = max(0.0, usage.cost_usd - sum(costs[1:]))
    for position, waiting in enumerate(pack):
        calls = usage.llm_calls - earlier if position == 0 else 0
        waiting.usage += Usage(calls, prompt[position], completion[position], costs[position])


def _give(waiting: _Waiting[Subject, Checked], paid: Paid[Checked]) -> None:
    if not waiting.paid.done():
        waiting.paid.set_result(paid)


def _refuse(waiting: _Waiting[Subject, Checked], error: Exception) -> None:
    if not waiting.paid.done():
        waiting.paid.set_exception(error)
        waiting.paid.exception()  # marks it as seen: whoever waited may be gone
