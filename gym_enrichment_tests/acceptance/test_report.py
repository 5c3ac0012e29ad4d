"""The report page as people use it: made by the command and by Dagster, read in a real Chromium."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import update

from gym_enrichment.storage.tables import reviews
from gym_enrichment_tests.acceptance.conftest import User, new_user, write_jsonl
from gym_enrichment_tests.browser import CHROMIUM, DESKTOP, NO_CHROMIUM, PHONE, open_browser

in_chromium = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)

HOSTILE = '</script><script>document.title="hacked"</script><img src="http://evil.example/x" onerror="alert(1)">'
SAUNA = "Un très beau sauna. </script><b>gras</b> http://evil.example/"
GYMS: list[dict[str, Any]] = [
    {"place_id": "hostile", "name": HOSTILE, "city": "Oran"},
    {"place_id": "women", "name": "Forme Élégance", "city": "Béjaïa", "hours": ["Monday: 6:00 AM – 10:00 PM"]},
    *({"place_id": f"g{n:02d}", "name": f"Salle {n:02d} " + "très" * 20, "city": "Oran"} for n in range(28)),
]
REVIEWS: list[dict[str, Any]] = [
    {"review_id": "h1", "place_id": "hostile", "text": "Un très beau sauna."},
    {"review_id": "w1", "place_id": "women", "text": "Salle réservée aux femmes le matin, avec un sauna et un hammam."},
    *({"review_id": f"r{n:02d}", "place_id": f"g{n:02d}", "text": "Parking et vestiaires." * 3} for n in range(28)),
]


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> User:
    """Someone whose thirty gyms are enriched."""
    user = new_user(tmp_path_factory.mktemp("report"), GYM_LLM="offline")
    sources = [
        write_jsonl(user.folder / f"{name}.jsonl", rows) for name, rows in (("gyms", GYMS), ("reviews", REVIEWS))
    ]
    user.cli("ingest", *sources).succeeded()
    user.cli("run").succeeded()
    # No prompt would have had it like this: a page that quotes it must not depend on that.
    with user.database.write() as connection:
        connection.execute(update(reviews).where(reviews.c.review_id == "h1").values(text=SAUNA))
    return user


@pytest.fixture(scope="module")
def report(owner: User) -> Path:
    made = owner.cli("report", "-o", "page.html").succeeded()
    assert "30 gyms in the gallery" in made.err
    return owner.work / "page.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@dataclass
class Visit:
    """A page, and what went wrong or left the machine while it was open."""

    page: Page
    errors: list[str]
    requests: list[str]


@pytest.fixture
def visit(browser: Browser, report: Path, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """The open report; afterwards nothing may have failed, run that should not, or been asked of the network."""
    options: dict[str, Any] = {"viewport": DESKTOP, **getattr(request, "param", {})}
    context = browser.new_context(**options)
    visit = Visit(context.new_page(), [], [])
    visit.page.on("console", lambda message: visit.errors.append(message.text))
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))
    visit.page.on("dialog", lambda dialog: (visit.errors.append("dialog"), dialog.dismiss()))
    context.on("request", lambda sent: visit.requests.append(sent.url))
    visit.page.goto(report.as_uri())
    yield visit
    assert visit.errors == []
    assert [url for url in visit.requests if not url.startswith(("file:", "data:"))] == []
    context.close()


def count(page: Page, text: str) -> None:
    expect(page.locator("#count")).to_have_text(text)


@in_chromium
def test_search_without_accents_and_filters_that_add_up(visit: Visit) -> None:
    page = visit.page
    count(page, "30 salles")
    page.get_by_label("Rechercher").fill("bejaia ELEGANCE")
    count(page, "1 salle")
    page.get_by_role("button", name="Effacer les filtres").click()
    count(page, "30 salles")
    page.locator("#amenity-box summary").click()
    page.get_by_label(re.compile("^Sauna")).check()
    count(page, "2 salles")
    page.get_by_label(re.compile("^Hammam")).check()
    count(page, "1 salle")
    page.get_by_label(re.compile("^Hammam")).uncheck()
    page.get_by_label("Ville").select_option("Oran")
    count(page, "1 salle")
    page.get_by_label("Ville").select_option("")
    page.get_by_label(re.compile("réservés aux femmes")).check()
    count(page, "1 salle")
    page.get_by_label("Rechercher").fill("introuvable")
    count(page, "Aucune salle ne correspond.")


@in_chromium
def test_pages_hold_few_gyms_and_turning_them_moves_the_focus(visit: Visit) -> None:
    page = visit.page
    expect(page.locator(".gym")).to_have_count(24)
    page.get_by_role("button", name="Suivante").click()
    expect(page.locator(".gym")).to_have_count(6)
    expect(page.locator("#count")).to_be_focused()
    expect(page.get_by_role("button", name="Suivante")).to_be_disabled()


@in_chromium
def test_a_hostile_gym_is_shown_as_the_text_it_is(visit: Visit) -> None:
    page = visit.page
    page.get_by_label("Rechercher").fill("evil.example")
    card = page.locator(".gym")
    expect(card.locator("h3")).to_have_text(HOSTILE)
    card.get_by_role("button", name=re.compile("^Sauna")).click()
    expect(card.locator("blockquote").first).to_have_text(SAUNA)
    assert page.locator(".gym :is(img, script, a, b:not(.proof b))").count() == 0
    assert "rapport" in page.title()


@in_chromium
def test_keys_alone_open_evidence_and_change_the_theme(visit: Visit) -> None:
    page = visit.page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_label("Rechercher").focus()
    page.keyboard.type("elegance")
    count(page, "1 salle")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('.chips') !== null"):
            break
    page.keyboard.press("Enter")
    chip = page.locator(".chips button:focus")
    expect(chip).to_have_attribute("aria-expanded", "true")
    expect(page.locator(".proof blockquote").first).to_contain_text("réservée aux femmes le matin")
    page.keyboard.press("Space")
    expect(chip).to_have_attribute("aria-expanded", "false")
    expect(page.locator(".proof")).to_be_hidden()


CONTRASTS = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (color) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgb(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")].flatMap((element) => {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest(":disabled, .sr, script, style")) return [];
    const style = getComputedStyle(element);
    const pair = [light(rgb(element instanceof SVGElement ? style.fill : style.color)), light(behind(element))];
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    return ratio < 4.5 ? [`${element.tagName}.${element.getAttribute("class")} ${ratio.toFixed(2)}`] : [];
  });
}
"""


