"""`make fleet`: a whole fleet on this machine, watched until Ctrl-C.

Everything is below $GYM_HOME/fleet: its database is another than the one of `gym-enrichment` and `make ui`.

What must not live here: how a fleet is started and stopped (fleet.py), and restarts (watching.py).
"""

import argparse
import fcntl
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from deploy.fleet import DEPLOY, Fleet
from deploy.watching import Watch
from gym_enrichment.console import print_table, say
from gym_enrichment.settings import Settings, SettingsError, load_settings

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Of compose.yaml's own servers and image; here they are made up.
_NOT_HERE = {
    *("GYM_VERSION", "POSTGRES_PASSWORD", "ADMIN_USER", "ADMIN_PASSWORD_HASH"),
    *("GYM_DATABASE_URL", "DAGSTER_DATABASE_URL", "GYM_BROKER_URL"),
}
_PATHS = ("GYM_VOCABULARY", "GYM_LABELS")
WRONG_USE = 2


def main() -> int:
    """Start, watch, stop; returns the exit code."""
    arguments = _arguments()
    # Users look on while it starts, and logs of it are read while it runs.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    try:
        variables, settings = _variables()
        home = settings.home.absolute() / "fleet"
        with _alone(home):
            for option, port in (("PORT", arguments.port), ("ADMIN_PORT", arguments.admin_port)):
                _refuse_taken(option, port)
            password = _set_password(variables) if shutil.which("caddy") else None
            return _run(Fleet(home, variables, arguments.port, arguments.admin_port), password)
    except (RuntimeError, SettingsError) as error:
        say(f"error: {error}")
        return WRONG_USE
    except KeyboardInterrupt:
        say("stopped")
        return 0


def _run(fleet: Fleet, password: str | None) -> int:
    say("starting (about half a minute); Ctrl-C stops everything")
    try:
        fleet.start()
        _introduce(fleet, password)
        watch = Watch(fleet.members, say)
        while True:
            watch.look()
            threading.Event().wait(0.5)
    finally:
        # Once is enough: a second Ctrl-C must not leave half of it running.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        say("stopping")
        fleet.stop()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy", description="A whole fleet on this machine.")
    parser.add_argument("--port", type=int, default=3000, help="where the UI is that only shows (3000)")
    parser.add_argument("--admin-port", type=int, default=3001, help="where the UI is that changes things (3001)")
    return parser.parse_args()


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt


def _variables() -> tuple[dict[str, str], Settings]:
    """What users set, in the environment or in .env, and what stands in for what they did not. Raises SettingsError."""
    found = {name: value for name, value in (dotenv_values(".env") | os.environ).items() if value}
    if "GYM_DATABASE_URL" in found:
        say("GYM_DATABASE_URL is not used: this fleet has a Postgres of its own")
    theirs = dotenv_values(DEPLOY / ".env.example").keys() - _NOT_HERE
    variables = {name: found[name] for name in theirs if name in found}
    settings = load_settings(_env_file=None, **{"GYM_HOME": found.get("GYM_HOME", ".gym"), **variables})
    if not settings.llm and not settings.openai_api_key:
        say("no LLM is configured (OPENAI_API_KEY): answers come from local rules, GYM_LLM=offline")
        variables["GYM_LLM"] = "offline"
    else:
        settings.require_llm()
    if not settings.sources:
        sample = Path(str(files("gym_enrichment"))) / "sample"
        variables["GYM_SOURCES"] = f"{sample / 'gyms.jsonl'},{sample / 'reviews.jsonl'}"
        say("GYM_SOURCES is not set: raw_gyms and raw_reviews take in the sample of 12 gyms")
    else:
        variables["GYM_SOURCES"] = ",".join(map(_from_anywhere, settings.sources))
    # The processes work in a folder of their own.
    return variables | {name: _from_anywhere(variables[name]) for name in _PATHS if name in variables}, settings


def _from_anywhere(source: str) -> str:
    return source if "://" in source else str(Path(source).absolute())


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Nobody else runs a fleet on this home until the context ends. Raises RuntimeError."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise RuntimeError(
                f"a fleet runs on {home} already (pid {lock.read()}): stop it, or set GYM_HOME to another folder"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _refuse_taken(option: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            flag = "--" + option.lower().replace("_", "-")
            raise RuntimeError(
                f"port {port} cannot be used ({error.strerror}): choose another with"
                f" `make fleet {option}=...` (python -m deploy {flag} ...)"
            ) from None


def _set_password(variables: dict[str, str]) -> str:
    """A new password for every start; the fleet gets only its hash."""
    password = secrets.token_urlsafe(12)
    # By standard input: everybody on the machine sees arguments.
    hashed = subprocess.run(
        ["caddy", "hash-password"], input=password + "\n", check=True, capture_output=True, text=True
    ).stdout.strip()
    variables |= {"ADMIN_USER": "admin", "ADMIN_PASSWORD_HASH": hashed}
    return password


def _introduce(fleet: Fleet, password: str | None) -> None:
    """What runs where, and what to do first."""
    environment = fleet.home / "environment"
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in fleet.environment.items()]
    environment.write_text("".join(lines), encoding="utf-8")
    rows = [[member.name, str(member.process.pid), fleet.address(member), member.log] for member in fleet.members]
    print_table("The fleet", ["process", "pid", "address", "log"], rows)
    admin = f"http://127.0.0.1:{fleet.admin_port}"
    if password is None:
        who = "Caddy is not installed: no password is asked, whoever is on this machine may change things"
    else:
        who = f"user admin, password {password} (of this start only)"
    print(
        f"""
Look:    http://127.0.0.1:{fleet.read_port} (read-only)
Change:  {admin} ({who})

First:   1. Open {admin}/assets/raw_gyms, Materialize; then raw_reviews.
         2. Open {admin}/automation and switch new_gyms_sensor on: it gives new gyms a batch, and has it enriched.
         3. Look at {admin}/assets/gym_enrichments: the batch turns green.
In a shell, the same fleet:
         . {shlex.quote(str(environment))}
         gym-enrichment stats

Data:    {fleet.home}, databases in {fleet.postgres.home.parent}; both are found again at the next start.
Ctrl-C stops everything."""
    )


if __name__ == "__main__":
    sys.exit(main())
