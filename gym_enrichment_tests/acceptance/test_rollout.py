"""A fortnight of a rollout: the clock is moved, the database, the server, the runs and the daemon's ticks are real."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import time_machine
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import launch_scheduled_runs
from sqlalchemy import select

from gym_enrichment.domain.experiments import VariantSpec
from gym_enrichment.domain.rollout import DEFAULT_STEPS, Plan, Step
from gym_enrichment.launching import run_batches
from gym_enrichment.pipeline.choosing import choose_batches
from gym_enrichment.pipeline.experimenting import begin_rollout, move_rollout, resume_rollout, version_in_force
from gym_enrichment.settings import Settings, load_settings
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.experiments import ExperimentVersion, experiment_history
from gym_enrichment.storage.tables import gym_directory
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good
from gym_enrichment_tests.raw_data import ingest_gyms

GYMS = 600
OLD, NEW = VariantSpec("combined", "combined"), VariantSpec("nano", "combined", "gpt-4.1-nano")
_INSTANCE = """
run_launcher:
  module: dagster._core.launcher.sync_in_memory_run_launcher
  class: SyncInMemoryRunLauncher
run_coordinator:
  module: dagster._core.run_coordinator
  class: DefaultRunCoordinator
telemetry:
  enabled: false
"""
_LOG = logging.getLogger("fortnight")


@dataclass
class Fortnight:
    """Days that pass at once: the daemon's schedules and sensors tick, and their runs run in this process."""

    settings: Settings
    server: LlmServer
    clock: time_machine.Traveller
    context: Any
    iteration_times: dict[str, Any] = field(default_factory=dict)

    def begin(self) -> None:
        """Everything is enriched the old way, then the rollout begins and its first gyms are asked about."""
        ingest_gyms(self.settings.database, self.settings.home / "source", GYMS)
        report = run_batches(self.settings, choose_batches(self.settings).batch_ids)
        assert report.figures["enriched"] == GYMS, report.as_dict()
        plan = Plan(OLD.name, NEW.name, DEFAULT_STEPS)
        begin_rollout(self.settings.database, "to nano", plan, [OLD, NEW], "test", "cheaper")
        self._sense()

    def day(self) -> ExperimentVersion:
        """One day later."""
        self.clock.shift(timedelta(days=1))
        now = datetime.now(UTC)
        list(launch_scheduled_runs(self.context, _LOG, now, self.iteration_times, max_catchup_runs=1))
        self._sense()
        self.check()
        return version_in_force(self.settings.database)

    def _sense(self) -> None:
        while True:
            # The sensors of our code location look twice a minute at most.
            self.clock.shift(timedelta(minutes=2))
            runs = self.context.instance.get_runs_count()
            list(execute_sensor_iteration(self.context, _LOG, None, None))
            if self.context.instance.get_runs_count() == runs:
                return

    def check(self) -> None:
        """Nobody was paid for twice; every gym is published, with its own variant wherever that answered."""
        assert set(self.paid().values()) <= {1}
        published, experiment = self.published(), version_in_force(self.settings.database).experiment
        assert len(published) == GYMS
        for place_id, variant in published.items():
            assert variant == experiment.variant_of(place_id) or (place_id, NEW.name) not in self.paid()

    def paid(self) -> Counter[tuple[str, str]]:
        """How often each gym got a good answer with each variant."""
        return Counter(
            (f"gym-{ask.name[-4:]}", NEW.name if ask.body["model"] == NEW.model else OLD.name)
            for ask in self.server.asks
            if self.server.script(ask).content.startswith("{")
        )

    def published(self) -> dict[str, str | None]:
        with self.settings.database.read() as connection:
            query = select(gym_directory.c.place_id, gym_directory.c.variant)
            return {row.place_id: row.variant for row in connection.execute(query)}

    def asked_with_new(self) -> set[str]:
        return {f"gym-{ask.name[-4:]}" for ask in self.server.asks if ask.body["model"] == NEW.model}

    def history(self) -> list[tuple[str, float]]:
        """What was done, and the share of the new variant from then on."""
        with self.settings.database.read() as connection:
            versions = experiment_history(connection, "to nano")
        return [(version.action, round(version.experiment.shares[NEW.name], 2)) for version in versions]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[Ask], Reply]], Fortnight]]:
    """Begins a fortnight with a server that answers as a script says."""
    home = tmp_path / "home"
    (home / "dagster").mkdir(parents=True)
    (home / "dagster" / "dagster.yaml").write_text(_INSTANCE)
    environment = {
        "GYM_HOME": str(home),
        "DAGSTER_HOME": str(home / "dagster"),
        "OPENAI_API_KEY": "test",
        "GYM_LLM": "openai",
        "GYM_LLM_MODEL": "gpt-4o-mini",
    }
    with (
        LlmServer() as server,
        time_machine.travel(datetime.now(UTC) + timedelta(days=1), tick=True) as clock,
        monkeypatch.context() as patch,
    ):
        for name, value in (environment | {"OPENAI_BASE_URL": server.base_url}).items():
            patch.setenv(name, value)
        settings = load_settings()
        settings.database.migrate()
        target = ModuleTarget(
            "gym_enrichment.definitions", attribute=None, working_directory=None, location_name="gyms"
        )
        with (
            dg.DagsterInstance.from_config(str(home / "dagster")) as instance,
            create_test_daemon_workspace_context(target, instance) as context,
        ):
            (location,) = context.create_request_context().code_locations
            (repository,) = location.get_repositories().values()
            instance.start_schedule(repository.get_schedule("rollout_schedule"))
            instance.start_sensor(repository.get_sensor("moved_gyms_sensor"))

            def begun(script: Callable[[Ask], Reply]) -> Fortnight:
                server.script = script
                fortnight = Fortnight(settings, server, clock, context)
                fortnight.begin()
                return fortnight

            yield begun


