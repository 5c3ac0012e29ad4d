"""Dagster's UI as people use it: in a real Chromium, by clicking, against a whole fleet.

Each fixture below is a step of one story and keeps what the pages said, so that the tests may run in any order.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from deploy.fleet import Fleet
from gym_enrichment_tests import webhook
from gym_enrichment_tests.acceptance.conftest import API_KEY, User, asking, wait_for, write_jsonl
from gym_enrichment_tests.acceptance.fleets import running_fleet, runs
from gym_enrichment_tests.acceptance.visitor import PAGES, TELLING, Visitor, events, files_below, rows_of
from gym_enrichment_tests.browser import CHROMIUM, NO_CHROMIUM, open_browser
from gym_enrichment_tests.dagster_ui import WINDOW, DagsterUi
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply, good
from gym_enrichment_tests.webhook import Webhook

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)

BATCHES = ["batch-000001", "batch-000002", "batch-000003", "batch-000004"]
BAD, NEW = "batch-000003", "batch-000005"
REVIEW = "Krikouzette"
"""A word that only reviews hold."""
DATABASE_PASSWORD = "geheim-5d1c"
GROUPS = {
    "sources": ["google_places", "raw_gyms", "raw_reviews"],
    "enrichment": ["review_bundles", "gym_enrichments"],
    "publication": ["gym_directory", "rollout_status"],
    "quality": ["evaluation_report", "enrichment_statistics", "enrichment_report"],
}


def bad_batch(ask: Ask) -> Reply:
    """Refuses the gyms of one batch, in the ways in which a server may quote what it was told."""
    if ask.name == "Salle 5":
        return Reply(status=400, error_message=f"{API_KEY} may not say {json.dumps(ask.body)}")
    if ask.name == "Salle 6":
        return Reply(" ".join(ask.reviews.values()))
    return good(ask)


def sources(folder: Path, first: int, count: int) -> list[str]:
    """Files of gyms "Salle 1" ... with a review each, and a review that cannot be used."""
    numbers = range(first, first + count)
    gyms = [{"place_id": f"gym-{n}", "name": f"Salle {n}", "city": "Oran"} for n in numbers]
    text = f"Bonne salle, comme le dit {REVIEW} : vestiaires propres et musculation."
    reviews = [{"review_id": f"r-{n}", "place_id": f"gym-{n}", "text": text, "rating": 4} for n in numbers]
    unusable = {"review_id": f"r-bad-{first}", "place_id": f"gym-{first}", "text": text, "rating": REVIEW}
    return [
        write_jsonl(folder / "gyms.jsonl", gyms),
        write_jsonl(folder / "reviews.jsonl", [*reviews, unusable]),
    ]


@dataclass(frozen=True)
class Running:
    """The fleet with eight gyms in four batches, who answers it, and a tab of its UI."""

    fleet: Fleet
    user: User
    server: LlmServer
    browser: Browser
    ui: DagsterUi

    def sources(self, first: int, count: int) -> list[str]:
        """Put gyms into the files that GYM_SOURCES names."""
        return sources(self.user.folder / "sources", first, count)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("ui")
    files = sources(folder / "sources", 1, 8)
    # The webhook refuses what it is sent: its address must not be in what is then said.
    with LlmServer(bad_batch) as server, Webhook(*[500] * 20) as slack, open_browser() as browser:
        variables = {
            **asking(server),
            "GYM_BATCH_SIZE": "2",
            "GYM_SOURCES": ",".join(files),
            "GYM_ALERT_WEBHOOK": slack.url,
            "POSTGRES_PASSWORD": DATABASE_PASSWORD,
            "ADMIN_USER": "amina",
        }
        with running_fleet(folder, variables) as (fleet, user):
            user.cli("ingest", *files).succeeded()
            assert user.make_batches() == BATCHES
            ui = DagsterUi(browser.new_page(viewport=WINDOW), fleet.admin_url)
            ui.visit("/", "Overview")
            yield Running(fleet, user, server, browser, ui)


@pytest.fixture(scope="module")
def launched(running: Running) -> Sequence[str]:
    """A backfill of both assets is launched; the partitions that the dialog named."""
    running.ui.open_graph(*GROUPS)
    running.ui.select("review_bundles", "gym_enrichments")
    running.ui.materialize_selected()
    chosen = running.ui.choose_partitions("All")
    running.ui.launch()
    return chosen


@dataclass(frozen=True)
class Failed:
    """What was seen when the backfill had ended."""

    bundles: Sequence[str]
    bad: Sequence[str]
    good: Sequence[str]
    bad_page: str
    log: str
    good_page: str


@pytest.fixture(scope="module")
def failed(running: Running, launched: Sequence[str]) -> Failed:
    ui = running.ui
    ui.open_partitions("gym_enrichments")
    ui.wait_for_partitions(failed=1, materialized=3, materializing=0, missing=0)
    bad, good_ones = ui.partitions_that_are("Failed"), ui.partitions_that_are("Materialized")
    bad_page = ui.open_partition(BAD, "did not materialize this asset")
    ui.press("View logs")
    log = ui.read("RUN_FAILURE")
    ui.press("Done")
    good_page = ui.open_partition(BATCHES[0], "completion_tokens")
    ui.open_partitions("review_bundles")
    ui.wait_for_partitions(failed=0, materializing=0, missing=0)
    bundles = ui.partitions_that_are("Materialized")
    return Failed(bundles, bad, good_ones, bad_page, log, good_page)


@dataclass(frozen=True)
class Mended:
    """What was seen when the bad batch had been materialized again."""

    chosen: Sequence[str]
    good: Sequence[str]
    asked: Sequence[str]


@pytest.fixture(scope="module")
def mended(running: Running, failed: Failed) -> Mended:
    running.server.script = good
    running.server.asks.clear()
    ui = running.ui
    ui.open_partitions("gym_enrichments")
    ui.press("Materialize…")
    chosen = ui.choose_partitions("Failed")
    ui.launch()
    ui.wait_for_partitions(failed=0, materialized=4, materializing=0, missing=0)
    return Mended(chosen, ui.partitions_that_are("Materialized"), sorted(running.server.names()))


@pytest.fixture(scope="module")
def published(running: Running, mended: Mended) -> None:
    """The directory and the report page are materialized."""
    for asset in ("gym_directory", "enrichment_report"):
        running.ui.materialize(asset)


@pytest.fixture(scope="module")
def sensor_on(running: Running, mended: Mended) -> None:
    """The sensor is switched on, and a new gym ingested afterwards."""
    ui = running.ui
    ui.open_automation("new_gyms_sensor")
    ui.switch_on()
    running.server.asks.clear()
    running.sources(9, 1)
    ui.open_graph(*GROUPS)
    ui.select("raw_gyms", "raw_reviews")
    ui.materialize_selected()
    # That google_places was never materialized: these gyms come from files.
    ui.press("Confirm")


@pytest.fixture(scope="module")
def enriched(running: Running, sensor_on: None) -> Sequence[str]:
    """The good batches, once the sensor noticed the new gym and its batch is enriched."""
    running.ui.open_partitions("gym_enrichments")
    running.ui.wait_for_partitions(failed=0, materialized=5, materializing=0, missing=0)
    return running.ui.partitions_that_are("Materialized")


# The daemon takes a backfill up within half a minute: what needs no result of it comes first.


@pytest.fixture(scope="module")
def visitor(running: Running, published: None, sensor_on: None, tmp_path_factory: pytest.TempPathFactory) -> Visitor:
    """Reads all pages but those of runs, while the sensor looks for new gyms."""
    visitor = Visitor(running.browser, running.fleet, tmp_path_factory.mktemp("visit") / "visit.har")
    for path, sign in PAGES.items():
        visitor.read(path, sign)
    return visitor


def test_all_batches_are_chosen_with_one_click(launched: Sequence[str]) -> None:
    assert launched == BATCHES


def test_the_graph_reads_like_the_design(running: Running) -> None:
    names = {name for group, assets in GROUPS.items() for name in (group, *assets)}
    running.ui.open_graph(*GROUPS)
    wait_for("all groups and assets to be drawn", lambda: len(running.ui.drawn()) == len(names))
    drawn = running.ui.drawn()
    assert drawn.keys() == names
    groups = sorted(GROUPS, key=lambda name: drawn[name]["x"])
    assert groups == ["sources", "enrichment", "publication", "quality"]
    for group, assets in GROUPS.items():
        for asset in assets:
            assert drawn[group]["x"] < drawn[asset]["x"] < drawn[group]["x"] + drawn[group]["width"]
    assert drawn["review_bundles"]["x"] < drawn["gym_enrichments"]["x"]


@pytest.mark.parametrize(
    ("asset", "signs"),
    [
        ("raw_reviews", ["sources", "authors left behind", "Table", "As the customer wrote it"]),
        ("review_bundles", ["enrichment", "ready for a prompt", "Table", "Tokens of the selected reviews"]),
        ("gym_enrichments", ["enrichment", "A batch with a failed gym fails alone", "OpenAI", "in French"]),
        ("gym_directory", ["publication", "one row per gym", "Table", "notation of OpenStreetMap"]),
    ],
)
def test_an_asset_says_what_it_is_whose_and_what_its_columns_mean(
    running: Running, asset: str, signs: list[str]
) -> None:
    said = running.ui.visit(f"/assets/{asset}", signs[-1])
    for sign in ("Description", "Owners", "directory", "Kinds", *signs):
        assert sign in said


def test_the_read_only_ui_offers_no_way_to_change_things(running: Running, launched: Sequence[str]) -> None:
    ui = DagsterUi(running.browser.new_page(viewport=WINDOW), f"http://127.0.0.1:{running.fleet.read_port}")
    try:
        ui.visit("/", "Overview")
        ui.open_graph(*GROUPS)
        assert not ui.can_press("Materialize all")
        ui.open_partitions("gym_enrichments")
        assert not ui.can_press("Materialize…")
        ui.open_automation("new_gyms_sensor")
        assert not ui.can_switch()
    finally:
        ui.page.close()


def test_exactly_the_bad_batch_is_shown_as_failed(failed: Failed) -> None:
    assert failed.bad == [BAD]
    assert failed.good == [batch for batch in BATCHES if batch != BAD]
    assert failed.bundles == BATCHES


def test_the_failed_batch_says_why_and_what_to_do(failed: Failed) -> None:
    assert "failed, and did not materialize this asset" in failed.bad_page
    assert f"gyms failed in 1 of 4 batches ({BAD})" in failed.log
    assert "Materialize the failed partitions again" in failed.log


def test_a_good_batch_shows_its_figures(failed: Failed) -> None:
    said = failed.good_page.split()
    figures = dict(pairwise(said))
    assert figures["gyms"] == figures["enriched"] == figures["llm_calls"] == "2"
    assert figures["prompt_tokens"] == "2000"


def test_materialized_again_the_bad_batch_turns_green_and_its_gyms_alone_are_asked(mended: Mended) -> None:
    assert mended.chosen == [BAD]
    assert mended.good == BATCHES
    assert mended.asked == ["Salle 5", "Salle 6"]


def test_checks_and_plots_are_shown(running: Running, published: None) -> None:
    ui = running.ui
    checks = ui.visit("/assets/gym_directory?view=checks", "every_gym_is_published_once")
    assert "Passed" in checks
    assert "no_gym_failed" in checks
    assert "Passed" in ui.visit("/assets/gym_enrichments?view=checks", "every_published_claim_is_shown")
    ui.visit("/assets/gym_directory", "Row count")
    assert ui.open_plots() == len(["row_count", "changed", "enriched", "skipped", "failed", "pending"])


def test_no_review_no_prompt_and_no_secret_is_on_any_page_or_in_any_log(
    running: Running, visitor: Visitor, enriched: Sequence[str]
) -> None:
    fleet = running.fleet
    visitor.read_runs()
    report = (fleet.home / "exports" / "report.html").read_text(encoding="utf-8")
    told = {
        # What must be there, if it is what it should be, and all of it.
        "pages": ("gym-5", visitor.leave()),
        "events": ("gym-5", json.dumps([events(fleet, run["runId"]) for run in runs(fleet)], ensure_ascii=False)),
        "Dagster's database": ("gym-5", rows_of(fleet.postgres.url("dagster"))),
        "what our database tells": ("gym-5", rows_of(fleet.postgres.url("gym"), TELLING)),
        "files": ("gym_enrichments", files_below(fleet)),
        "report": ("Salle 5", report),
    }
    messages = {message["role"]: message["content"] for message in running.server.asks[0].body["messages"]}
    # The longest piece that looks the same in any notation.
    prompt = max(re.findall(r"[ -!#-\[\]-~]+", messages["system"]), key=len)
    assert REVIEW in messages["user"]
    assert len(prompt) > 50
    secrets = {API_KEY, webhook.SECRET, DATABASE_PASSWORD, fleet.variables["ADMIN_PASSWORD_HASH"]}
    for where, (known, text) in told.items():
        assert known in text, f"{where}: not what was looked for"
        found = sorted(word for word in {REVIEW, prompt, *secrets} if word in text)
        assert found == ([REVIEW] if where == "report" else []), where


def test_the_sensor_enriches_a_gym_that_comes_after_it_was_switched_on(
    running: Running, enriched: Sequence[str]
) -> None:
    assert enriched == [*BATCHES, NEW]
    assert running.server.names() == ["Salle 9"]
