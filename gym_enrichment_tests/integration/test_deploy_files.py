"""The files of deploy/ agree with each other and with the settings, and the tools that read them accept them."""

import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from deploy.fleet import DEPLOY, Fleet
from gym_enrichment.settings import Settings

BIN = Path(sys.executable).parent
ROOT = DEPLOY.parent
COMPOSE = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
EXAMPLE = dotenv_values(DEPLOY / ".env.example")
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
INSTANCE = yaml.safe_load((DEPLOY / "dagster.yaml").read_text(encoding="utf-8"))
HELM = yaml.safe_load((DEPLOY / "helm-values.yaml").read_text(encoding="utf-8"))
PLACEHOLDERS = set(re.findall(r"\$\{(\w+)", COMPOSE))


def compose(command: str, env: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [BIN / "docker-compose", "-f", DEPLOY / "compose.yaml", "--env-file", env, command],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
        check=False,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Docker Compose makes of compose.yaml for someone who filled in .env.example."""
    env = tmp_path_factory.mktemp("compose") / "env"
    filled = {**EXAMPLE, "POSTGRES_PASSWORD": "secret", "ADMIN_PASSWORD_HASH": "hash"}
    env.write_text("".join(f"{name}={value}\n" for name, value in filled.items()))
    found = compose("config", env)
    assert found.returncode == 0, found.stderr
    assert "level=warning" not in found.stderr
    parsed: dict[str, Any] = yaml.safe_load(found.stdout)
    return parsed


def test_compose_without_secrets_is_refused() -> None:
    refused = compose("config", DEPLOY / ".env.example")
    assert refused.returncode != 0
    assert "see deploy/.env.example" in refused.stderr


def test_the_example_names_what_compose_asks_for(tmp_path: Path) -> None:
    """No variable that nobody reads, and none to fill in that nobody tells of; the others are places of a machine."""
    places = set(Fleet(tmp_path, {}).variables)
    assert EXAMPLE.keys() <= PLACEHOLDERS
    assert PLACEHOLDERS - EXAMPLE.keys() <= places


def test_every_setting_reaches_the_pipeline(project: dict[str, Any]) -> None:
    names = {field.alias for field in Settings.model_fields.values()}
    for service in ("migrate", "code-server", "worker-optimized", "worker-default"):
        assert names <= project["services"][service]["environment"].keys(), service


def test_our_services_are_confined_and_checked(project: dict[str, Any]) -> None:
    ours = {name: service for name, service in project["services"].items() if "build" in service}
    assert len(ours) == 7
    for name, service in ours.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "ports" not in service, name
        assert name == "migrate" or {"healthcheck", "mem_limit"} <= service.keys(), name
    published = {name: service["ports"] for name, service in project["services"].items() if "ports" in service}
    assert published.keys() == {"proxy"}
    assert {port["host_ip"] for port in published["proxy"]} == {"127.0.0.1"}


def test_secrets_have_no_default() -> None:
    secrets = {name for name in PLACEHOLDERS if re.search("KEY|PASSWORD|DATABASE_URL|BROKER|WEBHOOK", name)}
    assert len(secrets) == 8
    for name in secrets:
        assert set(re.findall(rf"\$\{{{name}(:[-?][^}}]*)\}}", COMPOSE)) <= {":-", ":?see deploy/.env.example"}, name


def test_the_dockerfile_is_accepted() -> None:
    linted = subprocess.run([BIN / "hadolint", DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout


def test_the_image_is_pinned_and_runs_as_nobody_special() -> None:
    base = re.search(r"^ARG PYTHON_IMAGE=python:(\d+\.\d+)\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    assert base
    assert f">={base[1]}" in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${PYTHON_IMAGE}"}
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    assert "--constraint constraints.txt" in DOCKERFILE
    assert not re.search("KEY|PASSWORD|TOKEN|_URL", DOCKERFILE)


def test_what_the_image_copies_is_there_and_nothing_else_is_sent() -> None:
    ignored, *kept = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert ignored == "*"
    sent = [line.removeprefix("!") for line in kept if line.startswith("!")]
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sources = {source for line in copies for source in line.split()}
    assert sources == set(sent)
    assert all((ROOT / source).exists() for source in sources)
    assert not any(fnmatch(source, "*.env*") for source in sources)


def test_helm_has_the_instance_of_compose() -> None:
    launcher = INSTANCE["run_launcher"]
    daemon = HELM["dagsterDaemon"]
    assert HELM["runLauncher"]["config"]["customRunLauncher"] == launcher
    assert HELM["computeLogManager"]["type"] == INSTANCE["compute_logs"]["class"]
    assert snake(daemon["runMonitoring"]) == INSTANCE["run_monitoring"]
    assert snake(daemon["runRetries"]) == INSTANCE["run_retries"]
    assert snake(daemon["runCoordinator"]["config"]["queuedRunCoordinator"]) == INSTANCE["run_coordinator"]["config"]
    concurrency = {name: value for name, value in HELM["concurrency"].items() if name != "enabled"}
    assert snake(concurrency) == INSTANCE["concurrency"]
    assert (
        snake({name: value for name, value in HELM["retention"].items() if name != "enabled"}) == INSTANCE["retention"]
    )
    assert snake(HELM["additionalInstanceConfig"]) == {"nux": INSTANCE["nux"]}


def test_helm_has_the_workers_of_compose(project: dict[str, Any]) -> None:
    deployments = {item["metadata"]["name"]: item for item in HELM["extraManifests"] if item["kind"] == "Deployment"}
    assert deployments.keys() == {"gym-worker-optimized", "gym-worker-default"}
    for name, deployment in deployments.items():
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        service = project["services"][name.removeprefix("gym-")]
        assert [*container["command"], *container["args"]] == service["command"]
        assert container["image"] == ":".join(HELM["dagsterDaemon"]["image"][part] for part in ("repository", "tag"))


def test_only_what_runs_our_code_is_given_the_key_on_kubernetes() -> None:
    for part in (HELM["dagsterWebserver"], HELM["dagsterDaemon"]):
        assert part["envSecrets"] == [{"name": "gym-broker"}]


def snake(values: Any) -> Any:
    """Helm's names as Dagster's."""
    if isinstance(values, list):
        return [snake(value) for value in values]
    if not isinstance(values, dict):
        return values
    return {re.sub("([A-Z])", lambda found: "_" + found[0].lower(), name): snake(v) for name, v in values.items()}
