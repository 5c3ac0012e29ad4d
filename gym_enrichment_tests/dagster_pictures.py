"""Pictures of Dagster's UI on the packaged sample: a backfill with a batch that fails and is mended, a sensor at work.

The offline engine answers, behind a server that refuses two gyms until they are mended.
What must not live here: how the UI is used (dagster_ui.py).
"""

import json
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path

from playwright.sync_api import Browser, FloatRect, ViewportSize

from gym_enrichment.llm.endpoint import OFFLINE_MODEL
from gym_enrichment.llm.offline.engine import answer
from gym_enrichment.prompts.tokens import count_tokens
from gym_enrichment_tests.acceptance.conftest import User, asking, dagster_stack, new_user, write_jsonl
from gym_enrichment_tests.dagster_ui import WINDOW, DagsterUi
from gym_enrichment_tests.llm_server import Ask, LlmServer, Reply

_WIDE: ViewportSize = {"width": 1280, "height": 560}
_TALL: ViewportSize = {"width": 1280, "height": 860}
_BATCH_SIZE = 2
_BAD = "batch-000003"
_MARGIN = 12
_GROUPS = ("sources", "enrichment", "publication", "quality")


def take_dagster_pictures(browser: Browser, folder: Path, pictures: Path, prices: Mapping[str, str]) -> None:
    """`dagster-*.png` in `pictures`.

    Args:
        browser: an open browser.
        folder: a new folder for the instance and its data.
        pictures: where the pictures go.
        prices: settings that price the offline engine's tokens.
    """
    gyms, reviews = (_sample(name) for name in ("gyms", "reviews"))
    known, new = gyms[:-_BATCH_SIZE], gyms[-_BATCH_SIZE:]
    refused = {gym["name"] for gym in known[2 * _BATCH_SIZE : 3 * _BATCH_SIZE]}

    def script(ask: Ask) -> Reply:
        return Reply(status=400) if ask.name in refused else _answer(ask)

    with LlmServer(script) as server:
        variables = {**asking(server), "GYM_LLM_MODEL": OFFLINE_MODEL, "GYM_BATCH_SIZE": str(_BATCH_SIZE), **prices}
        user = new_user(folder, **variables)
        _ingest(user, known, reviews)
        batches = len(user.make_batches())
        with dagster_stack(user) as stack:
            page = browser.new_page(viewport=WINDOW)
            ui = DagsterUi(page, stack.url)
            ui.visit("/", "Overview")
            _take_backfill(ui, pictures, batches)
            refused.clear()
            _mend(ui, batches)
            _take_sensor(ui, pictures, lambda: _ingest(user, new, reviews), batches)
            _take_plots(ui, pictures)
            _take_graph(ui, pictures)
            page.close()


def _sample(name: str) -> list[dict[str, str]]:
    text = (files("gym_enrichment") / "sample" / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _answer(ask: Ask) -> Reply:
    content = json.dumps(answer(ask.gym, ask.reviews), ensure_ascii=False)
    prompt = sum(count_tokens(message["content"]) for message in ask.body["messages"])
    return Reply(content, usage={"prompt_tokens": prompt, "completion_tokens": count_tokens(content)})


def _ingest(user: User, gyms: list[dict[str, str]], reviews: list[dict[str, str]]) -> None:
    ids = {gym["place_id"] for gym in gyms}
    theirs = [review for review in reviews if review["place_id"] in ids]
    folder = user.folder / "sources"
    sources = [write_jsonl(folder / f"{name}.jsonl", rows) for name, rows in (("gyms", gyms), ("reviews", theirs))]
    user.cli("ingest", *sources).succeeded()


def _take_backfill(ui: DagsterUi, pictures: Path, batches: int) -> None:
    """The dialog that launches a backfill, the partitions when one failed, the backfill's own page."""
    ui.open_graph(*_GROUPS)
    ui.select("review_bundles", "gym_enrichments")
    ui.materialize_selected()
    ui.choose_partitions("All")
    ui.take_dialog(pictures / "dagster-launch.png")
    ui.launch()
    ui.open_partitions("gym_enrichments")
    ui.wait_for_partitions(failed=1, materialized=batches - 1)
    ui.page.set_viewport_size(_WIDE)
    ui.open_partition(_BAD, "did not materialize this asset")
    ui.page.screenshot(path=pictures / "dagster-partitions.png")
    ui.page.set_viewport_size(WINDOW)
    ui.open_backfill()
    ui.page.set_viewport_size({"width": _WIDE["width"], "height": 360})
    ui.read("100% completed")
    ui.page.screenshot(path=pictures / "dagster-backfill.png")
    ui.page.set_viewport_size(WINDOW)


def _mend(ui: DagsterUi, batches: int) -> None:
    ui.open_partitions("gym_enrichments")
    ui.press("Materialize…")
    ui.choose_partitions("Failed")
    ui.launch()
    ui.wait_for_partitions(failed=0, materialized=batches)


def _take_sensor(ui: DagsterUi, pictures: Path, bring_new_gyms: Callable[[], None], batches: int) -> None:
    """The new-gyms sensor, switched on, after it noticed a new batch."""
    ui.open_automation("new_gyms_sensor")
    ui.switch_on()
    bring_new_gyms()
    ui.open_partitions("gym_enrichments")
    ui.wait_for_partitions(failed=0, materialized=batches + 1)
    ui.page.set_viewport_size(_TALL)
    ui.visit("/locations/gym_enrichment/sensors/new_gyms_sensor", "1 run requested")
    ui.page.screenshot(path=pictures / "dagster-sensor.png")
    ui.page.set_viewport_size(WINDOW)


def _take_plots(ui: DagsterUi, pictures: Path) -> None:
    """What each batch cost and took, and what an asset says of its columns."""
    ui.page.set_viewport_size(_TALL)
    ui.visit("/assets/gym_enrichments", "Columns")
    ui.page.screenshot(path=pictures / "dagster-asset.png")
    ui.open_plots()
    ui.page.screenshot(path=pictures / "dagster-plots.png")
    ui.page.set_viewport_size(WINDOW)


def _take_graph(ui: DagsterUi, pictures: Path) -> None:
    """All assets, each materialized."""
    for asset in ("gym_directory", "rollout_status", "evaluation_report", "enrichment_statistics", "enrichment_report"):
        ui.materialize(asset)
    ui.open_graph(*_GROUPS)
    ui.page.screenshot(path=pictures / "dagster-graph.png", clip=_around(ui.drawn().values()))


def _around(boxes: Iterable[FloatRect]) -> FloatRect:
    """The part of the page that holds all boxes."""
    all_boxes = list(boxes)
    left, top = min(box["x"] for box in all_boxes), min(box["y"] for box in all_boxes)
    right = max(box["x"] + box["width"] for box in all_boxes)
    bottom = max(box["y"] + box["height"] for box in all_boxes)
    width, height = right - left + 2 * _MARGIN, bottom - top + 2 * _MARGIN
    return {"x": left - _MARGIN, "y": top - _MARGIN, "width": width, "height": height}
