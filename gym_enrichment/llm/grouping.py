"""Group commit for asyncio: many tasks wait for one statement instead of each for its own.

What must not live here: any knowledge of what is grouped.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Grouped(Generic[Item, Result]):
    """Turns calls with one item each into calls of `work` with many, in a thread, one at a time.

    While one group is worked on, the next gathers: large groups under load, and no delay when idle unless asked for.

    Args:
        work: gets a list of items and returns as many results in the same order. Blocking.
        most: most items in one group.
        linger: seconds that the first group waits for more: larger groups, for what nobody is in a hurry for.
    """

    def __init__(self, work: Callable[[list[Item]], Sequence[Result]], most: int = 500, linger: float = 0.0) -> None:
        self._work = work
        self._linger = linger
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Result:
        """The result for `item`; raises what `work` raised for its group."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work_off())
        return await future

    async def flush(self) -> None:
        """Return when everything handed in so far is done."""
        while self._worker is not None:
            await asyncio.shield(self._worker)

    async def _work_off(self) -> None:
        try:
            # A tick lets the tasks that are ready now join the first group.
            await asyncio.sleep(self._linger)
            while self._waiting:
                group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._work_group(group)
        finally:
            self._worker = None

    async def _work_group(self, group: list[tuple[Item, "asyncio.Future[Result]"]]) -> None:
        try:
            results = await asyncio.to_thread(self._work, [item for item, _ in group])
        except Exception as error:  # every waiter of the group gets it
            for _, future in group:
                if not future.cancelled():
                    future.set_exception(error)
            return
        for (_, future), result in zip(group, results, strict=True):
            if not future.cancelled():
                future.set_result(result)
