"""A tab that the browser freezes, which leads or follows: no other misses a row, nor does it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import Wall
from tests.browser.undriven import Undriven, UndrivenTab
from tests.harness.gunicorn import INSERTS
from tests.harness.process import wait_until

pytestmark = pytest.mark.browser

APP = INSERTS  # a tab from now on begins where the others are; of changes: test_tabs_changes.py

TABS = 8
SOON_S = 60.0
# So much silence is allowed that, however busy the machine is, no tab is taken for mute.
START = """(async () => {{
    const {{ rowcast }} = await import("/rowcast.mjs");
    window.rows = [];
    window.events = [];
    for (const name of ["freeze", "resume"])
        document.addEventListener(name, () => events.push(name));
    window.source = rowcast("/stream", {{
        silenceMs: 600_000,
        onRow: ({{ body }}) => body.startsWith("{ours}") && rows.push(body),
    }});
}})()"""
numbers = count(1)


class Tabs:
    """Eight live tabs, the first of which leads, and the rows that all are to have."""

    def __init__(self, wall: Wall, browser: Undriven) -> None:
        self.wall = wall
        self.written: list[str] = []
        self._browser = browser
        self._ours = f"frozen {next(numbers)}:"
        self.all = [self._open() for _ in range(TABS)]

    def _open(self) -> UndrivenTab:
        tab = self._browser.new_tab(self.wall.blank)
        tab.evaluate(START.format(ours=self._ours))
        self._browser.until(lambda: tab.evaluate("source.state.name") == "live")
        return tab

    def insert(self, how_many: int) -> None:
        rows = [f"{self._ours} {next(numbers)}" for _ in range(how_many)]
        self.wall.insert(*rows)
        self.written += rows

    def wait_have_all(self, tabs: list[UndrivenTab]) -> None:
        for tab in tabs:
            self._wait_has_all(tab)

    def _wait_has_all(self, tab: UndrivenTab) -> None:
        """Every row once, in order; and it is live."""
        self._browser.until(lambda: tab.evaluate("rows.at(-1)") == self.written[-1])
        assert tab.evaluate("rows") == self.written
        self._browser.until(lambda: tab.evaluate("source.state.name") == "live")

    def wait_for_one_connection(self) -> None:
        streams = "rowcast_streams_open"
        wait_until(lambda: self.wall.server.metric(streams) == 1, SOON_S, "one connection")


@pytest.fixture
def tabs(wall: Wall, chromium: Browser, page: Page) -> Iterator[Tabs]:
    browser = Undriven(chromium, page)
    yield Tabs(wall, browser)
    browser.close()


@pytest.mark.parametrize("which", [0, TABS - 1], ids=["leads", "follows"])
def test_a_tab_is_frozen_and_thawed(tabs: Tabs, which: int) -> None:
    tabs.insert(2)
    tabs.wait_have_all(tabs.all)
    one = tabs.all[which]
    others = [tab for tab in tabs.all if tab is not one]
    one.lifecycle("frozen")
    tabs.insert(20)
    tabs.wait_have_all(others)
    assert one.evaluate("events") == ["freeze"]
    assert one.evaluate("rows") == tabs.written[:2]  # it stands still
    one.lifecycle("active")
    tabs.wait_have_all(tabs.all)
    tabs.insert(2)
    tabs.wait_have_all(tabs.all)
    assert one.evaluate("events") == ["freeze", "resume"]
    tabs.wait_for_one_connection()
