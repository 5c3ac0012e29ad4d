"""The command line as its users meet it: real processes, real files, a real HTTP server for the LLM."""

import io
import json
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pandas as pd
import psycopg
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

import gym_enrichment
from deploy.servers import free_port
from gym_enrichment.cli import main
from gym_enrichment.pipeline.exporting import UI_COLUMNS
from gym_enrichment.storage import tables
from gym_enrichment_tests.acceptance.conftest import (
    API_KEY,
    CLI,
    Outcome,
    User,
    asking,
    new_user,
    stop,
    wait_for,
    write_jsonl,
)
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good
from gym_enrichment_tests.raw_data import write_gyms

RUN_KEYS = {
    "gyms",
    "enriched",
    "failed",
    "skipped",
    "llm_calls",
    "cache_hits",
    "prompt_tokens",
    "completion_tokens",
    "cost_usd",
    "review_queries",
    "enrich_seconds",
    "wall_seconds",
    "failures",
}
"""What design.md promises of `run --json`."""

SHARED_WITH_STATS = RUN_KEYS - {"review_queries", "enrich_seconds", "wall_seconds", "failures"}

FORMULA = "=1+1"
GYMS: list[dict[str, Any]] = [
    {"place_id": "gym-a", "name": FORMULA, "city": "Oran", "hours": ["Monday: 6:00 AM – 10:00 PM"], "rating": 4.5},
    {"place_id": "gym-b", "name": 'Atlas; "le" club, d\'Oran', "city": "Oran"},
    {"place_id": "gym-c", "name": "Belvédère 💪", "city": "Alger"},
    {"place_id": "gym-d", "name": "Sans avis", "hours": "Monday: 6:00 AM – 10:00 PM; Tuesday: Closed"},
]
REVIEWS: list[dict[str, Any]] = [
    {
        "review_id": f"r-{gym}-{number}",
        "place_id": f"gym-{gym}",
        "text": f"Vestiaires propres, musculation {gym}{number}.",
    }
    for gym in "abc"
    for number in (1, 2)
]
LOST = {"review_id": "r-lost", "place_id": "nowhere", "text": "Bien."}


def refused(outcome: Outcome, *words: str) -> None:
    """Exit 2, no traceback, and exactly one line that says what is wrong."""
    outcome.failed_with(2)
    errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, outcome.err
    for word in words:
        assert word in errors[0]


# demo ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Demo:
    user: User
    shown: Outcome
    again: Outcome


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    user = new_user(tmp_path_factory.mktemp("demo"))
    return Demo(user, user.cli("demo"), user.cli("demo", "--json"))


def test_demo_in_an_empty_folder_without_a_key_ends_with_the_table_of_enriched_gyms(demo: Demo) -> None:
    out = demo.shown.succeeded().out
    assert "Directory: 12 of 12 gyms" in out
    assert re.search(r"│ failed +│ 0 ", out)
    assert re.search(r"│ enriched +│ 11 ", out)
    assert "Cobalt Forme" in out
    assert re.search(r"│ (yes|no) ", out)


def test_demo_says_that_no_language_model_answers(demo: Demo) -> None:
    assert "offline-extractive" in demo.shown.err
    assert "offline-extractive" not in demo.shown.out


def test_demo_shows_no_warning_of_the_libraries_below(demo: Demo) -> None:
    assert "Warning" not in demo.shown.err


def test_demo_again_asks_nothing_and_answers_in_json(demo: Demo) -> None:
    report = demo.again.succeeded().json
    assert set(report) >= RUN_KEYS
    assert (report["llm_calls"], report["failed"]) == (0, 0)


def test_demo_leaves_nothing_outside_its_home(demo: Demo) -> None:
    assert list(demo.user.work.iterdir()) == []
    assert list((demo.user.folder / "user").iterdir()) == []
    assert [path.name for path in demo.user.home.iterdir()] == ["demo"]


# one life: ingest, run, run again, one more review, run again ------------------------------------------------------


