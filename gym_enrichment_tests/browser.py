"""A real Chromium for tests and pictures of pages: the machine's own, never a downloaded one.

What must not live here: what a page is tested for.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, ViewportSize, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NO_CHROMIUM = "no chromium on this machine: apt-get install chromium"
# Chromium looks for updates and hosts of its own at every start; nothing here may leave the machine.
_QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")

PHONE: ViewportSize = {"width": 360, "height": 780}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}


@contextmanager
def open_browser() -> Iterator[Browser]:
    """The browser, without a sandbox: it runs as root in containers, and only shows files of ours."""
    assert CHROMIUM is not None, NO_CHROMIUM
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*_QUIET, "--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def take_picture(
    browser: Browser, page_file: Path, picture: Path, size: ViewportSize, *, dark: bool = False, gallery: bool = False
) -> None:
    """A PNG of the top of a page, or of its gallery with the evidence for one fact."""
    context = browser.new_context(viewport=size, color_scheme="dark" if dark else "light")
    try:
        page = context.new_page()
        page.goto(page_file.as_uri())
        if gallery:
            page.locator(".chips button").first.click()
            page.evaluate("document.querySelector('#salles').scrollIntoView({ behavior: 'instant' })")
        page.screenshot(path=picture)
    finally:
        context.close()
