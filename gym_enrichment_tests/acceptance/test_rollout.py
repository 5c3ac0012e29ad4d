"""A simulated fortnight: the clock is the test's; database, server, daemon ticks and runs are real."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import dagster as dg
import pytest
import time_machine
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.scheduler.instigation import TickStatus
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import launch_scheduled_runs
from sqlalchemy import func, select

from gym_enrichment.commands.arguments import parse_variant
from gym_enrichment.domain.experiments import Experiment
from gym_enrichment.domain.rollout import DEFAULT_STEPS, GUARDRAILS, Plan, Step
from gym_enrichment.launching import run_batches
from gym_enrichment.pipeline.experimenting import (
    begin_experiment,
    begin_rollout,
    end_experiment,
    move_rollout,
    resume_rollout,
)
from gym_enrichment.storage.engine import Database
from gym_enrichment.storage.experiments import ExperimentVersion, experiment_history, latest_version
from gym_enrichment.storage.tables import gym_directory, ledger
from gym_enrichment_tests.acceptance.conftest import User, asking, new_user
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good_content

MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)
GYMS = 600
OLD = parse_variant("old=combined,model=gpt-4o-mini")
NEW = parse_variant("new=combined,model=gpt-4.1-mini")
# A token of the new model costs 2.7 times the old one's: it must do with fewer, or the guardrail of costs breaks.
TOKENS = {
    OLD.model: {"prompt_tokens": 1000, "completion_tokens": 100},
    NEW.model: {"prompt_tokens": 400, "completion_tokens": 40},
}
# How long a server in the same process takes says nothing about a model.
PLAN = Plan(OLD.name, NEW.name, DEFAULT_STEPS, [rail for rail in GUARDRAILS if rail.name != "latency_p95"])
LOGGER = logging.getLogger("fortnight")

# Dagster keeps definitions by the file they are in: one of each test's own reads this test's environment.
LOCATION = """
from gym_enrichment.definitions import build_definitions
from gym_enrichment.resources import GymPipeline

defs = build_definitions(GymPipeline())
"""
# Runs are executed in this process, where the clock is the test's.
INSTANCE = """
run_launcher: {module: dagster._core.launcher.sync_in_memory_run_launcher, class: SyncInMemoryRunLauncher}
run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}
telemetry: {enabled: false}
"""


def answer(ask: Ask) -> Reply:
    return Reply(good_content(), usage=TOKENS[ask.body["model"]])


@dataclass
class Fortnight:
    """A deployment whose rollout began on Monday at nine, and its daemon, which ticks at 9:15 and 10:15 each day."""

    user: User
    server: LlmServer
    clock: time_machine.Traveller
    daemon: WorkspaceProcessContext

    def __post_init__(self) -> None:
        repository = self.daemon.create_request_context().get_code_location("gyms").get_repository("__repository__")
        self._sensor = repository.get_sensor("moved_gyms_sensor")
        self.daemon.instance.start_schedule(repository.get_schedule("rollout_schedule"))
        self.daemon.instance.start_sensor(self._sensor)

    def day(self, number: int) -> ExperimentVersion:
        """Both looks of a day; the version in force in the evening."""
        for minutes in (15, 75):
            self.look_at(number, minutes)
        return self.version

    def look_at(self, day: int, minutes: int) -> None:
        """A tick of rollout_schedule at this time, and so many of moved_gyms_sensor that it wants nothing more."""
        self.clock.move_to(MONDAY + timedelta(days=day, minutes=minutes))
        ticks = launch_scheduled_runs(self.daemon, LOGGER, datetime.now(UTC), iteration_times={})
        assert not [error for error in ticks if error]
        while self._sense() is not TickStatus.SKIPPED:
            pass

    def _sense(self) -> TickStatus:
        self.clock.shift(timedelta(seconds=31))
        assert not [error for error in execute_sensor_iteration(self.daemon, LOGGER, None, None) if error]
        origin = self._sensor.get_remote_origin_id()
        [tick] = self.daemon.instance.get_ticks(origin, self._sensor.selector_id, limit=1)
        assert tick.status in {TickStatus.SUCCESS, TickStatus.SKIPPED}, tick.error
        return tick.status

    @property
    def version(self) -> ExperimentVersion:
        with self.user.database.read() as connection:
            latest = latest_version(connection)
        assert latest is not None
        return latest

    @property
    def history(self) -> list[tuple[str, float, str]]:
        """What was done, the new variant's share from then on, and by whom."""
        with self.user.database.read() as connection:
            versions = experiment_history(connection, "old-to-new")
        return [(version.action, version.experiment.shares[NEW.name], version.changed_by) for version in versions]

    def assigned(self) -> set[str]:
        """The gyms that have the new variant."""
        experiment = self.version.experiment
        return {gym for gym in map(place_id, range(1, GYMS + 1)) if experiment.variant_of(gym) == NEW.name}

    def published(self) -> set[str]:
        """The gyms that are published with the new variant; all others with the old one."""
        with self.user.database.read() as connection:
            rows = connection.execute(select(gym_directory.c.place_id, gym_directory.c.variant)).all()
        assert len(rows) == GYMS
        assert {row.variant for row in rows} <= {OLD.name, NEW.name}
        return {row.place_id for row in rows if row.variant == NEW.name}

    def asked(self) -> Counter[str]:
        """How often each gym was asked about with the new model."""
        names = (ask.name for ask in self.server.asks if ask.body["model"] == NEW.model)
        return Counter(f"gym-{name.removeprefix('Salle ')}" for name in names)

    def most_calls(self, *outcomes: str) -> int:
        """Most calls that are booked for one gym and variant, of all outcomes or of some."""
        calls = select(func.count().label("calls")).select_from(ledger).group_by(ledger.c.place_id, ledger.c.variant)
        calls = (calls.where(ledger.c.outcome.in_(outcomes)) if outcomes else calls).subquery()
        with self.user.database.read() as connection:
            return int(connection.execute(select(func.max(calls.c.calls))).scalar_one())


