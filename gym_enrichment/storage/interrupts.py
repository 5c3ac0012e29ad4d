"""Ctrl-C and SIGTERM must not cut a transaction in two."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Signals that come inside are delivered at the end, to whoever handled them before.

    A handler that raises (Ctrl-C, and Dagster's own) may do so between any two lines of the driver: between
    BEGIN and the note that it was sent, for one. Such a connection keeps the write lock of SQLite for as long
    as the traceback lives, and everybody who cleans up waits for it. Only the main thread gets signals;
    in others this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    # SIGINT last: once its handler is back, a second Ctrl-C may end this at once.
    before = {int(number): signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    ours = {number: handler for number, handler in before.items() if handler is not None}

    def note(number: int, _frame: Any) -> None:
        came.append(number)

    try:
        for number in ours:
            signal.signal(number, note)
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)
