"""A Postgres server that is away for a while, or has no connection left: who needs it waits instead of failing.

A restart takes seconds, and an answer that was paid for must be saved after it. What must not live here: waiting for
an SQLite file (engine.py).
"""

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError

Given = ParamSpec("Given")
Result = TypeVar("Result")

OUTAGE_SECONDS = 60.0
"""How long a server that was reached before may be away, and one that is overcrowded may be so."""
_LOOK_AGAIN_SECONDS = (0.2, 1.0)
# What a server says that is there and will soon have a connection to give (Postgres: 53300, 57P03).
_SOON = ("too many clients", "remaining connection slots", "starting up", "shutting down", "recovery mode")


def wait_for_connections(engine: Engine) -> None:
    """Let `engine` try again when it cannot connect.

    A server that was never reached is not waited for: its URL is wrong, or nobody started it, and the user has to know
    at once.
    """
    reached = False

    def connect(dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        nonlocal reached
        deadline = time.monotonic() + OUTAGE_SECONDS
        while True:
            try:
                connection = dialect.connect(*arguments, **options)
            except dialect.loaded_dbapi.OperationalError as error:
                worth_it = reached or any(phrase in str(error) for phrase in _SOON)
                if not worth_it or time.monotonic() > deadline:
                    raise
                time.sleep(random.uniform(*_LOOK_AGAIN_SECONDS))  # noqa: S311 - no secret
            else:
                reached = True
                return connection

    event.listen(engine, "do_connect", connect)


def again_after_outage(work: Callable[Given, Result]) -> Callable[Given, Result]:
    """Do `work`, which writes in one transaction at most, again when its connection is lost in the middle.

    Only when that is certain to repeat nothing: a COMMIT that was not answered may have been done.
    """

    @wraps(work)
    def repeated(*arguments: Given.args, **options: Given.kwargs) -> Result:
        while True:
            try:
                return work(*arguments, **options)
            except DBAPIError as error:
                # Next time it waits for a connection, and gives up when none comes.
                if not is_lost(error) or error.statement is None:
                    raise

    return repeated


def is_lost(error: BaseException) -> bool:
    """Whether the connection broke, rather than a statement being wrong."""
    return isinstance(error, DBAPIError) and error.connection_invalidated
