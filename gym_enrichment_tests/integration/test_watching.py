"""What ends is started again, later and later while it goes on ending."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from deploy.servers import Server
from deploy.watching import Watch


class Sleeper(Server):
    """A real process that does nothing until it is killed."""

    name = "sleeper"

    @property
    def command(self) -> Sequence[str]:
        return ["sh", "-c", "echo here I am; exec sleep 1000"]

    def answers(self) -> bool:
        return "here I am" in self.end_of_log()


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Sleeper]:
    sleeper = Sleeper(tmp_path, tmp_path / "sleeper.log")
    sleeper.start()
    yield sleeper
    sleeper.stop()


def test_pauses_grow_and_begin_anew_after_a_quiet_time(sleeper: Sleeper) -> None:
    told: list[str] = []
    clock = 0.0
    watch = Watch([sleeper], told.append, now=lambda: clock)
    watch.look()
    assert told == []
    for pause in (1, 2, 4, 8, 16, 32, 60, 60):
        pid = sleeper.process.pid
        sleeper.kill()
        watch.look()
        assert f"is started again in {pause} s" in told[-1]
        assert "exit code -9" in told[-1]
        assert "here I am" in told[-1]
        clock += pause - 0.5
        watch.look()
        assert not sleeper.is_running
        clock += 0.5
        watch.look()
        assert sleeper.is_running
        assert sleeper.process.pid != pid
    clock += 61
    watch.look()
    sleeper.kill()
    watch.look()
    assert "is started again in 1 s" in told[-1]
