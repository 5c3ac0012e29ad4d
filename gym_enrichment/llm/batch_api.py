"""A transport at half the price: gathers requests, sends them as batches, and brings each its own result.

A request is in the database before it is sent and until its result is booked, so that whoever asks it again after
a crash gets the result of the batch that was paid already.
What must not live here: the provider's endpoints (batch_client.py), lines (batch_lines.py) and SQL (storage/).
"""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from openai.types import Batch

from gym_enrichment.llm.batch_client import BatchApiFailed, BatchClient
from gym_enrichment.llm.batch_lines import MOST_BYTES, MOST_REQUESTS, read_results, request_line
from gym_enrichment.llm.errors import CallError, ErrorKind, Reaction
from gym_enrichment.llm.openai_transport import readable_code, status_error
from gym_enrichment.llm.requests import RawAnswer
from gym_enrichment.storage import llm_batches as rows
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.llm_batches import Receipt, Submission

_ENDED = {"completed", "failed", "expired", "cancelled", "canceled"}
_OVERDUE_SECONDS = 26 * 3600.0
"""A batch that has not ended two hours after its 24 is cancelled, and what it has by an hour later is taken."""
_ABANDONED_SECONDS = 27 * 3600.0
_FIRST_LOOK_SECONDS = 1.0
_LOOK_GROWTH = 1.5
_LATE_FILES = 10
"""Looks at a completed batch whose files are not named yet."""
_MOST_REFUSALS = 3
"""Batches in a row that the provider refused as a whole: the next would fare no better."""
_TAKE_OVER_SECONDS = 1.0


@dataclass(slots=True)
class BatchProgress:
    """What is at the provider now, by submission: state, and requests done, failed and in all."""

    open: dict[str, tuple[str, int, int, int]] = field(default_factory=dict)

    def line(self) -> str:
        """One clause for logs, from any thread; empty while no batch is open."""
        now = list(self.open.values())
        if not now:
            return ""
        states, done, failed, total = zip(*now, strict=True)
        said = ", ".join(f"{count} {state}" for state, count in sorted(Counter(states).items()))
        return f"batches: {said}; {sum(done)}/{sum(total)} requests done, {sum(failed)} failed"


@dataclass(slots=True, eq=False)
class _Ask:
    custom_id: str
    content: bytes
    future: asyncio.Future[RawAnswer]


@dataclass(slots=True)
class _Followed:
    """A submission whose end this process waits for; `order` is that of its lines, known where we wrote them."""

    submission: Submission
    asks: list[_Ask]
    order: Sequence[str]


