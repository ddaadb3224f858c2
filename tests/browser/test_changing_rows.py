"""Rows that change and go, from the table to several pages at once, through a real server."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import until
from tests.harness.gunicorn import Gunicorn
from tests.recipes.conftest import Shop, create

pytestmark = pytest.mark.browser

SOON_S = 60.0
ROWS = 40
CHANGES = 60
LIST = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<style>#box { height: 200px; overflow-y: auto } li { height: 30px }</style>
<div id="box"><ul id="list"></ul></div>
<row-cast FEED target="#list" order-by="total desc">
  <template>
    <li><b data-field="customer"></b> <i data-field="total"></i> <button>ok</button></li>
  </template>
</row-cast>
<script src="/rowcast.js"></script>"""
FEEDS = {
    "version": 'src="/stream/orders" from="0"',
    "window": 'src="/stream/largest"',
    "window-from-0": 'src="/stream/largest" from="0"',
}
ALL = """SELECT customer || ' ' || total FROM orders WHERE deleted_at IS NULL
    ORDER BY total DESC, id DESC"""
SHOWN = "[...document.querySelectorAll('#list li')].map((li) => li.innerText.replace(' ok', ''))"


class Store(Shop):
    """The shop, and what its table says."""

    def remove_all(self) -> None:
        self._execute("UPDATE orders SET deleted_at = CURRENT_TIMESTAMP WHERE deleted_at IS NULL")

    def shown(self) -> list[str]:
        """What a page is to show of it."""
        with closing(sqlite3.connect(self._database)) as connection:
            return [text for (text,) in connection.execute(ALL)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """On two workers, so that pages do not all ask the same one."""
    folder = tmp_path_factory.mktemp("versions")
    (folder / "pages").mkdir()
    for name, feed in FEEDS.items():
        page = LIST.replace("FEED", feed)
        (folder / "pages" / f"{name}.html").write_text(page, encoding="utf-8")
    database = folder / "shop.sqlite3"
    create(database)
    env = {
        "DATABASE_URL": f"sqlite:///{database}",
        "RECIPES": str(folder / "pages"),
        "ROWCAST_IDLE_INTERVAL": "0.1",
        "ROWCAST_WINDOW_INTERVAL": "0.2",
        "ROWCAST_RETRY": "200",
        "ROWCAST_POST_RATE": "",  # the wall's
    }
    with Gunicorn(folder, env, workers=2, app="tests.recipes.shop:app") as gunicorn:
        yield Store(gunicorn.wait_ready(), database)


@pytest.fixture(params=FEEDS)
def opened(
    request: pytest.FixtureRequest, chromium: Browser, server: Store
) -> Iterator[Callable[[], Page]]:
    """opened(): a tab of one browser, over an empty list. The first has the connection."""
    server.remove_all()
    context = chromium.new_context()

    def open_tab() -> Page:
        page = context.new_page()
        page.goto(f"{server.server.url}/{request.param}.html")
        return page

    yield open_tab
    context.close()


def wait_for_table(server: Store, *pages: Page) -> None:
    """Until each shows what is in the table now."""
    expected = server.shown()
    for page in pages:
        wait_to_show(page, expected)


def wait_to_show(page: Page, rows: list[str]) -> None:
    until(page, lambda: page.evaluate(SHOWN) == rows, "the table", SOON_S)


def test_inserts_edits_and_removals_appear_in_all_tabs(
    server: Store, opened: Callable[[], Page]
) -> None:
    server.insert("Ada", "Grace", "Hedy")
    first, second = opened(), opened()
    wait_for_table(server, first, second)
    server.change("Ada", 99)
    server.remove("Grace")
    server.insert("Mary")
    wait_for_table(server, first, second)
    assert first.evaluate(SHOWN)[0] == "Ada 99"
    late = opened()
    wait_for_table(server, late)
    first.close()  # which had the connection
    server.change("Hedy", 100)
    wait_for_table(server, second, late)


def test_what_is_read_and_what_has_the_focus_stay(
    server: Store, opened: Callable[[], Page]
) -> None:
    server.insert(*(f"reader {number}" for number in range(ROWS)))
    for number in range(ROWS):
        server.change(f"reader {number}", 1_000 + number)
    page = opened()
    wait_for_table(server, page)
    page.evaluate("document.getElementById('box').scrollTop = 600")
    read = page.locator("li", has_text="reader 15 ")
    read.locator("button").focus()
    before = read.bounding_box()
    server.insert("top")
    server.change("top", 5_000)
    server.remove("reader 30")
    server.change("reader 2", 2_000)  # from below to above
    wait_for_table(server, page)
    page.evaluate("new Promise((then) => requestAnimationFrame(() => setTimeout(then)))")
    assert read.bounding_box() == before
    server.change("reader 15", 6_000)
    wait_for_table(server, page)
    expect(read.locator("button")).to_be_focused()


def test_random_changes_lead_to_the_table_in_every_tab(
    server: Store, opened: Callable[[], Page]
) -> None:
    """Tabs come and go meanwhile; some rows are changed much more often than others."""
    chance = random.Random(14)
    names = [f"random {number}" for number in range(20)]
    server.insert(*names)
    tabs = [opened()]
    for number in range(CHANGES):
        name = chance.choice(names[: chance.choice([3, 20])])
        if chance.random() < 0.1:
            server.remove(name)
        else:
            server.change(name, chance.randrange(10_000))
        if number % 15 == 5:
            tabs.append(opened())
        if number % 20 == 19:
            tabs.pop(0).close()
    wait_for_table(server, *tabs)
