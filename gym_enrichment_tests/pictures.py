"""`make pictures`: docs/pictures, the report page of the demo and Dagster's UI (dagster_pictures.py).

For the page all variants are run and the golden set is evaluated, so that each section has something to show. The
offline engine costs nothing: its tokens are priced as PRICES says.
"""

import os
import subprocess
import sys
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

from playwright.sync_api import ViewportSize

from gym_enrichment_tests.browser import PHONE, open_browser, take_picture
from gym_enrichment_tests.dagster_pictures import take_dagster_pictures

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
_TALL: ViewportSize = {"width": 1080, "height": 1400}
# Dollars per million tokens: gpt-4o-mini's.
PRICES = {"GYM_LLM_PRICE_PROMPT": "0.15", "GYM_LLM_PRICE_COMPLETION": "0.60"}


def main() -> None:
    """Make the page and a Dagster instance in folders of their own, and take their pictures."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        _make_page(folder, page)
        PICTURES.mkdir(exist_ok=True)
        with open_browser() as browser:
            take_picture(browser, page, PICTURES / "report-light.png", _TALL)
            take_picture(browser, page, PICTURES / "report-dark.png", _TALL, dark=True, gallery=True)
            take_picture(browser, page, PICTURES / "report-phone.png", PHONE)
            take_dagster_pictures(browser, Path(folder) / "dagster", PICTURES, PRICES)


def _make_page(home: str, page: Path) -> None:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("GYM_", "OPENAI_", "DAGSTER_"))}
    environment = ours | {"GYM_HOME": home, "GYM_LLM": "offline"} | PRICES

    def run(*arguments: str) -> None:
        command = [sys.executable, "-c", "from gym_enrichment.cli import main; main()", *arguments]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)

    with as_file(files("gym_enrichment") / "sample") as sample:
        run("ingest", str(sample / "gyms.jsonl"), str(sample / "reviews.jsonl"))
    for variant in ("fanout", "packed", "combined"):
        run("run", "--variant", variant)
    run("run", "--batches", "batch-000001")
    run("eval")
    run("report", "-o", str(page))


if __name__ == "__main__":
    main()
