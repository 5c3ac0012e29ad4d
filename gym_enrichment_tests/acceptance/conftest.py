"""A user's machine for acceptance tests: a clean environment, real processes, Dagster's own stack.

What must not live here: data of one test, and shortcuts around what users run.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import pytest

import gym_enrichment
from deploy.graphql import ask_graphql
from deploy.servers import free_port
from gym_enrichment.launching import open_instance
from gym_enrichment.partitions import add_missing_keys
from gym_enrichment.pipeline.ingesting import ingest
from gym_enrichment.settings import Settings, load_settings
from gym_enrichment.storage.batches import assign_batches
from gym_enrichment.storage.engine import Database
from gym_enrichment_tests.llm_server import LlmServer
from gym_enrichment_tests.raw_data import write_gyms

Found = TypeVar("Found")

REPOSITORY = Path(gym_enrichment.__file__).parents[1]
API_KEY = "sk-acceptance-4f1b7c"
_OURS = ("OPENAI_", "GYM_", "DAGSTER_", "GOOGLE_PLACES_")
_MOST_SECONDS = 180.0
_STOP_SECONDS = 30.0


@dataclass(frozen=True)
class Outcome:
    """How a process ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output as the one JSON object that it must be."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    def succeeded(self) -> "Outcome":
        assert self.code == 0, f"exit {self.code}\n{self.out}\n{self.err}"
        return self

    def failed_with(self, code: int) -> "Outcome":
        """Ended with `code`, in words: never with a traceback."""
        assert self.code == code, f"exit {self.code}, not {code}\n{self.out}\n{self.err}"
        assert "Traceback" not in self.out + self.err
        return self