def place_id(number: int) -> str:
    return f"gym-{number:04d}"


@contextmanager
def daemon(user: User) -> Iterator[WorkspaceProcessContext]:
    """What Dagster's daemon works with, on the user's instance."""
    home, definitions = user.settings.dagster_home, user.folder / "location.py"
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text(INSTANCE)
    definitions.write_text(LOCATION)
    origin = InProcessCodeLocationOrigin(LoadableTargetOrigin(python_file=str(definitions)), location_name="gyms")
    with (
        dg.DagsterInstance.from_config(str(home)) as instance,
        create_test_daemon_workspace_context(InProcessWorkspaceLoadTarget(origin), instance) as context,
    ):
        yield context


@pytest.fixture
def fortnight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fortnight]:
    """Every gym is enriched with the old variant; the rollout of the new one begins."""
    with LlmServer(answer) as server, time_machine.travel(MONDAY - timedelta(days=1), tick=True) as clock:
        user = new_user(tmp_path, **asking(server), GYM_BATCH_SIZE="200", GYM_BATCHES_PER_TICK="2")
        for name in ("GYM_HOME", *user.variables):
            monkeypatch.setenv(name, user.environment[name])
        with daemon(user) as context:
            user.take_in(GYMS)
            begin_experiment(user.database, Experiment.begun("before", [OLD], {OLD.name: 1.0}), "test", "as it was")
            report = run_batches(user.settings, user.make_batches())
            assert (report.error, report.figures["failed"]) == (None, 0)
            end_experiment(user.database, "test", "the rollout begins")
            clock.move_to(MONDAY)
            begin_rollout(user.database, "old-to-new", PLAN, [OLD, NEW], "test", "gpt-4.1-mini reads better")
            yield Fortnight(user, server, clock, context)


def test_a_healthy_rollout_reaches_every_gym_in_seven_days_and_asks_each_once(fortnight: Fortnight) -> None:
    shares, before = [], set[str]()
    for day in range(8):
        shares.append(fortnight.day(day).experiment.shares[NEW.name])
        assigned = fortnight.assigned()
        assert before <= assigned, "no gym goes back"
        assert fortnight.published() == assigned
        assert fortnight.asked() == Counter(assigned), "just the gyms that moved, each once"
        before = assigned
    assert shares == [0.1, 0.1, 0.25, 0.25, 0.5, 0.5, 0.75, 1.0]
    assert len(before) == GYMS
    assert fortnight.version.state == "done"
    assert [action for action, _, _ in fortnight.history] == ["begin", *["advance"] * 4, "finish"]
    assert fortnight.most_calls() == 1
    assert len(fortnight.server.asks) == 2 * GYMS


