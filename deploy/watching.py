"""Keeps processes running, as `restart: unless-stopped` of compose.yaml does.

What must not live here: which processes there are, and how they are started (fleet.py, servers.py).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.servers import Server

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_SETTLED_SECONDS = 60.0
"""A process that ran for so long is not taken to be one that dies at once: its pauses begin anew."""


@dataclass
class _Life:
    started: float
    pause: float = _FIRST_PAUSE / 2
    restart_at: float | None = None


class Watch:
    """Starts again what ended, after a pause that doubles from one second to a minute.

    Args:
        members: processes that run.
        say: where it is told what ended and what was started again.
        now: seconds of a clock that never goes back.
    """

    def __init__(
        self, members: Sequence[Server], say: Callable[[str], None], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._say, self._now = say, now
        self._lives = [(member, _Life(now())) for member in members]

    def look(self) -> None:
        """One look at all of them."""
        for member, life in self._lives:
            if life.restart_at is not None:
                self._restart_when_due(member, life, life.restart_at)
            elif not member.is_running:
                self._note_end(member, life)

    def _note_end(self, member: Server, life: _Life) -> None:
        now = self._now()
        life.pause = _FIRST_PAUSE if now - life.started > _SETTLED_SECONDS else min(2 * life.pause, _LONGEST_PAUSE)
        life.restart_at = now + life.pause
        self._say(
            f"{member.name} ended (exit code {member.process.returncode}) and is started again in"
            f" {life.pause:.0f} s; the end of {member.log}:\n{member.end_of_log(1000)}"
        )

    def _restart_when_due(self, member: Server, life: _Life, due: float) -> None:
        if self._now() < due:
            return
        # What its death left of its group must not work beside the new one.
        member.stop()
        member.spawn()
        life.started, life.restart_at = self._now(), None
        self._say(f"{member.name} was started again (pid {member.process.pid})")