@dataclass(frozen=True)
class User:
    """Someone in an empty folder of their own, with these variables set and no other of ours."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """GYM_HOME; users have blanks in their paths."""
        return self.folder / "gym home"

    @property
    def work(self) -> Path:
        """The working directory: no .env, nothing to find."""
        return self.folder / "work"

    @property
    def environment(self) -> dict[str, str]:
        """Everything that a process gets."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        return kept | {
            "HOME": str(self.folder / "user"),
            "PYTHONPATH": str(REPOSITORY),
            "GYM_HOME": str(self.home),
            "DAGSTER_HOME": str(self.home / "dagster"),
            **self.variables,
        }

    @property
    def settings(self) -> Settings:
        """The settings that this user's processes see."""
        return load_settings(_env_file=None, GYM_HOME=self.home, **self.variables)

    @property
    def database(self) -> Database:
        return self.settings.database

    def with_(self, **variables: str) -> "User":
        """The same user with more variables set."""
        return User(self.folder, {**self.variables, **variables})

    def without(self, *names: str) -> "User":
        """The same user with these variables of `variables` not set."""
        return User(self.folder, {name: value for name, value in self.variables.items() if name not in names})

    def run(self, command: Sequence[str], seconds: float) -> Outcome:
        """A process of this user's, until its end."""
        ended = subprocess.run(
            command,
            cwd=self.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=seconds,
            check=False,
        )
        return Outcome(ended.returncode, ended.stdout, ended.stderr)

    def cli(self, *arguments: str, seconds: float = _MOST_SECONDS) -> Outcome:
        """`gym-enrichment` as a process."""
        return self.run([*CLI, *arguments], seconds)

    def dagster(self, *arguments: str, seconds: float = _MOST_SECONDS) -> Outcome:
        """Dagster's own command line as a process."""
        return self.run([sys.executable, "-m", "dagster", *arguments], seconds)

    def python(self, code: str, seconds: float = _MOST_SECONDS) -> Outcome:
        return self.run([sys.executable, "-c", code], seconds)

    def start(self, command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
        """A process that goes on, the leader of its own group, its output in `log`."""
        with log.open("wb") as sink:
            return subprocess.Popen(
                command,
                cwd=self.work,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                # A shell's background job hands down an ignored SIGINT: give Ctrl-C its meaning back.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with open_instance(self.settings) as instance:
            yield instance

    def take_in(self, gyms: int, first: int = 1) -> None:
        """Ingest small gyms `gym-0001` ... named "Salle 0001" ..."""
        assert not ingest(self.database, write_gyms(self.folder / "sources", gyms, first=first)).errors

    def make_batches(self) -> list[str]:
        """What the first half of the sensor's tick does: batches, and their keys in Dagster."""
        created = assign_batches(self.database, self.settings.batch_size)
        with self.instance() as instance:
            add_missing_keys(instance, self.database)
        return created


CLI = (sys.executable, "-c", "from gym_enrichment.cli import main; main()")


def new_user(folder: Path, **variables: str) -> User:
    user = User(folder, variables)
    for path in (user.work, folder / "user"):
        path.mkdir(parents=True)
    return user


def asking(server: LlmServer) -> dict[str, str]:
    """The variables that make `server` the one that answers."""
    return {"OPENAI_API_KEY": API_KEY, "OPENAI_BASE_URL": server.base_url, "GYM_LLM_MODEL": "test-model"}


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def wait_for(what: str, look: Callable[[], Found | None], seconds: float = 90.0, every: float = 0.25) -> Found:
    """What `look` finds, as soon as it finds something; fails when it takes too long."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(every)


def stop(process: "subprocess.Popen[bytes]") -> int:
    """Ctrl-C, then wait; what is left of its group is killed. Returns the exit code."""
    try:
        process.send_signal(signal.SIGINT)
        return process.wait(timeout=_STOP_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=_STOP_SECONDS)


_STATUSES = """
query($key: AssetKeyInput!) {
  assetNodes(assetKeys: [$key]) {
    assetPartitionStatuses {
      ... on DefaultPartitionStatuses {
        materializedPartitions failedPartitions materializingPartitions unmaterializedPartitions
      }
    }
  }
}
"""


@dataclass(frozen=True)
class Stack:
    """`dagster dev` on a user's instance: the UI's server, the daemon and the code server."""

    user: User
    url: str
    log: Path

    LOCATION = "gym_enrichment"
    REPOSITORY = "__repository__"

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """One request as the UI makes it."""
        return ask_graphql(self.url, query, variables)

    def partitions(self, asset: str) -> dict[str, list[str]]:
        """The partitions of `asset` in each state, as the UI shows them."""
        found = self.graphql(_STATUSES, key={"path": [asset]})["assetNodes"][0]["assetPartitionStatuses"]
        return {state.removesuffix("Partitions"): sorted(keys) for state, keys in found.items()}

    def is_up(self) -> bool:
        """Whether the UI answers and the code location is loaded."""
        try:
            with urllib.request.urlopen(f"{self.url}/server_info", timeout=5):
                pass
        except OSError:
            return False
        found = self.graphql(
            "{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError"
            " { __typename ... on PythonError { message } } } } } }"
        )["workspaceOrError"]["locationEntries"]
        kinds = {entry["locationOrLoadError"]["__typename"] for entry in found if entry["locationOrLoadError"]}
        assert "PythonError" not in kinds, found
        return kinds == {"RepositoryLocation"}


@contextmanager
def dagster_stack(user: User) -> Iterator[Stack]:
    """`dagster dev`, as `make ui` starts it, until the context ends."""
    with user.instance():
        pass  # makes DAGSTER_HOME
    port = free_port()
    stack = Stack(user, f"http://127.0.0.1:{port}", user.folder / "dagster-dev.log")
    where = ["--workspace", str(REPOSITORY / "workspace.yaml"), "--host", "127.0.0.1", "--port", str(port)]
    process = user.start([sys.executable, "-m", "dagster", "dev", *where], stack.log)

    def up() -> bool:
        assert process.poll() is None, stack.log.read_text(encoding="utf-8")[-3000:]
        return stack.is_up()

    try:
        wait_for("dagster dev to answer", up)
        yield stack
    finally:
        stop(process)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """What the machine has set must not reach what tests do in this process either."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(_OURS):
                patch.delenv(name)
        yield


@pytest.fixture
def user(tmp_path: Path) -> User:
    """Someone who has just begun, without any LLM."""
    return new_user(tmp_path)


@pytest.fixture
def server() -> Iterator[LlmServer]:
    """A server that answers well until its `script` is replaced."""
    with LlmServer() as server:
        yield server


@pytest.fixture
def client(tmp_path: Path, server: LlmServer) -> User:
    """Someone whose LLM is `server`; small batches, two quick attempts."""
    return new_user(tmp_path, **asking(server), GYM_BATCH_SIZE="2", GYM_LLM_MAX_ATTEMPTS="2")