@dataclass(frozen=True)
class Life:
    user: User
    server: LlmServer
    ingested: Outcome
    first: Outcome
    asked_first: list[str]
    stats_first: Outcome
    second: Outcome
    asked_second: list[str]
    third: Outcome
    asked_third: list[str]
    stats_third: Outcome


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with LlmServer() as server:
        user = new_user(tmp_path_factory.mktemp("life"), **asking(server))
        gyms = write_jsonl(user.folder / "files with blanks" / "gyms.jsonl", GYMS)
        reviews = write_jsonl(user.folder / "files with blanks" / "reviews.jsonl", [*REVIEWS, LOST])
        ingested = user.cli("ingest", gyms, reviews, "--json")
        first = user.cli("run", "--json")
        asked_first = sorted(server.names())
        stats_first = user.cli("stats", "--json")
        server.asks.clear()
        second = user.cli("run", "--json")
        asked_second = server.names()
        more = [{"review_id": "r-new", "place_id": "gym-c", "text": "Un sauna depuis peu."}]
        user.cli("ingest", write_jsonl(user.folder / "more.jsonl", more)).succeeded()
        third = user.cli("run", "--json")
        asked_third = server.names()
        stats_third = user.cli("stats", "--json")
        yield Life(
            user,
            server,
            ingested,
            first,
            asked_first,
            stats_first,
            second,
            asked_second,
            third,
            asked_third,
            stats_third,
        )


def test_ingest_reports_what_became_of_every_row(life: Life) -> None:
    assert life.ingested.succeeded().json == {
        "gyms": {"new": 4, "updated": 0, "unchanged": 0, "quarantined": 0},
        "reviews": {"new": 6, "updated": 0, "unchanged": 0, "quarantined": 1},
    }


def test_what_is_in_quarantine_is_shown_with_its_line_and_reason(life: Life) -> None:
    (row,) = life.user.cli("show", "--quarantine", "--json").succeeded().json["quarantine"]
    assert (row["line"], row["kind"]) == (7, "reviews")
    assert row["source"].endswith("reviews.jsonl")
    assert "no gym has this id" in row["reason"]


def test_run_reports_every_promised_figure_as_one_json_object(life: Life) -> None:
    report = life.first.succeeded().json
    assert set(report) >= RUN_KEYS
    assert report["gyms"] == 4
    assert report["enriched"] == report["llm_calls"] == 3
    assert (report["skipped"], report["failed"], report["failures"]) == (1, 0, [])
    assert (report["prompt_tokens"], report["completion_tokens"]) == (3000, 300)
    assert report["review_queries"] == 1
    assert 0 < report["enrich_seconds"] < report["wall_seconds"]


def test_run_asks_the_server_once_about_each_gym_with_review_text(life: Life) -> None:
    assert life.asked_first == sorted(str(gym["name"]) for gym in GYMS[:3])


def test_a_second_run_asks_nothing(life: Life) -> None:
    assert life.second.succeeded().json["llm_calls"] == 0
    assert life.asked_second == []


def test_one_more_review_is_exactly_one_call(life: Life) -> None:
    report = life.third.succeeded().json
    assert report["llm_calls"] == 1
    assert report["cache_hits"] == 2
    assert life.asked_third == ["Belvédère 💪"]


def test_stats_of_the_last_run_are_the_figures_of_run(life: Life) -> None:
    for run, stats in ((life.first, life.stats_first), (life.third, life.stats_third)):
        found, report = stats.succeeded().json["last_run"], run.json
        assert {key: found[key] for key in SHARED_WITH_STATS} == {key: report[key] for key in SHARED_WITH_STATS}


def test_stats_of_all_time_add_up(life: Life) -> None:
    found = life.stats_third.json
    runs = [life.first.json, life.second.json, life.third.json]
    for key in SHARED_WITH_STATS:
        assert found["all_time"][key] == pytest.approx(sum(run[key] for run in runs))
    assert found["variants"]["combined"]["llm_calls"] == sum(found["attempts"].values()) == 4
    assert found["directory"] == {"enriched": 3, "skipped": 1}