class BatchTransport:
    """Chat completions through the Batch API of a server that speaks OpenAI's protocol. Use it in one event loop.

    Args:
        client: the provider's endpoints.
        database: where batches are known to later processes.
        endpoint: names the server; the same request to it is never in two batches.
        most_requests: requests in one batch.
        gather_seconds: a batch is sent when nothing was added to it for so long.
        poll_seconds: longest time between two looks at a batch.
    """

    def __init__(
        self,
        client: BatchClient,
        database: Database,
        endpoint: str,
        *,
        most_requests: int = 5_000,
        gather_seconds: float = 1.0,
        poll_seconds: float = 60.0,
    ) -> None:
        self.progress = BatchProgress()
        self._client = client
        self._database = database
        self._endpoint = endpoint
        self._most = min(most_requests, MOST_REQUESTS)
        self._gather_seconds = gather_seconds
        self._poll_seconds = poll_seconds
        self._queue: list[_Ask] = []
        self._asked: set[str] = set()
        self._followed: dict[str, _Followed] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._gatherer: asyncio.Task[None] | None = None
        self._one_at_a_time: asyncio.Lock | None = None
        self._refusals = 0

    def name_of(self, content: bytes) -> str:
        """What names this request in every process; see `KeepsResults` in orders.py."""
        return rows.custom_id_of(self._endpoint, content)

    async def send(self, content: bytes) -> RawAnswer:
        """The result of one request, from the batch that it is in or will be put into; takes up to a day.

        Raises:
            CallError: no usable answer came, or (BatchApiFailed) none can come.
        """
        custom_id = self._free_id(self.name_of(content))
        ask = _Ask(custom_id, content, asyncio.get_running_loop().create_future())
        self._asked.add(custom_id)
        self._enqueue([ask])
        try:
            return await ask.future
        finally:
            self._asked.discard(custom_id)

    async def close(self) -> None:
        """Stop waiting. Batches go on at the provider; whoever asks the same again gets their results."""
        waiting = [*self._tasks, *([self._gatherer] if self._gatherer else [])]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await self._client.close()

    def _free_id(self, custom_id: str) -> str:
        """With single flight off, equal requests wait at once; in a batch no two may have one name."""
        number, free = 0, custom_id
        while free in self._asked:
            number += 1
            free = f"{custom_id}-{number}"
        return free

    def _enqueue(self, asks: Sequence[_Ask]) -> None:
        self._queue.extend(asks)
        if self._gatherer is None:
            self._gatherer = asyncio.create_task(self._gather())

    async def _gather(self) -> None:
        try:
            while self._queue:
                seen = -1
                while seen != len(self._queue) and len(self._queue) < self._most:
                    seen = len(self._queue)
                    await asyncio.sleep(self._gather_seconds)
                await self._place(self._take_chunk())
        finally:
            self._gatherer = None

    def _take_chunk(self) -> list[_Ask]:
        """As many of the queue as one batch may hold."""
        size = count = 0
        for ask in self._queue[: self._most]:
            size += len(ask.content) + 200
            if count and size > MOST_BYTES:
                break
            count += 1
        chunk, self._queue = self._queue[:count], self._queue[count:]
        return [ask for ask in chunk if not ask.future.done()]

    async def _place(self, asks: list[_Ask]) -> None:
        """Into a new batch, or to the batches that some are in already."""
        if not asks:
            return
        name = uuid.uuid4().hex
        ids = [ask.custom_id for ask in asks]
        try:
            await asyncio.to_thread(rows.sweep_batches, self._database, datetime.now(UTC))
            found = await asyncio.to_thread(rows.claim_requests, self._database, self._endpoint, name, ids)
        except Exception as error:  # each of them is told; the gateway knows what to do
            _fail(asks, error)
            return
        groups: dict[str, list[_Ask]] = {}
        for ask in asks:
            if ask.custom_id in found:
                groups.setdefault(found[ask.custom_id].name, []).append(ask)
            else:
                self._queue.append(ask)
        for group in groups.values():
            self._follow(found[group[0].custom_id], group, ours=found[group[0].custom_id].name == name)

    def _follow(self, submission: Submission, asks: list[_Ask], *, ours: bool) -> None:
        followed = self._followed.get(submission.name)
        if followed is not None:
            followed.asks.extend(asks)
            return
        followed = _Followed(submission, asks, [ask.custom_id for ask in asks] if ours else ())
        self._followed[submission.name] = followed
        task = asyncio.create_task(self._bring(followed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _bring(self, followed: _Followed) -> None:
        """Each ask of a submission its result; asks that are in no batch after all go back to the queue."""
        name = followed.submission.name
        self._show(followed, "submitting" if followed.order else "found again")
        results: Mapping[str, RawAnswer | CallError] | None
        try:
            async with self._turn(followed):
                results = await self._results(followed)
        except Exception as error:  # each of them is told; the gateway knows what to do
            _fail(followed.asks, error)
        else:
            if results is None:
                self._enqueue([ask for ask in followed.asks if not ask.future.done()])
            else:
                _deliver(followed, results)
        finally:
            # No await since the asks were served: none can have been added unseen.
            del self._followed[name]
            self.progress.open.pop(name, None)

    def _turn(self, followed: _Followed) -> AbstractAsyncContextManager[None]:
        return self._one_at_a_time if self._one_at_a_time and followed.order else nullcontext()

    async def _results(self, followed: _Followed) -> Mapping[str, RawAnswer | CallError] | None:
        """By custom_id; None if nothing was paid and all of it has to be asked anew."""
        submission = followed.submission
        batch_id = submission.batch_id
        if batch_id is None:
            async with self._alive(submission.name):
                batch_id = await (self._submit(followed) if followed.order else self._recover(submission))
        batch = await self._end_of(followed, batch_id) if batch_id is not None else None
        if batch is None:
            await asyncio.to_thread(rows.give_up, self._database, submission.name)
            return None
        files = [file_id for file_id in (batch.output_file_id, batch.error_file_id) if file_id]
        if batch.status == "failed" and not files:
            return await self._refused(followed, batch)
        self._refusals = 0
        contents = [await self._client.download(file_id) for file_id in files]
        results = await asyncio.to_thread(read_results, [content for content in contents if content])
        missing = {ask.custom_id for ask in followed.asks} - results.keys()
        return results | {custom_id: _missing(batch.status) for custom_id in missing}

    async def _submit(self, followed: _Followed) -> str | None:
        """Upload and create; each id is saved before the next step. None if another process has given it up."""
        name = followed.submission.name
        content = b"".join(request_line(ask.custom_id, ask.content) for ask in followed.asks)
        file_id = await self._client.upload(name, content)
        if not await asyncio.to_thread(rows.save_file, self._database, name, file_id):
            return None
        batch_id = await self._client.create(name, file_id)
        await asyncio.to_thread(rows.save_batch, self._database, name, batch_id)
        return batch_id

    async def _recover(self, submission: Submission) -> str | None:
        """The batch of a submission whose process may have died before it knew the id; None if there is none."""
        found: Submission | None = submission
        while not await asyncio.to_thread(rows.take_over, self._database, submission.name):
            await asyncio.sleep(_TAKE_OVER_SECONDS)
            found = await asyncio.to_thread(rows.find_submission, self._database, submission.name)
            if found is None or found.batch_id is not None:
                return found.batch_id if found else None
        found = await asyncio.to_thread(rows.find_submission, self._database, submission.name)
        if found is None or found.file_id is None:
            return None
        batch_id = await self._client.find(found.name, found.file_id)
        if batch_id is not None:
            await asyncio.to_thread(rows.save_batch, self._database, found.name, batch_id)
        return batch_id

    @asynccontextmanager
    async def _alive(self, name: str) -> AsyncIterator[None]:
        """Let other processes know that the submission is being worked on."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(rows.SUBMITTING_SECONDS / 3)
                await asyncio.to_thread(rows.renew_submission, self._database, name)

        task = asyncio.create_task(renew())
        try:
            yield
        finally:
            task.cancel()

    async def _end_of(self, followed: _Followed, batch_id: str) -> Batch | None:
        """The batch once it has ended; None if the provider does not know it."""
        pause, late = min(_FIRST_LOOK_SECONDS, self._poll_seconds), 0
        while (batch := await self._client.look(batch_id)) is not None:
            self._show(followed, batch.status, batch)
            age = time.time() - followed.submission.created_at.timestamp()
            if batch.status in _ENDED:
                late += 1
                if not _files_are_late(batch) or late > _LATE_FILES:
                    return batch
            elif age > _ABANDONED_SECONDS:
                return batch
            elif age > _OVERDUE_SECONDS:
                await self._client.cancel(batch_id)
            await asyncio.sleep(pause)
            pause = min(pause * _LOOK_GROWTH, self._poll_seconds)
        return None

    async def _refused(self, followed: _Followed, batch: Batch) -> Mapping[str, RawAnswer | CallError] | None:
        """What becomes of a batch that the provider did not take: nothing of it was processed or charged."""
        await asyncio.to_thread(rows.give_up, self._database, followed.submission.name)
        problems = (batch.errors.data if batch.errors else None) or []
        code = next(filter(None, (readable_code(problem.code) for problem in problems)), "")
        if code.endswith("limit_exceeded"):
            # The queue of this account is full: less at once, one after the other.
            self._most = max(1, min(self._most, len(followed.asks)) // 2)
            self._one_at_a_time = self._one_at_a_time or asyncio.Lock()
            self._show(followed, "waiting for room")
            await asyncio.sleep(self._poll_seconds)
            return None
        lines = {problem.line for problem in problems if problem.line is not None}
        bad = {custom_id for line, custom_id in enumerate(followed.order, start=1) if line in lines}
        self._refusals = 0 if bad else self._refusals + 1
        error = status_error(400, code, {})
        if error.reaction is Reaction.RUN_STOPS or self._refusals >= _MOST_REFUSALS:
            raise BatchApiFailed(error.kind, f"the Batch API refuses our batches: {error.message}")
        return {
            ask.custom_id: status_error(400, code, {})
            if ask.custom_id in bad
            else CallError(ErrorKind.SERVER_ERROR, f"its batch was refused ({error.message})")
            for ask in followed.asks
        }

    def _show(self, followed: _Followed, state: str, batch: Batch | None = None) -> None:
        counts = batch.request_counts if batch is not None else None
        done, failed, total = (counts.completed, counts.failed, counts.total) if counts else (0, 0, 0)
        self.progress.open[followed.submission.name] = (state, done, failed, total or len(followed.asks))


def _files_are_late(batch: Batch) -> bool:
    """Whether a batch says that it completed requests, but not yet where they are."""
    completed = batch.request_counts.completed if batch.request_counts else 0
    return batch.status == "completed" and completed > 0 and batch.output_file_id is None


def _missing(status: str) -> CallError:
    """No line for a request: one that a completed batch lost may have been charged for."""
    return CallError(
        ErrorKind.SERVER_ERROR, f"no line in the results of a batch ({status})", maybe_charged=status == "completed"
    )


def _deliver(followed: _Followed, results: Mapping[str, RawAnswer | CallError]) -> None:
    for ask in followed.asks:
        if ask.future.done():
            continue
        result = results.get(ask.custom_id) or _missing("completed")
        receipt = Receipt(followed.submission.name, ask.custom_id)
        if isinstance(result, CallError):
            result.receipt = receipt
            ask.future.set_exception(result)
        else:
            ask.future.set_result(replace(result, receipt=receipt))


def _fail(asks: Sequence[_Ask], error: Exception) -> None:
    for ask in asks:
        if not ask.future.done():
            ask.future.set_exception(error)