def test_a_healthy_rollout_reaches_everybody_in_seven_days(begin: Callable[..., Fortnight]) -> None:
    fortnight = begin(good)
    shares, having = [], [fortnight.asked_with_new()]
    for _ in range(8):
        version = fortnight.day()
        shares.append(round(version.experiment.shares[NEW.name], 2))
        moved = {place_id for place_id in fortnight.published() if version.experiment.variant_of(place_id) == NEW.name}
        assert fortnight.asked_with_new() == moved, "exactly the moved gyms were asked about"
        assert having[-1] <= moved, "no gym went back"
        having.append(moved)
    assert shares == [0.1, 0.25, 0.25, 0.5, 0.5, 0.75, 1.0, 1.0]
    assert fortnight.history() == [
        ("begin", 0.1),
        ("advance", 0.25),
        ("advance", 0.5),
        ("advance", 0.75),
        ("advance", 1.0),
        ("finish", 1.0),
    ]
    assert len(fortnight.server.asks) == 2 * GYMS


def test_invalid_answers_pause_it_at_its_first_step(begin: Callable[..., Fortnight]) -> None:
    seen: set[str] = set()

    def script(ask: Ask) -> Reply:
        if ask.body["model"] == NEW.model and int(ask.name[-4:]) % 12 == 0 and len(ask.body["messages"]) == 2:
            seen.add(ask.name)
            return Reply("no JSON at all")
        return good(ask)

    fortnight = begin(script)
    versions = [fortnight.day() for _ in range(4)]
    assert seen
    assert fortnight.history() == [("begin", 0.1), ("pause", 0.1)]
    assert versions[0].changed_by == "guardrails"
    assert versions[0].reason.startswith("invalid_answers is 0.0")
    assert [finding["name"] for finding in versions[0].guardrails if not finding["holds"]] == ["invalid_answers"]

    resume_rollout(fortnight.settings.database, "test", "the model was mended")
    fortnight.day()
    fortnight.day()
    assert fortnight.history()[2:] == [("resume", 0.1), ("advance", 0.25)]


def test_one_that_breaks_at_half_goes_back_to_a_quarter(begin: Callable[..., Fortnight]) -> None:
    broken = False

    def script(ask: Ask) -> Reply:
        return Reply(status=400) if broken and ask.body["model"] == NEW.model else good(ask)

    fortnight = begin(script)
    while fortnight.day().experiment.shares[NEW.name] < 0.25:
        pass
    quarter = fortnight.asked_with_new()
    broken = True
    before = len(fortnight.server.asks)
    for _ in range(6):
        fortnight.day()

    assert fortnight.history() == [("begin", 0.1), ("advance", 0.25), ("advance", 0.5), ("roll_back", 0.25)]
    assert version_in_force(fortnight.settings.database).reason.startswith("failure_rate is 1: above its bound")
    assert {gym for gym, variant in fortnight.published().items() if variant == NEW.name} == quarter
    refused = Counter(ask.name for ask in fortnight.server.asks[before:])
    assert set(refused.values()) == {1}
    assert len(refused) == pytest.approx(GYMS / 4, rel=0.3)


def test_two_schedulers_at_once_take_one_step(database: Database, tmp_path: Path) -> None:
    ingest_gyms(database, tmp_path, 3)
    plan = Plan(OLD.name, NEW.name, (Step(1 / 4096, 0), Step(1.0, 1)))
    begin_rollout(database, "x", plan, [OLD, NEW], "test", "begin")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: move_rollout(database), range(8)))
    with database.read() as connection:
        assert [version.action for version in experiment_history(connection, "x")] == ["begin", "advance"]