@in_chromium
@pytest.mark.parametrize("visit", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_every_text_has_enough_contrast_in_both_themes(visit: Visit, request: pytest.FixtureRequest) -> None:
    page = visit.page
    page.locator(".chips button").first.click()
    assert page.evaluate(CONTRASTS) == []
    dark = request.node.callspec.params["visit"]["color_scheme"] == "dark"
    expect(page.locator("#theme")).to_have_text("Thème clair" if dark else "Thème sombre")
    page.locator("#theme").click()
    assert page.evaluate(CONTRASTS) == []


@in_chromium
@pytest.mark.parametrize("visit", [{"viewport": PHONE, "has_touch": True}], indirect=True)
def test_a_phone_never_scrolls_sideways(visit: Visit) -> None:
    page = visit.page
    for button in page.locator(".gym").first.locator(".chips button").all():
        button.click()
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


@in_chromium
def test_landmarks_and_controls_have_names(visit: Visit) -> None:
    page = visit.page
    for role in ("banner", "main", "contentinfo", "search"):
        expect(page.get_by_role(role)).to_have_count(1)
    nameless = """() => [...document.querySelectorAll("button, input, select, summary, [role=img], [role=region]")]
        .filter((e) => !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).length"""
    assert page.evaluate(nameless) == 0
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    assert all(link[1:] in ids for link in page.evaluate("[...document.links].map((a) => a.getAttribute('href'))"))


def test_the_gallery_is_capped_and_says_so(owner: User) -> None:
    made = owner.cli("report", "--gyms", "3", "-o", "small.html").succeeded()
    assert "3 gyms in the gallery, 27 left out" in made.err
    assert "27 salles plus anciennes" in (owner.work / "small.html").read_text(encoding="utf-8")


def test_a_file_that_cannot_be_written_is_refused(owner: User) -> None:
    refused = owner.cli("report", "-o", "no/such/folder.html").failed_with(2)
    assert "error: cannot write no/such/folder.html" in refused.err


def test_the_asset_writes_the_page_below_gym_home(owner: User) -> None:
    owner.dagster(
        "asset", "materialize", "--select", "enrichment_report", "-m", "gym_enrichment.definitions"
    ).succeeded()
    page = owner.home / "exports" / "report.html"
    with owner.instance() as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("enrichment_report"))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    assert metadata["path"] == str(page)
    assert metadata["bytes"] == page.stat().st_size
    assert (metadata["gyms"], metadata["gyms_in_gallery"], metadata["failed_gyms"]) == (30, 30, 0)