def test_stats_are_a_table_for_people(life: Life) -> None:
    out = life.user.cli("stats").succeeded().out
    assert re.search(r"│ llm_calls +│ 1 +│ 4 ", out)
    assert re.search(r"┃ +┃ combined, combined-2, test-model ┃", out)
    assert re.search(r"│ gyms +│ 3 ", out)


def test_stats_for_prometheus_are_the_same_figures(life: Life) -> None:
    out = life.user.cli("stats", "--prometheus").succeeded().out
    assert 'gym_enrichment_gyms{state="enriched"} 3' in out.splitlines()
    attempts = [line for line in out.splitlines() if line.startswith("gym_enrichment_llm_attempts_total{")]
    assert sum(float(line.rsplit(" ", 1)[1]) for line in attempts) == 4


def test_show_gives_one_gym_with_its_evidence(life: Life) -> None:
    out = life.user.cli("show", "gym-c").succeeded().out
    for word in (
        "Belvédère",
        "Espace musculation",
        "Vestiaires",
        "test-model",
        "r-c-1",
        "Vestiaires propres, musculation c1.",
    ):
        assert word in out


def test_show_json_gives_the_enrichment_its_metadata_and_the_reviews_that_are_its_evidence(life: Life) -> None:
    shown = life.user.cli("show", "gym-a", "--json").succeeded().json
    assert (shown["place_id"], shown["name"], shown["state"]) == ("gym-a", FORMULA, "enriched")
    (enrichment,) = shown["enrichments"]
    assert (enrichment["model"], enrichment["variant"]) == ("test-model", "combined")
    evidence = enrichment["evidence"]["amenities"]
    assert set(evidence) == {"Espace musculation", "Vestiaires"}
    assert set(shown["evidence_reviews"]) == {review for found in evidence.values() for review in found}
    assert all("Vestiaires propres, musculation a" in text for text in shown["evidence_reviews"].values())


def test_show_of_an_unknown_gym_is_refused(life: Life) -> None:
    refused(life.user.cli("show", "no-such-gym"), "no-such-gym")


def test_csv_opens_with_pandas_and_holds_no_formula(life: Life, tmp_path: Path) -> None:
    path = tmp_path / "gyms.csv"
    life.user.cli("export", "--format", "csv", "-o", str(path)).succeeded()
    table = pd.read_csv(path)
    assert list(table["place_id"]) == ["gym-a", "gym-b", "gym-c", "gym-d"]
    assert list(table["name"][1:]) == [gym["name"] for gym in GYMS[1:]]
    assert table["name"][0] == "'" + FORMULA
    assert table["rating"][0] == 4.5
    assert not any(str(cell).startswith(("=", "+", "-", "@")) for cell in table.to_numpy().ravel())


def test_csv_goes_to_standard_output_when_no_file_is_named(life: Life) -> None:
    outcome = life.user.cli("export", "--format", "csv").succeeded()
    assert len(pd.read_csv(io.StringIO(outcome.out))) == 4
    assert "4 gyms exported" in outcome.err


@pytest.fixture(scope="module")
def rows(life: Life) -> list[dict[str, Any]]:
    """What `export --format jsonl` wrote."""
    return [json.loads(line) for line in life.user.cli("export", "--format", "jsonl").succeeded().out.splitlines()]


def test_jsonl_is_a_row_a_line_with_names_as_they_are(rows: list[dict[str, Any]]) -> None:
    assert [row["name"] for row in rows] == [gym["name"] for gym in GYMS]
    assert rows[0]["amenities"] == ["Espace musculation", "Vestiaires"]
    assert rows[0]["has_women_hours"] is False


def test_a_gym_without_reviews_is_published_with_its_hours_in_french_and_nothing_invented(
    rows: list[dict[str, Any]],
) -> None:
    skipped = rows[3]
    assert (skipped["state"], skipped["description"], skipped["has_women_hours"]) == ("skipped", None, None)
    assert "lundi" in skipped["hours_french"].lower()
    assert "Monday" not in skipped["hours_french"]