def test_with_8_percent_invalid_answers_it_pauses_at_the_first_step_until_resumed(fortnight: Fortnight) -> None:
    new_gyms: list[str] = []

    def every_twelfth_first_answer_is_invalid(ask: Ask) -> Reply:
        if ask.body["model"] == NEW.model and ask.name not in new_gyms:
            new_gyms.append(ask.name)
            if len(new_gyms) % 12 == 0:
                return replace(answer(ask), content="{}")
        return answer(ask)

    fortnight.server.script = every_twelfth_first_answer_is_invalid
    paused = fortnight.day(0)
    assert (paused.state, paused.action, paused.changed_by) == ("paused", "pause", "guardrails")
    assert paused.rollout is not None
    assert (paused.rollout.step, paused.experiment.shares[NEW.name]) == (0, 0.1)
    invalid = len(new_gyms) // 12
    share = invalid / (len(new_gyms) + invalid)
    assert paused.reason == (
        f"invalid_answers is {share:.4g}: above its bound 0.03 by {share - 0.03:.4g}, 0 with the old variant"
    )
    for day in range(1, 14):
        fortnight.look_at(day, minutes=15)
        assert fortnight.version == paused
    first_step = fortnight.assigned()
    assert fortnight.published() == first_step == set(fortnight.asked())
    assert fortnight.most_calls("ok") == 1
    assert fortnight.most_calls() == 2, "only an invalid answer is asked for again"

    fortnight.server.script = answer
    resume_rollout(fortnight.user.database, "test", "the prompt was mended")
    shares = [fortnight.day(day).experiment.shares[NEW.name] for day in (14, 15)]
    assert shares == [0.1, 0.25]
    assert first_step < fortnight.assigned() == fortnight.published() == set(fortnight.asked())
    assert fortnight.most_calls("ok") == 1


def test_one_that_breaks_at_50_percent_goes_back_to_25_and_stays_there(fortnight: Fortnight) -> None:
    for day in range(4):
        fortnight.look_at(day, minutes=15)
    at_25 = fortnight.assigned()
    assert fortnight.published() == at_25
    fortnight.server.script = lambda ask: replace(answer(ask), status=400)
    fortnight.look_at(day=4, minutes=15)
    at_50 = fortnight.assigned()
    assert fortnight.version.experiment.shares[NEW.name] == 0.5
    assert at_25 < at_50
    assert fortnight.published() == at_25, "gyms that failed keep what they had"

    fortnight.look_at(day=4, minutes=75)
    back = fortnight.version
    assert (back.state, back.action, back.changed_by) == ("paused", "roll_back", "guardrails")
    assert back.experiment.shares[NEW.name] == 0.25
    assert back.reason == "failure_rate is 1: above its bound 0.01 by 0.99, 0 with the old variant"
    for day in range(5, 14):
        fortnight.look_at(day, minutes=15)
        assert fortnight.version == back
    assert fortnight.assigned() == fortnight.published() == at_25
    assert fortnight.asked() == Counter(at_50), "those that moved and went back were asked once"
    assert fortnight.most_calls() == 1


def test_of_schedulers_that_move_a_rollout_at_once_one_does(database: Database) -> None:
    due = replace(PLAN, steps=[Step(0.1, 0), Step(1.0, 1)])
    others = [Database(database.url, search_path=database.search_path) for _ in range(4)]
    for attempt in range(5):
        name, together = f"attempt-{attempt}", Barrier(len(others))
        begin_rollout(database, name, due, [OLD, NEW], "test", "due at once")
        decisions: list[Any] = []

        def move(scheduler: Database, together: Barrier = together, decisions: list[Any] = decisions) -> None:
            together.wait()
            decisions.append(move_rollout(scheduler))

        threads = [Thread(target=move, args=(scheduler,)) for scheduler in others]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(decisions) == len(others), "none failed"
        assert [decision.action for decision in decisions if decision].count("advance") == 1
        with database.read() as connection:
            versions = experiment_history(connection, name)
        assert [version.action for version in versions] == ["begin", "advance"]
        end_experiment(database, "test", "the next attempt")
    for scheduler in others:
        scheduler.unchecked_engine.dispose()
