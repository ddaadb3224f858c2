"""A wall on a real server and pages of a real Chromium to look at it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.harness.gunicorn import WALL, Gunicorn
from tests.harness.process import wait_until
from tests.harness.sql import execute, insert_posts

EXPECT_MS = 30_000
FAST = {"ROWCAST_RETRY": "200", "ROWCAST_IDLE_INTERVAL": "0.1"}

expect.set_options(timeout=EXPECT_MS)


class Wall:
    """A server, its database, and whoever writes into it from the side."""

    def __init__(self, server: Gunicorn, database_url: str) -> None:
        self.server = server
        self.database_url = database_url

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def blank(self) -> str:
        """A page that may load scripts of the server, and has none."""
        return f"{self.url}/nothing-here"

    def insert(self, *bodies: str, author: str = "outside") -> None:
        insert_posts(self.database_url, bodies, author=author)

    def wait_polled(self) -> None:
        """Until the worker knows all rows: a page opened before gets the rest from its stream."""

        def known() -> bool:
            cursor = re.search(r'data-cursor="([^"]+)"', self.server.get("/").text)
            return cursor is not None and "!" not in cursor[1]

        wait_until(known, 60, "the poller has caught up")

    def execute(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return execute(self.database_url, sql, parameters)


@pytest.fixture(scope="module")
def wall(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Wall]:
    """One wall for all tests of a module, on two workers; what is on it is nobody's business. A
    module whose `APP` is `INSERTS` has a feed of new posts."""
    app = getattr(request.module, "APP", WALL)
    folder = tmp_path_factory.mktemp("wall")
    url = f"sqlite:///{folder / 'rowcast.sqlite3'}"
    with Gunicorn(folder, {"DATABASE_URL": url, **FAST}, workers=2, app=app) as server:
        yield Wall(server.wait_ready(), url)


@pytest.fixture
def start_wall(start_gunicorn: Callable[..., Gunicorn], tmp_path: Path) -> Callable[..., Wall]:
    """start_wall(NAME="value", …): an empty wall of its own."""

    def start(*, ready: bool = True, **env: str) -> Wall:
        url = env.pop("DATABASE_URL", f"sqlite:///{tmp_path / 'rowcast.sqlite3'}")
        server = start_gunicorn({"DATABASE_URL": url, **FAST, **env}, app=WALL)
        return Wall(server.wait_ready() if ready else server, url)

    return start


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """open_page(url, color_scheme="dark", …): a page in a context of its own."""
    with ExitStack() as stack:

        def open_one(url: str, **options: Any) -> Page:
            context = chromium.new_context(**options)
            stack.callback(context.close)
            context.set_default_timeout(EXPECT_MS)
            page = context.new_page()
            page.goto(url)
            return page

        yield open_one


def live(page: Page) -> Page:
    """The page, once it has its stream."""
    expect(page.locator("#chip")).to_have_text("Live")
    return page


def bodies(page: Page) -> list[str]:
    return page.locator("#feed .body").all_inner_texts()


def answer_stream(page: Page, **answer: Any) -> list[dict[str, str]]:
    """From now on streams get this; returns a list that fills with the requests' headers."""
    asked: list[dict[str, str]] = []

    def reply(route: Route) -> None:
        asked.append(route.request.all_headers())
        route.fulfill(**answer)

    page.route("**/stream", reply)
    return asked


def stream_of(*frames: str) -> dict[str, Any]:
    return {"status": 200, "content_type": "text/event-stream", "body": "".join(frames)}


def until(page: Page, fact: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
    """Waits while the page goes on; the browser's events are only delivered in its calls."""

    def look() -> bool:
        page.wait_for_timeout(20)
        return fact()

    wait_until(look, timeout_s, what)


def set_hidden(page: Page, hidden: bool) -> None:
    """As if the tab had been left, or come back to; headless pages are always visible."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
