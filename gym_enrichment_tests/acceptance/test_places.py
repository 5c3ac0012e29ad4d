"""Google Places as users meet it: the command line, and Dagster's job and schedule."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from sqlalchemy import ColumnElement, Table, func, select

from gym_enrichment.cli import main
from gym_enrichment.definitions import build_definitions
from gym_enrichment.resources import GymPipeline
from gym_enrichment.storage.tables import places, reviews
from gym_enrichment_tests.acceptance.conftest import CLI, User, new_user, wait_for
from gym_enrichment_tests.places_server import KEY, PlacesServer, World, place_id

CENTRE = "36.60,2.90,36.86,3.30"
DETAILS = "Place Details Enterprise + Atmosphere"


def gyms(count: int) -> World:
    return World({place_id(number): (36.75, 3.05 + number / 10_000) for number in range(count)})


@pytest.fixture
def server() -> Iterator[PlacesServer]:
    with PlacesServer(gyms(6)) as running:
        yield running


@pytest.fixture
def user(tmp_path: Path, server: PlacesServer) -> User:
    return new_user(tmp_path / "user", GOOGLE_PLACES_API_KEY=KEY, GYM_PLACES_URL=server.url)


def test_from_an_area_to_gyms_with_the_cost_before_and_after(user: User, server: PlacesServer) -> None:
    server.world.vanished = {place_id(5)}
    before = user.cli("places", "discover", "--area", CENTRE, "--dry-run", "--json").succeeded().json
    assert before["areas_to_search"] == 1
    assert before["cost_usd_at_most"] == 0
    assert not server.asked

    found = user.cli("places", "discover", "--area", CENTRE, "--json").succeeded()
    assert (found.json["new"], found.json["due"], found.json["cost_usd"]) == (6, 6, 0)
    assert "for $0.15" in found.err

    server.forget()
    expected = user.cli("places", "refresh", "--dry-run").succeeded()
    for shown in (DETAILS, "reviews.originalText", "businessStatus"):
        assert shown in expected.out.replace("\n", " ")
    assert "$0.15 at list price" in expected.err
    assert not server.asked

    done = user.cli("places", "refresh", "--json").succeeded().json
    assert (done["fetched"], done["gone"], done["due"]) == (5, 1, 0)
    assert done["gyms"] == {"new": 5, "updated": 0, "unchanged": 0, "quarantined": 0}
    # Whether Google charges for "not found" it does not say: it counts.
    assert done["requests"] == {DETAILS: {"requests": 6, "charged": 6, "cost_usd": 0.15}}

    known = user.cli("places", "show", "--json").succeeded().json
    assert known["states"] == {"current": 5, "gone": 1}
    assert [row["place_id"] for row in known["reasons"]] == [place_id(5)]
    assert known["requests_this_month"][DETAILS]["cost_usd"] == 0.15

    shown = user.cli("places", "show").succeeded().out
    assert "NOT_FOUND" in shown
    for file in user.folder.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes()


def test_ctrl_c_stops_without_losing_what_was_answered(user: User, server: PlacesServer) -> None:
    user.cli("places", "discover", "--area", CENTRE).succeeded()
    server.fault = lambda what, _before: "timeout" if what in {place_id(4), place_id(5)} else None
    log = user.folder / "log"
    process = user.start([*CLI, "places", "refresh"], log)
    wait_for("all but two details", lambda: count(user, places, places.c.state == "answered") == 4)
    wait_for("the others", lambda: sum(asked.outcome == "timeout" for asked in server.asked) == 2)
    process.send_signal(signal.SIGINT)

    assert process.wait(30) == 130
    said = log.read_text()
    assert "the same command goes on from here" in said
    assert "Traceback" not in said
    server.fault = lambda _what, _before: None
    assert user.cli("places", "refresh", "--json").succeeded().json["gyms"]["new"] == 4
    assert set(server.good_details().values()) == {1}


def count(user: User, table: Table, *where: ColumnElement[bool]) -> int:
    with user.database.read() as connection:
        return connection.execute(select(func.count()).select_from(table).where(*where)).scalar_one()


def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *arguments: str, **variables: str) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GYM_HOME", str(tmp_path / "home"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return CliRunner().invoke(main, ["places", *arguments])


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (["discover", "--area", "Alger"], {}, "GOOGLE_PLACES_API_KEY is not set"),
        (["refresh"], {}, "GOOGLE_PLACES_API_KEY is not set"),
        (["discover"], {}, "give --area, or set GYM_PLACES_AREAS"),
        (["discover", "--area", "1,2,3"], {}, "expected four"),
        (["discover"], {"GYM_PLACES_AREAS": "Alger; 5,6"}, "GYM_PLACES_AREAS"),
        (["refresh"], {"GYM_PLACES_URL": "ftp://somewhere"}, "GYM_PLACES_URL"),
        (["refresh"], {"GYM_PLACES_URL": "http://user:pass@somewhere"}, "GYM_PLACES_URL"),
    ],
)
def test_wrong_use_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], variables: dict[str, str], words: str
) -> None:
    found = invoke(monkeypatch, tmp_path, *arguments, **variables)
    assert found.exit_code == 2
    assert words in found.output.replace("\n", " ")
    assert "pass@" not in found.output


def test_a_key_that_google_refuses_is_wrong_configuration_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: PlacesServer
) -> None:
    wrong = {"GOOGLE_PLACES_API_KEY": "AIza-wrong", "GYM_PLACES_URL": server.url}
    found = invoke(monkeypatch, tmp_path, "discover", "--area", CENTRE, **wrong)
    assert found.exit_code == 2
    assert "API_KEY_INVALID" in found.output
    assert "AIza-wrong" not in found.output


def test_a_limit_of_ours_is_an_outcome_and_failures_are_exit_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: PlacesServer
) -> None:
    ours = {"GOOGLE_PLACES_API_KEY": KEY, "GYM_PLACES_URL": server.url, "GYM_PLACES_AREAS": f"Atlantis;{CENTRE}"}
    found = invoke(monkeypatch, tmp_path, "discover", **ours)
    assert found.exit_code == 1
    assert "area Atlantis: Google Places knows no place of this name" in found.output
    found = invoke(monkeypatch, tmp_path, "refresh", "--json", GYM_PLACES_BUDGET_MONTH_USD="0.06")
    assert found.exit_code == 0
    # A look for Atlantis cost 0.032; one place more would be too much for two.
    assert json.loads(found.stdout)["fetched"] == 1
    assert "GYM_PLACES_BUDGET_MONTH_USD=0.06 is reached: the next run goes on from here" in found.stderr


def test_dagster_discovers_and_refreshes_and_shows_the_figures(user: User, server: PlacesServer) -> None:
    settings = user.with_(GYM_PLACES_AREAS=CENTRE).settings
    definitions = build_definitions(GymPipeline(settings))
    with user.instance() as instance:
        result = definitions.resolve_job_def("refresh_places").execute_in_process(instance=instance)

        assert result.success
        figures = {
            name: {key: value.value for key, value in latest(instance, name).items()}
            for name in ("google_places", "raw_gyms", "raw_reviews")
        }
    assert figures["google_places"] | {"requests_this_month": None} == {
        "new": 6,
        "fetched": 6,
        "gone": 0,
        "set_aside": 0,
        "failed": 0,
        "due": 0,
        "cost_usd": 0.15,
        "stopped": "no",
        "state_current": 6,
        "requests_this_month": None,
    }
    costs = {row.data["sku"]: row.data["cost_usd"] for row in figures["google_places"]["requests_this_month"].records}
    assert costs == {DETAILS: 0.15, "Text Search Essentials (IDs Only)": 0}
    assert figures["raw_gyms"]["dagster/row_count"] == figures["raw_gyms"]["google_places_current"] == 6
    assert figures["raw_reviews"]["new"] == count(user, reviews) == 12


def latest(instance: dg.DagsterInstance, name: str) -> dict[str, Any]:
    event = instance.get_latest_materialization_event(dg.AssetKey(name))
    assert event is not None
    assert event.asset_materialization is not None
    return dict(event.asset_materialization.metadata)


def test_the_schedule_is_off_by_default_and_asks_nothing_without_a_key(user: User) -> None:
    with user.instance() as instance:
        for someone, runs in ((user, 1), (user.without("GOOGLE_PLACES_API_KEY"), 0)):
            definitions = build_definitions(GymPipeline(someone.settings))
            schedule = definitions.resolve_schedule_def("places_schedule")
            assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
            resources = {"gym_pipeline": (definitions.resources or {})["gym_pipeline"]}
            with dg.build_schedule_context(instance=instance, resources=resources) as context:
                assert len(schedule.evaluate_tick(context).run_requests or []) == runs
