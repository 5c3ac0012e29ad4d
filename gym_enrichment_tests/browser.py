"""A real Chromium for tests and pictures of the report page: the machine's own, never a downloaded one.

What must not live here: what a page is tested for.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NO_CHROMIUM = "no chromium on this machine: apt-get install chromium"
# Chromium looks for updates and hosts of its own at every start; nothing here may leave the machine.
_QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")

PHONE = {"width": 360, "height": 780}
DESKTOP = {"width": 1280, "height": 900}


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


def take_picture(browser: Browser, page_file: Path, picture: Path, *, dark: bool = False, phone: bool = False) -> None:
    """A PNG of the top of a page, as tall as its key figures, charts and comparison, or as a phone shows it."""
    size = PHONE if phone else {"width": 1080, "height": 1500}
    context = browser.new_context(viewport=size, color_scheme="dark" if dark else "light", device_scale_factor=1)
    try:
        page = context.new_page()
        page.goto(page_file.as_uri())
        page.screenshot(path=picture)
    finally:
        context.close()
