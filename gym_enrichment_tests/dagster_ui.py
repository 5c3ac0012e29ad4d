"""Dagster's UI in a browser, used as people use it: by what it says. All selectors are here, those of dagster 1.13.27.

What must not live here: what is expected of our assets, and who looks (the tests, the pictures).
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import FloatRect, Locator, Page, ViewportSize, expect

# Generous: it only passes when something is broken, however busy the machine is.
PATIENCE_MS = 120_000

# Names and details of assets are only written out where they have the room.
WINDOW: ViewportSize = {"width": 3200, "height": 1200}
_STATES = ("Failed", "Materialized", "Materializing", "Missing")
# What is written around an asset's name in the graph.
_NODE = re.compile(r"^Unsynced \(\d+\)|Latest event.*")
_KEY = re.compile(r"^batch-\d+$")
Text = str | re.Pattern[str]


class DagsterUi:
    """One tab of the UI.

    Args:
        page: a page of the browser: of WINDOW's size, in which the graph writes its names out.
        url: where the webserver is.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        page.set_default_timeout(PATIENCE_MS)
        page.set_default_navigation_timeout(PATIENCE_MS)

    def visit(self, path: str, sign: Text) -> str:
        """Open a page by its address; returns its text, once `sign` is on it and it asks for nothing more."""
        self.page.goto(self.url + path)
        return self.read(sign)

    def read(self, sign: Text) -> str:
        """The text of the open page, once `sign` is on it and it asks for nothing more."""
        body = self.page.locator("body")
        expect(body).to_contain_text(sign, timeout=PATIENCE_MS)
        self.page.wait_for_load_state("networkidle")
        return body.inner_text()

    def follow(self, menu: str) -> None:
        """Click an entry of the menu on the left: Runs, Catalog, Jobs, Automation, Lineage, Deployment."""
        self.page.get_by_role("navigation").get_by_text(menu, exact=True).click()

    def press(self, button: Text) -> None:
        """Click a button of the open page, the first of that name."""
        self._button(button).first.click()

    def can_press(self, button: Text) -> bool:
        """Whether a button, which must be there, is more than grey."""
        self._button(button).wait_for()
        return self._button(button).is_enabled()

    # The asset graph

    def open_graph(self, *groups: str) -> None:
        """All assets, with these groups expanded and the whole graph in sight."""
        # By its address: by way of the menu it would be where it was left, and what is out of sight is not drawn.
        expanded = ",".join(f"global@global:{group}" for group in groups)
        self.page.goto(f"{self.url}/asset-groups?{urlencode({'expanded': expanded})}")
        self._button("Materialize all").wait_for()
        self.read("Latest event")

    def drawn(self) -> Mapping[str, FloatRect]:
        """Where each group and asset of the open graph is, in pixels."""
        boxes = {_NODE.sub("", node.text_content() or ""): node.bounding_box() for node in self._nodes().all()}
        return {name: box for name, box in boxes.items() if box is not None}

    def select(self, first: str, *others: str) -> None:
        """Select assets of one group of the open graph: the first in the graph, the others in the list beside it."""
        self.page.locator("svg").get_by_text(first, exact=True).filter(visible=True).click()
        for asset in others:
            self._button(asset).click(modifiers=["Shift"])

    # An asset's page

    def open_plots(self) -> int:
        """The open asset's figures as plots, the first ones in sight; returns how many there are."""
        self.press("Plots")
        plots = self.page.locator("canvas")
        plots.first.wait_for()
        self._button("Plots").evaluate("button => button.scrollIntoView({ block: 'start', behavior: 'instant' })")
        self.page.wait_for_load_state("networkidle")
        return plots.count()

    # Materializing

    def materialize_selected(self) -> None:
        """Materialize what is selected in the graph; what has partitions opens the dialog."""
        self._button("Materialize selected").click()

    def materialize(self, asset: str) -> None:
        """Materialize an asset without partitions for the first time, and wait until that is done."""
        self.visit(f"/assets/{asset}", "Never materialized")
        self._button(re.compile("Materialize$")).click()
        expect(self.page.get_by_text("Never materialized")).to_have_count(0, timeout=PATIENCE_MS)

    def choose_partitions(self, which: str) -> Sequence[str]:
        """Click All, Failed or Missing in the open dialog; the partitions that are then chosen."""
        self._dialog().get_by_role("button", name=which, exact=True).click()
        expect(self._launch_button()).to_be_enabled(timeout=PATIENCE_MS)
        return self._dialog().get_by_text(_KEY).filter(visible=True).all_inner_texts()

    def take_dialog(self, picture: Path) -> None:
        """A picture of the open dialog alone."""
        self._dialog().screenshot(path=picture)

    def launch(self) -> None:
        """Confirm the open dialog."""
        self._launch_button().click()
        expect(self._dialog()).to_have_count(0, timeout=PATIENCE_MS)

    # Partitions of an asset

    def open_partitions(self, asset: str) -> None:
        """The partitions tab of an asset's page, by way of the catalog."""
        self.follow("Catalog")
        self.page.get_by_role("link", name=asset).first.click()
        self.page.get_by_role("tab", name="Partitions").click()
        self._state("Missing").wait_for()

    def wait_for_partitions(self, **counts: int) -> None:
        """Wait until the open partitions tab says these numbers, as in `failed=1, materialized=3`."""
        for state, count in counts.items():
            self.page.get_by_text(f"{state.capitalize()} ({count})", exact=True).wait_for()

    def partitions_that_are(self, state: str) -> Sequence[str]:
        """The partitions of the open tab in one state, found by unticking the other states for a while."""
        others = [other for other in _STATES if other != state]
        count = int(re.sub(r"\D", "", self._state(state).inner_text()))
        for other in others:
            self._state(other).click()
        expect(self._keys_shown()).to_have_count(count, timeout=PATIENCE_MS)
        found = self._keys_shown().all_inner_texts()
        for other in others:
            self._state(other).click()
        return found

    def open_partition(self, key: str, sign: Text) -> str:
        """Click a partition of the open tab; what the page then says."""
        self.page.get_by_text(key, exact=True).filter(visible=True).first.click()
        return self.read(sign)

    def open_backfill(self) -> str:
        """The newest backfill's page, by way of the runs; what it says."""
        self.follow("Runs")
        self.page.locator("a[href^='/runs/b/']").first.click()
        return self.read("completed")

    # Automation

    def open_automation(self, name: str) -> None:
        """The page of a sensor or schedule, by way of the menu."""
        self.follow("Automation")
        self.page.get_by_role("link", name=name).click()
        self._switch().wait_for()

    def switch_on(self) -> None:
        """Switch the open sensor or schedule on."""
        # The input itself is hidden behind a drawing.
        self._switch().locator("label").click()
        expect(self._switch().get_by_role("checkbox")).to_be_checked(timeout=PATIENCE_MS)

    def can_switch(self) -> bool:
        """Whether the switch of the open sensor or schedule is more than grey."""
        return self._switch().get_by_role("checkbox").is_enabled()

    # Parts

    def _switch(self) -> Locator:
        return self.page.get_by_role("row", name=re.compile("^Running"))

    def _button(self, name: Text) -> Locator:
        return self.page.get_by_role("button", name=name)

    def _dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def _launch_button(self) -> Locator:
        # "Launch 1 run", or "Launch backfill" when there may be more.
        return self._dialog().get_by_role("button", name=re.compile("^Launch"))

    def _nodes(self) -> Locator:
        return self.page.locator("foreignObject").filter(has_text=re.compile(r"\w"))

    def _state(self, name: str) -> Locator:
        return self.page.get_by_text(re.compile(rf"^{name} \(\d+\)$"))

    def _keys_shown(self) -> Locator:
        return self.page.get_by_text(_KEY).filter(visible=True)
