"""The Chromium found on the machine, started by playwright with nothing but the page in mind."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserType, sync_playwright

from tests.harness.process import PartMissing

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """A headless browser, ended with the block; PartMissing when none can be started."""
    with sync_playwright() as playwright:
        browser = launch(playwright.chromium)
        try:
            yield browser
        finally:
            browser.close()


def launch(kind: BrowserType, **options: Any) -> Browser:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None and Path(kind.executable_path).exists():
        path = kind.executable_path  # from `playwright install chromium`
    if path is None:
        raise PartMissing("no chromium found (make test installs it when run as root)")
    return kind.launch(executable_path=path, args=ARGUMENTS, **options)