def test_parquet_keeps_types(life: Life, tmp_path: Path) -> None:
    path = tmp_path / "gyms.parquet"
    life.user.cli("export", "--format", "parquet", "-o", str(path)).succeeded()
    rows = pq.read_table(path).to_pylist()
    assert [row["name"] for row in rows] == [gym["name"] for gym in GYMS]
    assert rows[0]["amenities"] == ["Espace musculation", "Vestiaires"]
    assert [row["has_women_hours"] for row in rows] == [False, False, False, None]
    assert rows[0]["enriched_at"].tzinfo is not None


def test_parquet_needs_a_file(life: Life) -> None:
    outcome = life.user.cli("export", "--format", "parquet").failed_with(2)
    assert "-o" in outcome.err


def test_ui_json_is_one_array_with_the_columns_of_the_old_table(life: Life) -> None:
    found = json.loads(life.user.cli("export", "--format", "ui-json").succeeded().out)
    assert [gym["place_id"] for gym in found] == ["gym-a", "gym-b", "gym-c", "gym-d"]
    assert {tuple(gym) for gym in found} == {UI_COLUMNS}
    assert found[0]["amenities"] == ["Espace musculation", "Vestiaires"]
    assert found[3]["description"] is None


def test_a_file_that_cannot_be_written_is_refused(life: Life) -> None:
    refused(life.user.cli("export", "--format", "csv", "-o", "no/such/folder/gyms.csv"), "no/such/folder/gyms.csv")


@pytest.fixture(scope="module")
def well(life: Life) -> Outcome:
    """`doctor` where nothing is wrong."""
    return life.user.cli("doctor", "--json")


def test_doctor_finds_everything_well(well: Outcome) -> None:
    found = well.succeeded().json
    assert found["ok"] is True
    assert {check["check"] for check in found["checks"]} >= {"settings", "GYM_HOME", "database", "LLM", "DAGSTER_HOME"}
    assert all(check["ok"] for check in found["checks"])


