"""Runs asynchronous work in a thread and hands its results to ordinary code, one at a time.

The thread leaves the main one free for signals, for Dagster and for saving while calls are in flight.
What must not live here: any knowledge of the work.
"""

import asyncio
import queue
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any, TypeVar

Item = TypeVar("Item")
Emit = Callable[[Item], Awaitable[None]]

_MOST_WAITING = 8
"""Results that may wait for the consumer before the work is slowed down: memory stays flat."""
_ROOM_SECONDS = 0.05
_UNTIL_IDLE_SECONDS = 0.03
_END = object()


class IdleWork:
    """Small pieces of work for the moments in which the event loop has nothing else to do: one a round, in order."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._worker: asyncio.Task[None] | None = None

    def add(self, work: Callable[[], None]) -> None:
        """Do `work` soon, unless this ends before; it must not raise."""
        self._waiting.append(work)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work_off())

    def close(self) -> None:
        """Forget what is left."""
        self._waiting.clear()

    async def _work_off(self) -> None:
        # Work comes when calls begin: let them be on their way first.
        await asyncio.sleep(_UNTIL_IDLE_SECONDS)
        while self._waiting:
            # Whatever is ready, an answer above all, comes before the next piece.
            await asyncio.sleep(0)
            if self._waiting:
                self._waiting.popleft()()
        self._worker = None


def iterate_in_background(
    work: Callable[[Emit[Item]], Coroutine[Any, Any, None]],
    *,
    on_tick: Callable[[], None] = lambda: None,
    tick_seconds: float = 1.0,
) -> Iterator[Item]:
    """Yield what `work` emits, in the order it comes. An error of `work` is raised here after what it emitted.

    Closing the iterator, or an exception in the consumer (Ctrl-C too), cancels the work and waits for its
    clean-up.

    Args:
        work: gets an `emit` to await with each result; runs in an event loop of its own (uvloop where it runs).
        on_tick: called in the consumer's thread at least once per `tick_seconds` while it waits.
    """
    results: queue.Queue[Any] = queue.Queue(maxsize=_MOST_WAITING)
    thread = _Thread(work, results)
    thread.start()
    try:
        while True:
            try:
                result = results.get(timeout=tick_seconds)
            except queue.Empty:
                on_tick()
                continue
            if result is _END:
                break
            yield result
            on_tick()
    finally:
        thread.stop()
    if thread.error is not None:
        raise thread.error


class _Thread(threading.Thread):
    def __init__(self, work: Callable[[Emit[Any]], Coroutine[Any, Any, None]], results: "queue.Queue[Any]") -> None:
        super().__init__(name="gym-enrichment-calls", daemon=True)
        self.error: Exception | None = None
        self._work = work
        self._results = results
        self._runner = asyncio.Runner(loop_factory=_loop_factory())
        self._task: asyncio.Task[None] | None = None
        self._stopped = threading.Event()

    def run(self) -> None:
        try:
            with self._runner:
                self._runner.run(self._main())
        except asyncio.CancelledError:
            pass
        except Exception as error:
            self.error = error
        finally:
            self._end()

    async def _main(self) -> None:
        self._task = asyncio.current_task()
        if self._stopped.is_set():
            return
        await self._work(self._emit)

    async def _emit(self, item: Any) -> None:
        """Wait for room without blocking the loop, unless nobody takes results any more."""
        while not self._stopped.is_set():
            try:
                self._results.put_nowait(item)
            except queue.Full:
                await asyncio.sleep(_ROOM_SECONDS)
            else:
                return

    def _end(self) -> None:
        while not self._stopped.is_set():
            with suppress(queue.Full):
                self._results.put(_END, timeout=_ROOM_SECONDS)
                return

    def stop(self) -> None:
        """Cancel what is still going on and wait for the thread's end."""
        self._stopped.set()
        if self._task is not None:
            # A loop that is closed already has nothing left to cancel.
            with suppress(RuntimeError):
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)
        self.join()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop
