"""A whole fleet on one machine, without Docker or root: the services of compose.yaml as plain processes on loopback.

`make fleet` (__main__.py) starts it, watches it and says what runs where; the tests start it, and break it.
Commands, variables and configuration files are those of compose.yaml; only Postgres and Valkey come from wheels.

What must not live here: a command or a setting of a service (compose.yaml, dagster.yaml, Caddyfile).
"""

import hashlib
import os
import re
import shutil
import socket
import stat
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
import redis
import yaml
from celery import Celery

from deploy.graphql import ask_graphql
from deploy.servers import Postgres, Server, Valkey, free_port

DEPLOY = Path(__file__).parent
_STOP_SECONDS = 20.0
_SERVER_STOP_SECONDS = 10.0
# A variable in compose.yaml: $$, ${NAME}, ${NAME:-default} or ${NAME:?what is missing}.
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?:(?P<how>:[-?])(?P<rest>[^}]*))?\})")
_INHERITED = ("PATH", "HOME", "LANG", "TZ", "PYTHONPATH")
_LOCATIONS = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"
_DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { required healthy } } } }"
NOBODY = "$2a$14$ApuE9JwFppJ4pxJ6qLtKiua6wwabihyZGLpdW0s37DOERs1jae5ry"
"""A hash of which nobody knows the password."""


class Service(Server):
    """One of our processes: a service of compose.yaml, with its command and its variables and no others.

    Args:
        name: its name in compose.yaml.
        home: an existing folder for its log.
        variables: what compose.yaml's placeholders stand for.
        answers: whether it is ready.
        more: what is added to the command; the last of two equal options counts.
    """

    def __init__(
        self,
        name: str,
        home: Path,
        variables: Mapping[str, str],
        answers: Callable[[], bool],
        more: Sequence[str] = (),
    ) -> None:
        super().__init__(home, home / f"{name}.log")
        self.name = name
        service = _compose()["services"][name]
        self._command = [_interpolate(str(part), variables) for part in [*service["command"], *more]]
        given = {key: _interpolate(str(value), variables) for key, value in service["environment"].items()}
        inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        self.environment = inherited | {key: value for key, value in given.items() if value}
        self._answers = answers

    @property
    def command(self) -> Sequence[str]:
        executable, *arguments = self._command
        ours = Path(sys.executable).parent / executable
        return [str(ours) if ours.exists() else executable, *arguments]

    @property
    def how(self) -> Mapping[str, Any]:
        return {"env": self.environment}

    def answers(self) -> bool:
        return self._answers()


class Fleet:
    """Postgres, Valkey, code server, webservers, daemon, workers and, where Caddy is installed, the proxy.

    Args:
        home: GYM_HOME of its processes; the Dagster instance and the logs are below it, and the servers' data unless
            we are root. Not a home that the CLI uses by itself: there Dagster's instance is another.
        variables: values of compose.yaml's variables, the settings of the pipeline among them.
        read_port: where the UI that only shows is reached; a free port by default.
        admin_port: where the UI that changes things is reached, likewise.
        monitoring: other times than dagster.yaml's in its `run_monitoring`, which no variable can give; tests are
            in a hurry.
    """

    def __init__(
        self,
        home: Path,
        variables: Mapping[str, str],
        read_port: int | None = None,
        admin_port: int | None = None,
        monitoring: Mapping[str, int] | None = None,
    ) -> None:
        self.home = home.absolute()
        self.monitoring = monitoring or {}
        self.has_proxy = shutil.which("caddy") is not None
        self.read_port, self.admin_port = read_port or free_port(), admin_port or free_port()
        servers = _servers_home(self.home)
        password = variables.get("POSTGRES_PASSWORD", "")
        self.postgres = Postgres(servers / "postgres", free_port(), password=password)
        self.valkey = Valkey(servers / "valkey", free_port())
        self.variables = self._places() | dict(variables)
        (self.home / "logs").mkdir(parents=True, exist_ok=True)
        self.services = {name: self._service(name, answers) for name, answers in self._processes().items()}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and wait until it is ready. Raises RuntimeError with the log of what is not."""
        instance = Path(self.variables["DAGSTER_HOME"])
        for folder in (self.postgres.home.parent, self.postgres.home, self.valkey.home):
            _make_servers_home(folder)
        instance.mkdir(parents=True, exist_ok=True)
        settings = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
        settings["run_monitoring"] |= self.monitoring
        (instance / "dagster.yaml").write_text(yaml.safe_dump(settings))
        self.postgres.start()
        self._create_databases()
        self.valkey.start()
        self._service("migrate", lambda: True).run()
        for service in self.services.values():
            service.spawn()
        for service in self.services.values():
            service.wait_until_ready()

    def stop(self) -> None:
        """End everything within a minute: our processes first, all at once, then the servers."""
        services = list(self.services.values())
        for service in services:
            if service.is_running:
                service.process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for service in services:
            service.wait_for_end(max(0.0, deadline - time.monotonic()))
        self.valkey.stop(_SERVER_STOP_SECONDS)
        self.postgres.stop(_SERVER_STOP_SECONDS)

    @property
    def members(self) -> list[Server]:
        """All processes, in the order of their start."""
        return [self.postgres, self.valkey, *self.services.values()]

    @property
    def environment(self) -> dict[str, str]:
        """What the CLI and Dagster's commands need to work on this fleet; nothing secret."""
        needed = ("GYM_HOME", "GYM_DATABASE_URL", *_compose()["services"]["webserver"]["environment"])
        everything = self._service("migrate", lambda: True).environment
        return {name: everything[name] for name in needed}

    def address(self, member: Server) -> str:
        """Where one of `members` listens, if it does."""
        places = {
            "postgres": self.postgres.url("gym"),
            "valkey": self.valkey.url,
            "code-server": f"127.0.0.1:{self.variables['GYM_CODE_SERVER_PORT']}",
            "webserver": f"http://127.0.0.1:{self.variables['WEBSERVER_PORT']}",
            "webserver-admin": self.admin_url,
            "proxy": f"http://{self.variables['READ_ADDRESS']}, http://{self.variables['ADMIN_ADDRESS']}",
        }
        return places.get(member.name, "")

    @property
    def admin_url(self) -> str:
        """The webserver that may change things, before the proxy: what it is asked here needs no password."""
        return f"http://127.0.0.1:{self.variables['WEBSERVER_ADMIN_PORT']}"

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """One request as the UI makes it. Raises OSError if nothing answers, or an error does."""
        return ask_graphql(self.admin_url, query, variables)

    def _places(self) -> dict[str, str]:
        """What compose.yaml's names and folders are here."""
        if self.has_proxy:
            read_server, admin_server = free_port(), free_port()
        else:
            read_server, admin_server = self.read_port, self.admin_port
        return {
            "POSTGRES_PASSWORD": "",
            "GYM_DATABASE_URL": self.postgres.url("gym"),
            "DAGSTER_DATABASE_URL": self.postgres.url("dagster").replace("postgresql:", "postgresql+psycopg2:"),
            "GYM_BROKER_URL": self.valkey.url,
            "DAGSTER_HOME": str(self.home / "dagster"),
            "GYM_HOME": str(self.home),
            "GYM_BIND": "127.0.0.1",
            "GYM_CODE_SERVER_HOST": "127.0.0.1",
            "GYM_CODE_SERVER_PORT": str(free_port()),
            "GYM_WORKSPACE": str(DEPLOY / "workspace.yaml"),
            "GYM_CADDYFILE": str(DEPLOY / "Caddyfile"),
            "WEBSERVER_PORT": str(read_server),
            "WEBSERVER_ADMIN_PORT": str(admin_server),
            "READ_ADDRESS": f"127.0.0.1:{self.read_port}",
            "ADMIN_ADDRESS": f"127.0.0.1:{self.admin_port}",
            "READ_SERVER": f"127.0.0.1:{read_server}",
            "ADMIN_SERVER": f"127.0.0.1:{admin_server}",
            "ADMIN_PASSWORD_HASH": NOBODY,
            "XDG_CONFIG_HOME": str(self.home / "logs"),
        }

    def _processes(self) -> dict[str, Callable[[], bool]]:
        """The services in the order of their start, and how each is seen to be ready."""
        ports = {
            "code-server": self.variables["GYM_CODE_SERVER_PORT"],
            "webserver": self.variables["WEBSERVER_PORT"],
        }
        found: dict[str, Callable[[], bool]] = {name: partial(_accepts, int(port)) for name, port in ports.items()}
        found["webserver-admin"] = self._has_loaded
        found["daemon"] = self._daemon_is_healthy
        found |= {f"worker-{queue}": partial(self._worker_answers, queue) for queue in ("optimized", "default")}
        return found | ({"proxy": partial(_accepts, self.admin_port)} if self.has_proxy else {})

    def _service(self, name: str, answers: Callable[[], bool]) -> Service:
        return Service(name, self.home / "logs", self.variables, answers)

    def _create_databases(self) -> None:
        """What Postgres's image does with create-databases.sql, and what an interrupted start left undone."""
        with psycopg.connect(self.postgres.url(), autocommit=True) as connection:
            there = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
            # One at a time: Postgres makes no database within a transaction, and one text is one.
            for statement in filter(str.strip, (DEPLOY / "create-databases.sql").read_text().split(";")):
                if statement.split()[-1] not in there:
                    connection.execute(statement.encode())

    def _has_loaded(self) -> bool:
        try:
            entries = self.graphql(_LOCATIONS)["workspaceOrError"]["locationEntries"]
        except OSError:
            return False
        return [(entry["locationOrLoadError"] or {}).get("__typename") for entry in entries] == ["RepositoryLocation"]

    def _daemon_is_healthy(self) -> bool:
        try:
            statuses = self.graphql(_DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
        except OSError:
            return False
        return all(status["healthy"] for status in statuses if status["required"])

    def _worker_answers(self, queue: str) -> bool:
        try:
            with Celery(broker=self.valkey.url) as app:
                return any(name.startswith(f"{queue}@") for answer in app.control.ping(timeout=1.0) for name in answer)
        except redis.RedisError:
            # A connection from before Valkey was restarted; the next one is new.
            return False


@cache
def _compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def _interpolate(text: str, variables: Mapping[str, str]) -> str:
    """What Docker Compose makes of a text with `$$`, `${NAME}`, `${NAME:-default}` and `${NAME:?message}` in it."""

    def value(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        if given := variables.get(found["name"]):
            return given
        if found["how"] == ":?":
            raise KeyError(f"{found['name']}: {found['rest']}")
        return found["rest"] or ""

    return _VARIABLE.sub(value, text)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _servers_home(home: Path) -> Path:
    """Where the servers' data goes: below home, or where `nobody`, who runs Postgres for root, may enter."""
    if os.geteuid() != 0:
        return home
    return Path("/var/tmp") / f"gym-fleet-{hashlib.sha256(os.fsencode(home)).hexdigest()[:12]}"


def _make_servers_home(folder: Path) -> None:
    """Make it, or see that nobody else did: anyone may write to /var/tmp. Raises RuntimeError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    found = folder.lstat()
    if os.geteuid() == 0 and (not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022):
        raise RuntimeError(f"{folder} is not root's own folder: move it away")