@pytest.fixture(scope="module")
def wrong(life: Life) -> dict[str, dict[str, Any]]:
    """What `doctor` finds wrong where DAGSTER_HOME is another and the server is not there, by check."""
    user = life.user.with_(DAGSTER_HOME="/somewhere/else", OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    found = user.cli("doctor", "--json").failed_with(2).json
    assert found["ok"] is False
    return {check["check"]: check for check in found["checks"] if not check["ok"]}


def test_doctor_notices_another_dagster_home_and_a_dead_server_and_nothing_else(
    wrong: dict[str, dict[str, Any]],
) -> None:
    assert set(wrong) == {"LLM", "DAGSTER_HOME"}
    assert wrong["DAGSTER_HOME"]["found"] == "/somewhere/else"
    assert "127.0.0.1:9" in wrong["LLM"]["found"]
    assert "OPENAI_BASE_URL" in wrong["LLM"]["mend"]


def test_what_doctor_says_to_export_works_when_pasted_into_a_shell(
    life: Life, wrong: dict[str, dict[str, Any]]
) -> None:
    mend = wrong["DAGSTER_HOME"]["mend"]
    export = mend[mend.index("export DAGSTER_HOME=") :]
    pasted = subprocess.run(
        ["sh", "-c", f'{export}; printf %s "$DAGSTER_HOME"'], capture_output=True, text=True, check=False
    )
    assert pasted.stdout == str(life.user.home / "dagster")


def test_doctor_names_both_ways_to_an_llm_and_shows_people_a_table(life: Life) -> None:
    outcome = life.user.without("OPENAI_API_KEY").cli("doctor").failed_with(2)
    assert "WRONG" in outcome.out
    assert "OPENAI_API_KEY" in outcome.out
    assert "GYM_LLM=offline" in outcome.out


def test_the_key_is_in_no_file_and_no_output(life: Life, well: Outcome) -> None:
    files = [path for path in life.user.home.rglob("*") if path.is_file()]
    assert (life.user.home / "gym.db") in files
    assert [path for path in files if API_KEY.encode() in path.read_bytes()] == []
    for outcome in (life.ingested, life.first, life.stats_first, life.second, life.third, well):
        assert API_KEY not in outcome.out + outcome.err


# choosing what to run -------------------------------------------------------------------------------------------------


def test_only_the_owner_can_read_what_was_made(life: Life, tmp_path: Path) -> None:
    exports = [tmp_path / name for name in ("gyms.csv", "gyms.jsonl", "gyms.parquet", "report.html")]
    for path in exports[:3]:
        life.user.cli("export", "--format", path.suffix[1:], "-o", str(path)).succeeded()
    life.user.cli("report", "-o", str(exports[3])).succeeded()
    home = life.user.home
    with life.user.database.read() as connection:
        connection.exec_driver_sql("SELECT 1")
        database = [home / name for name in ("gym.db", "gym.db-wal", "gym.db-shm")]
        modes = [path.stat().st_mode & 0o777 for path in (*exports, *database)]
    assert modes == [0o600] * 7
    assert [path.stat().st_mode & 0o777 for path in (home, home / "dagster")] == [0o700, 0o700]


def test_doctor_warns_of_a_home_that_others_can_read(life: Life) -> None:
    life.user.home.chmod(0o755)
    try:
        found = {check["check"]: check for check in life.user.cli("doctor", "--json").succeeded().json["checks"]}
    finally:
        life.user.home.chmod(0o700)
    assert found["GYM_HOME"]["ok"] is True
    assert "chmod -R go= " in found["GYM_HOME"]["mend"]


def test_limit_takes_that_many_gyms_and_batches_are_run_by_name(client: User, server: LlmServer) -> None:
    client.take_in(5)
    first = client.cli("run", "--limit", "3", "--json").succeeded().json
    assert first["gyms"] == first["llm_calls"] == len(server.asks) == 3
    rest = client.cli("run", "--json").succeeded().json
    assert rest["gyms"] == rest["llm_calls"] == 2
    assert sorted(server.names()) == [f"Salle {number:04d}" for number in range(1, 6)]

    # Batches of two, one and two gyms; named ones are taken whether they need it or not.
    named = client.cli("run", "--batches", "batch-000003, batch-000001", "--json").succeeded().json
    assert (named["gyms"], named["cache_hits"], named["llm_calls"]) == (4, 4, 0)
    assert len(server.asks) == 5
    refused(client.cli("run", "--batches", "batch-000001,batch-000099"), "batch-000099")


def test_stats_call_one_run_what_the_user_ran_however_many_dagster_runs_it_took(
    client: User, server: LlmServer
) -> None:
    user = client.with_(GYM_PARTITIONS_PER_RUN="1")
    user.take_in(4)
    report = user.cli("run", "--json").succeeded().json
    assert report["llm_calls"] == len(server.asks) == 4
    last = user.cli("stats", "--json").succeeded().json["last_run"]
    assert {key: last[key] for key in SHARED_WITH_STATS} == {key: report[key] for key in SHARED_WITH_STATS}


# what goes wrong ------------------------------------------------------------------------------------------------------


def test_without_an_llm_run_is_refused_and_names_both_ways_out(user: User) -> None:
    refused(user.cli("run"), "OPENAI_API_KEY", "GYM_LLM=offline")


def test_a_wrong_key_stops_the_run_with_one_message_that_does_not_repeat_it(client: User, server: LlmServer) -> None:
    message = f"Incorrect API key provided: {API_KEY}."
    server.script = lambda _ask: Reply(status=401, error_code="invalid_api_key", error_message=message)
    user = client.with_(GYM_LLM_CONCURRENCY="4", GYM_BATCH_SIZE="100")
    user.take_in(60)
    outcome = user.cli("run", "--json")
    refused(outcome, "OPENAI_API_KEY", "401")
    assert API_KEY not in outcome.out + outcome.err
    assert (outcome.json["enriched"], outcome.json["failures"]) == (0, [])
    # The gyms that were begun when the first refusal came, four per call at most; not all.
    assert 1 <= len(server.asks) <= 4 * 4


def test_failed_gyms_are_listed_with_exit_1_and_the_next_runs_ask_only_for_them(
    client: User, server: LlmServer
) -> None:
    bad = ["Salle 0002", "Salle 0003"]

    def script(ask: Ask) -> Reply:
        return Reply(status=500) if ask.name in bad else good(ask)

    server.script = script
    client.take_in(5)
    report = client.cli("run", "--json").failed_with(1).json
    assert (report["gyms"], report["enriched"], report["failed"]) == (5, 3, 2)
    assert [failure["place_id"] for failure in report["failures"]] == ["gym-0002", "gym-0003"]
    assert all("HTTP 500" in failure["error"] for failure in report["failures"])
    assert report["llm_calls"] == len(server.asks) == 3 + 2 * 2
    shown = client.cli("show", "gym-0002", "--json").succeeded().json
    assert (shown["state"], shown["failures"][0]["kind"]) == ("failed", "server_error")

    server.asks.clear()
    table = client.cli("run").failed_with(1)
    assert sorted(server.names()) == sorted(2 * bad)
    assert re.search(r"│ gym-0002 +│ server_error: the server fails", table.out)

    server.script = good
    server.asks.clear()
    healed = client.cli("run", "--json").succeeded().json
    assert sorted(server.names()) == bad
    assert (healed["llm_calls"], healed["failed"], healed["failures"]) == (2, 0, [])


def test_a_bad_setting_is_refused_by_the_real_process(user: User) -> None:
    refused(user.with_(GYM_LLM="offline", GYM_BATCH_SIZE="abc").cli("run"), "GYM_BATCH_SIZE")


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"GYM_BATCH_SIZE": "abc"}, "GYM_BATCH_SIZE"),
        ({"GYM_LLM": "telepathy"}, "GYM_LLM"),
        ({"GYM_DATABASE_URL": "mysql://user:hunter2@localhost/gyms"}, "mysql"),
        ({"GYM_DATABASE_URL": "postgresql://user:hunter2@127.0.0.1:9/gyms"}, "127.0.0.1:9"),
    ],
)
def test_a_bad_setting_is_refused_by_name_and_without_secrets(
    variables: dict[str, str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["stats"], env={"GYM_LLM": "offline", **variables})
    refused(Outcome(result.exit_code, result.stdout, result.stderr), name)
    assert "hunter2" not in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["run", "--no-such-option"],
        ["run", "--limit", "0"],
        ["run", "--limit", "many"],
        ["run", "--variant", "guess"],
        ["run", "--limit", "1", "--batches", "batch-000001"],
        ["ingest"],
        ["export"],
        ["export", "--format", "xml"],
        ["show"],
        ["show", "gym-1", "--quarantine"],
        ["serve-llm", "--port", "70000"],
        ["serve-llm", "--latency", "-1"],
    ],
    ids=" ".join,
)
def test_wrong_options_are_refused(arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2, result.output
    assert "Error: " in result.stderr
    assert result.stdout == ""


def test_wrong_options_are_refused_by_the_real_process(user: User) -> None:
    outcome = user.cli("run", "--no-such-option").failed_with(2)
    assert outcome.out == ""
    assert "--no-such-option" in outcome.err


@pytest.mark.parametrize("command", [[], *([name] for name in main.commands)], ids=lambda c: " ".join(c) or "itself")
def test_every_command_has_help(command: list[str]) -> None:
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage:")


def test_help_names_every_command_of_this_stage(user: User) -> None:
    out = user.cli("--help").succeeded().out
    for command in ("demo", "ingest", "run", "show", "stats", "export", "serve-llm", "doctor"):
        assert re.search(rf"^  {command} ", out, re.MULTILINE)


# serve-llm ------------------------------------------------------------------------------------------------------------


def test_serve_llm_answers_the_openai_client_until_ctrl_c(user: User) -> None:
    log = user.folder / "serve-llm.log"
    process = user.start([*CLI, "serve-llm", "--port", "0"], log)
    try:

        def url() -> str | None:
            assert process.poll() is None, log.read_text(encoding="utf-8")
            found = re.search(r"offline-extractive at (http://127\.0\.0\.1:\d+/v1)\n", log.read_text(encoding="utf-8"))
            return found and found[1]

        base_url = wait_for("serve-llm to say where it listens", url)
        asked = {"gym": {"name": "Atlas", "city": "Oran"}, "reviews": {"1": "Le sauna est propre."}}
        with openai.OpenAI(api_key="any", base_url=base_url, max_retries=0, timeout=30) as client:
            assert [model.id for model in client.models.list()] == ["offline-extractive"]
            raw = client.chat.completions.with_raw_response.create(
                model="offline-extractive", messages=[{"role": "user", "content": json.dumps(asked)}]
            )
        completion = raw.parse()
        found = json.loads(completion.choices[0].message.content or "")
        assert found["amenities"] == [{"name": "Sauna", "reviews": [1]}]
        assert completion.usage is not None
        assert completion.usage.prompt_tokens > 0
        assert "x-ratelimit-remaining-requests" in raw.headers
    finally:
        code = stop(process)
    assert code == 0
    said = log.read_text(encoding="utf-8")
    assert said.endswith("stopped\n")
    assert "Traceback" not in said


def test_ctrl_c_stops_a_run_cleanly_with_everything_finished_saved(client: User, server: LlmServer) -> None:
    def script(ask: Ask) -> Reply:
        return Reply(good(ask).content, delay=0.0 if len(server.asks) <= 6 else 60.0)

    server.script = script
    user = client.with_(GYM_BATCH_SIZE="100", GYM_LLM_CONCURRENCY="4")
    user.take_in(20)
    log = user.folder / "run.log"
    process = user.start([*CLI, "run", "--json"], log)
    database = user.home / "gym.db"

    def saved() -> int:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            return int(connection.execute("SELECT count(*) FROM llm_cache").fetchone()[0])

    try:
        wait_for("six answers to be saved", lambda: saved() >= 6 and len(server.asks) >= 10)
    finally:
        code = stop(process)
    said = log.read_text(encoding="utf-8")
    assert code == 128 + signal.SIGINT, said
    assert "Traceback" not in said
    assert "stopped" in said
    server.script = good
    server.asks.clear()
    report = user.cli("run", "--json").succeeded().json
    assert report["enriched"] == 20
    assert report["cache_hits"] == 6
    assert len(server.asks) == 14


# Postgres -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def postgres_user(client: User, postgres_url: str) -> Iterator[User]:
    """Someone with an empty Postgres database of their own, under the plain URL that people paste."""
    name = f"acceptance_{client.folder.name}".replace("-", "_").lower()[:60]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield client.with_(GYM_DATABASE_URL=f"{postgres_url.rpartition('/')[0]}/{name}")
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_on_postgres_nothing_works_before_doctor_migrate_and_everything_after(
    postgres_user: User, server: LlmServer
) -> None:
    user = postgres_user
    sources = write_gyms(user.folder / "sources", 3)
    for command in (["ingest", *sources], ["run"], ["stats"]):
        refused(user.cli(*command), "doctor --migrate")

    # A deployment waits for the migration; a provider that is down just then does not hold it up.
    down = user.with_(OPENAI_BASE_URL=f"http://127.0.0.1:{free_port()}/v1")
    migrated = down.cli("doctor", "--migrate", "--json").succeeded()
    assert migrated.json["ok"] is False
    assert down.cli("doctor", "--json").code == 2
    assert user.cli("doctor", "--json").succeeded().json["ok"] is True
    assert user.cli("ingest", *sources, "--json").succeeded().json["gyms"]["new"] == 3
    report = user.cli("run", "--json").succeeded().json
    assert (report["enriched"], report["llm_calls"], len(server.asks)) == (3, 3, 3)
    assert report["review_queries"] == 1
    stats: dict[str, Any] = user.cli("stats", "--json").succeeded().json
    assert {key: stats["all_time"][key] for key in SHARED_WITH_STATS} == {key: report[key] for key in SHARED_WITH_STATS}
    assert not (user.home / "gym.db").exists()


def test_reaching_a_budget_is_an_outcome_and_the_next_run_asks_the_rest(client: User, server: LlmServer) -> None:
    client.take_in(15)
    priced = client.with_(GYM_LLM_PRICE_PROMPT="10", GYM_LLM_PRICE_COMPLETION="10")
    poor = priced.with_(GYM_BUDGET_USD="0.1").cli("run", "--json").succeeded()
    report = poor.json
    assert report["failed"] == 0
    assert 0 < report["skipped_budget"] == report["gyms"] - report["enriched"]
    assert 0 < report["cost_usd"] <= 0.1
    assert f"the budget is reached: {report['skipped_budget']} gyms" in poor.err

    rich = priced.cli("run", "--json").succeeded().json
    assert rich["llm_calls"] == report["skipped_budget"]
    assert len(server.asks) == 15


@pytest.mark.parametrize("variant", ["combined", "fanout", "packed"])
def test_an_estimate_is_within_a_tenth_of_what_the_run_then_takes(user: User, variant: str) -> None:
    offline = user.with_(GYM_LLM="offline")
    sample = str(Path(gym_enrichment.__file__).parent / "sample")
    offline.cli("ingest", f"{sample}/gyms.jsonl", f"{sample}/reviews.jsonl").succeeded()
    estimate = offline.cli("estimate", "--variant", variant, "--json").succeeded().json
    assert (estimate["gyms"], estimate["skipped"], estimate["cached"]) == (12, 1, 0)
    run = offline.cli("run", "--variant", variant, "--json").succeeded().json
    tokens = run["prompt_tokens"] + run["completion_tokens"]
    assert estimate["prompt_tokens"] + estimate["completion_tokens"] == pytest.approx(tokens, rel=0.1)
    assert estimate["llm_calls"] == pytest.approx(run["llm_calls"], abs=1)
    assert offline.cli("estimate", "--variant", variant, "--json").succeeded().json["llm_calls"] == 0


# eval ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> User:
    return new_user(tmp_path_factory.mktemp("eval"), GYM_LLM="offline")


def test_eval_measures_the_golden_set_apart_from_the_directory_and_says_what_changed(judge: User) -> None:
    (first,) = judge.cli("eval", "--json").succeeded().json["evaluations"]
    assert (first["labels"], first["model"], first["gyms"]) == ("golden", "offline-extractive", 68)
    figures = first["figures"]
    assert figures["women_precision"]["share"] >= 0.9
    assert figures["women_f1"]["value"] >= 0.85
    assert figures["evidence_kept"]["share"] >= 0.95
    assert figures["hours_exact"]["share"] >= 0.98
    for name in ("amenities_with_evidence", "descriptions_within_rules", "descriptions_verified", "hostile_refused"):
        assert figures[name]["share"] == 1.0, name

    again = judge.cli("eval").succeeded()
    assert "golden set: 0 calls" in again.err
    assert re.search(r"│ women_f1 .* no difference shown", again.out)
    with judge.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(tables.gyms)).scalar_one() == 0


def test_eval_of_labels_that_cannot_be_used_or_of_unknown_gyms_is_refused(judge: User) -> None:
    labels = judge.folder / "labels.jsonl"
    labels.write_text('{"place_id": "x"}')
    refused(judge.cli("eval", str(labels)), "labels.jsonl, line 1", "verdict")
    labels.write_text('{"place_id": "x", "verdict": "true"}')
    refused(judge.cli("eval", str(labels)), "ingest them and run first")
    refused(judge.cli("eval", "no-such-file.jsonl"), "no-such-file.jsonl")


def test_a_vocabulary_that_cannot_be_read_is_refused(judge: User) -> None:
    path = judge.folder / "mine.toml"
    path.write_text('[[amenity]]\nid = "Not kebab"\nlabel = "x"\n')
    refused(judge.with_(GYM_VOCABULARY=str(path)).cli("eval"), "GYM_VOCABULARY", "mine.toml")
