"""Pages that come back: from the back-forward cache, and with a laptop that slept."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Wall, live, until
from tests.harness.chromium import launch
from tests.harness.process import wait_until

pytestmark = pytest.mark.browser

BOUND_S = 60.0
AN_HOUR_LATER = "const now = Date.now; Date.now = () => now() + 3_600_000"


@pytest.fixture
def caching(chromium: Browser) -> Iterator[Browser]:
    """A browser that keeps pages for the way back, which playwright's otherwise does not."""
    without = ["--disable-back-forward-cache"]
    browser = launch(chromium.browser_type, ignore_default_args=without)
    yield browser
    browser.close()


def test_a_page_from_the_back_forward_cache_goes_on(
    start_wall: Callable[..., Wall], caching: Browser
) -> None:
    wall = start_wall()
    page = caching.new_page()
    page.goto(wall.url)
    live(page)
    page.evaluate("window.kept = true")
    page.goto(wall.blank)
    streams = "rowcast_streams_open"
    wait_until(lambda: wall.server.metric(streams) == 0, BOUND_S, "its connection has ended")
    wall.insert("while it was put aside")
    page.go_back(wait_until="commit")
    expect(page.locator("#feed article").first).to_contain_text("while it was put aside")
    assert page.evaluate("kept")  # the page that was left, not a new one
    live(page)


def test_a_connection_that_slept_is_replaced(wall: Wall, open_page: Callable[..., Page]) -> None:
    """Timers stand still meanwhile, and the other end may have gone; the clock tells."""
    page = live(open_page(wall.url))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(AN_HOUR_LATER)
    until(page, lambda: f"{wall.url}/stream" in asked, "another connection", BOUND_S)
    wall.insert("after the sleep")
    expect(page.locator("#feed article").first).to_contain_text("after the sleep")
    live(page)
