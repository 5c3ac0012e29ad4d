"""`gym-enrichment doctor`: checks what a run needs and says how to mend what is wrong."""

import ipaddress
import os
import shlex
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gym_enrichment.llm.endpoint import describe_endpoint, open_endpoint
from gym_enrichment.settings import LlmChoice, Settings, SettingsError, load_settings
from gym_enrichment.storage.engine import DatabaseError, head_revision
from gym_enrichment.storage.private_files import others_may_read


@dataclass(frozen=True)
class Finding:
    """One check: whether it is well, what was found, and how to mend it if not.

    `mend` of a check that is well is a warning: it works, but somebody should look at it.
    """

    check: str
    ok: bool
    found: str
    mend: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def examine() -> list[Finding]:
    """All checks, in the order in which to mend them. Creates nothing but the embedded database's schema."""
    try:
        settings = load_settings()
    except SettingsError as error:
        return [Finding("settings", False, str(error), "correct the named variable in the environment or in .env")]
    checks: list[Callable[[Settings], Iterator[Finding]]] = [_home, _database, _llm, _dagster, _alerts]
    return [Finding("settings", True, "readable"), *(finding for check in checks for finding in check(settings))]


def _home(settings: Settings) -> Iterator[Finding]:
    home = settings.home.absolute()
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    writable = existing.is_dir() and os.access(existing, os.W_OK)
    if not writable:
        yield Finding("GYM_HOME", False, str(home), "set GYM_HOME to a folder you may write to")
        return
    private = [path for path in (home, home / "gym.db", settings.dagster_home) if path.exists()]
    opened = any(map(others_may_read, private))
    mend = f"other users may read what is there: chmod -R go= {shlex.quote(str(home))}" if opened else ""
    yield Finding("GYM_HOME", True, str(home), mend)


def _database(settings: Settings) -> Iterator[Finding]:
    database = settings.database
    try:
        revision = database.schema_revision()
        if revision is not None or not database.create:
            assert database.engine  # raises what is wrong with the schema
    except DatabaseError as error:
        yield Finding(
            "database", False, str(error), "see the message; `doctor --migrate` creates or updates the schema"
        )
        return
    state = f"schema {revision}" if revision else f"will be created with schema {head_revision()} on first use"
    yield Finding("database", True, f"{database.shown}, {state}")


def _llm(settings: Settings) -> Iterator[Finding]:
    try:
        endpoint = describe_endpoint(settings)
    except SettingsError as error:
        yield Finding("LLM", False, str(error), "set OPENAI_API_KEY, or GYM_LLM=offline")
        return
    if settings.require_llm() is LlmChoice.OFFLINE:
        yield Finding("LLM", True, f"{endpoint.model}: local rules, no key, no model")
        return
    problem = _models_problem(settings)
    found = problem or f"{endpoint.model} at {endpoint.identity}"
    mend = "check OPENAI_API_KEY, OPENAI_BASE_URL and the network" if problem else unencrypted(endpoint.base_url)
    yield Finding("LLM", problem is None, found, mend)


def unencrypted(base_url: str | None) -> str:
    """A warning if the key and the reviews travel unencrypted to another machine."""
    parts = urlsplit(base_url or "")
    if parts.scheme != "http" or _is_loopback(parts.hostname or ""):
        return ""
    return "key and reviews travel unencrypted: use https:// in OPENAI_BASE_URL, or trust the network between"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _models_problem(settings: Settings) -> str | None:
    """What a request that costs nothing says: the list of models."""
    import openai

    with open_endpoint(settings) as endpoint:
        client = openai.OpenAI(
            api_key=endpoint.api_key.get_secret_value(),
            base_url=endpoint.base_url,
            max_retries=0,
            http_client=openai.DefaultHttpxClient(timeout=10, follow_redirects=False),
        )
        try:
            client.models.list()
        except openai.NotFoundError:
            return None  # a server without a list of models can still answer prompts
        except openai.APIStatusError as error:
            return f"{endpoint.identity} answers HTTP {error.status_code} to a request for its models"
        except openai.APIConnectionError:
            return f"no connection to {endpoint.identity}"
        return None


def _dagster(settings: Settings) -> Iterator[Finding]:
    wanted = settings.dagster_home
    current = os.environ.get("DAGSTER_HOME")
    same = current is not None and Path(current).absolute() == wanted
    yield Finding(
        "DAGSTER_HOME",
        same,
        current or "not set",
        ""
        if same
        else f"plain `dagster` commands would use another instance: export DAGSTER_HOME={shlex.quote(str(wanted))}",
    )
    configuration = wanted / "dagster.yaml"
    if not configuration.exists():
        yield Finding("Dagster instance", True, f"{wanted} will be made on first use")
        return
    import dagster as dg

    try:
        with dg.DagsterInstance.from_config(str(wanted)) as instance:
            quiet = not instance.telemetry_enabled
    except Exception as error:  # whatever a hand-edited dagster.yaml makes Dagster raise
        yield Finding("Dagster instance", False, f"{configuration}: {type(error).__name__}", f"correct {configuration}")
        return
    yield Finding(
        "Dagster instance",
        True,
        f"{wanted}, telemetry {'off' if quiet else 'on'}",
    )


def _alerts(settings: Settings) -> Iterator[Finding]:
    configured = settings.alert_webhook is not None
    yield Finding("alerts", True, "GYM_ALERT_WEBHOOK is set (nothing was posted)" if configured else "none are sent")
