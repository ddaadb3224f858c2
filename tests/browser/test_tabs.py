"""Tabs of one browser share a connection, and none of them misses a row for it.

Each tab collects what `rowcast()` gives it; the tab that opened the stream last is the one that
leads. All of them speak HTTP/1.1, of which a browser opens six connections to a host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Error, Page, Request

from tests.browser.conftest import Wall, answer_stream, stream_of, until
from tests.harness.gunicorn import INSERTS
from tests.harness.process import wait_until

pytestmark = pytest.mark.browser

APP = INSERTS  # a tab from now on begins where the others are; of changes: test_tabs_changes.py

TABS = 8
SOON_S = 60.0
LONG_MS = 600_000  # of silence: however busy the machine is, no tab is taken for mute
START = """async ([from, ours, silenceMs]) => {
    const { rowcast } = await import("/rowcast.mjs");
    window.rows = [];
    window.states = [];
    window.source = rowcast("/stream", {
        from, silenceMs,
        onRow: ({ body }) => body.startsWith(ours) && rows.push(body),
        onState: ({ name }) => states.push(name),
    });
}"""
# A channel that hears nothing while `deaf` is true.
DEAFNESS = """
    const channel = BroadcastChannel.prototype;
    const { set } = Object.getOwnPropertyDescriptor(channel, "onmessage");
    Object.defineProperty(channel, "onmessage", {
        set(hear) { set.call(this, (event) => window.deaf || hear(event)); },
    });
"""
numbers = count(1)


class Tab:
    """One tab with a stream, and the requests that it has made for one."""

    def __init__(self, context: BrowserContext, url: str, *options: str | int) -> None:
        self.asked = 0
        self.page = context.new_page()
        self.page.on("request", self._count)
        self.page.goto(url)
        self.page.evaluate(START, [*options])

    def _count(self, request: Request) -> None:
        self.asked += request.url.endswith("/stream")

    @property
    def rows(self) -> list[str]:
        rows: list[str] = self.page.evaluate("rows")
        return rows

    @property
    def state(self) -> str:
        return str(self.page.evaluate("source.state.name"))

    @property
    def id(self) -> str:
        return str(self.page.evaluate("source.lastEventId"))

    def wait_live(self) -> None:
        until(self.page, lambda: self.state == "live", "it is live", SOON_S)

    def wait_rows(self, rows: list[str]) -> None:
        """Until it has the last of them; and then it has each once, in order."""
        until(self.page, lambda: self.rows[-1:] == rows[-1:], "all rows", SOON_S)
        assert self.rows == rows

    def wait_for_state(self, name: str) -> None:
        until(self.page, lambda: name in self.page.evaluate("states"), name, SOON_S)


class Tabs:
    """All tabs of one browser, and the rows that they are to have: those of this test."""

    def __init__(self, context: BrowserContext, wall: Wall) -> None:
        self.wall = wall
        self.all: list[Tab] = []
        self.written: list[str] = []
        self._context = context
        self._ours = f"test {next(numbers)}:"

    def open(self, how_many: int, start_at: str = "", silence_ms: int = LONG_MS) -> list[Tab]:
        url, options = self.wall.blank, (start_at, self._ours, silence_ms)
        new = [Tab(self._context, url, *options) for _ in range(how_many)]
        self.all += new
        return new

    def insert(self, how_many: int) -> None:
        rows = [f"{self._ours} {next(numbers)}" for _ in range(how_many)]
        self.wall.insert(*rows)
        self.written += rows

    def wait_live(self, tabs: list[Tab] | None = None) -> None:
        for tab in tabs or self.all:
            tab.wait_live()

    def wait_all_have(self, tabs: list[Tab] | None = None) -> None:
        for tab in tabs or self.all:
            tab.wait_rows(self.written)

    def wait_for_one_connection(self) -> None:
        streams = "rowcast_streams_open"
        wait_until(lambda: self.wall.server.metric(streams) == 1, SOON_S, "one connection")

    @property
    def leader(self) -> Tab:
        """The one that asked for the stream when the first one opened."""
        return next(tab for tab in self.all if tab.asked)


@pytest.fixture
def tabs(wall: Wall, chromium: Browser) -> Iterator[Tabs]:
    context = chromium.new_context()
    yield Tabs(context, wall)
    context.close()


@pytest.fixture
def eight(tabs: Tabs) -> Tabs:
    """Eight tabs that are live, with one connection, and some rows."""
    tabs.open(1)
    tabs.wait_live()
    tabs.open(TABS - 1)
    tabs.wait_live()
    tabs.insert(3)
    tabs.wait_all_have()
    return tabs


def test_eight_tabs_have_one_connection(eight: Tabs) -> None:
    eight.wait_for_one_connection()
    assert not any(tab.asked for tab in eight.all[1:])
    eight.insert(200)
    eight.wait_all_have()
    assert len({tab.id for tab in eight.all}) == 1


def test_eight_tabs_opened_at_once_have_one_connection(tabs: Tabs) -> None:
    """As a browser does that restores its tabs. They begin at the beginning of the table."""
    tabs.insert(20)
    tabs.open(TABS, "0")
    tabs.insert(20)
    tabs.wait_live()
    tabs.wait_all_have()
    tabs.wait_for_one_connection()
    tabs.insert(20)
    tabs.wait_all_have()


def test_the_leading_tab_is_closed(eight: Tabs) -> None:
    for _ in range(3):
        leader = eight.all.pop(0)
        eight.insert(2)
        leader.page.close()
        eight.insert(2)
        eight.wait_all_have()
        eight.wait_live()
    eight.wait_for_one_connection()


def test_the_leading_tab_crashes(eight: Tabs) -> None:
    leader, last = eight.leader, eight.all[-1]
    crashed: list[Page] = []

    def note(page: Page) -> None:
        crashed.append(page)

    leader.page.on("crash", note)
    devtools = leader.page.context.new_cdp_session(leader.page)
    eight.insert(2)
    with pytest.raises(Error):
        devtools.send("Page.crash", timeout=100)  # nobody is left to answer
    until(last.page, lambda: bool(crashed), "the crash", SOON_S)
    eight.insert(2)
    eight.all.remove(leader)
    eight.wait_all_have()
    eight.wait_live()
    eight.wait_for_one_connection()


def test_a_leading_tab_that_does_not_answer_is_replaced(
    start_wall: Callable[..., Wall], chromium: Browser
) -> None:
    """Somebody looks at its alert() for a while."""
    context = chromium.new_context()
    tabs = Tabs(context, start_wall(ROWCAST_HEARTBEAT="0.5"))
    leader, *others = tabs.open(3, silence_ms=4000)
    tabs.wait_live()
    dialogs: list[Dialog] = []

    def leave_open(dialog: Dialog) -> None:
        dialogs.append(dialog)

    leader.page.on("dialog", leave_open)
    leader.page.evaluate("setTimeout(() => alert('look at this'))")
    until(others[0].page, lambda: bool(dialogs), "the alert is there", SOON_S)
    tabs.insert(3)
    tabs.wait_all_have(others)
    tabs.wait_live(others)
    dialogs[0].dismiss()
    tabs.insert(3)
    tabs.wait_all_have()
    tabs.wait_live()
    tabs.wait_for_one_connection()
    context.close()


def test_a_tab_that_joins_gets_what_it_lacks_from_the_others(eight: Tabs) -> None:
    before = eight.all[0].id
    eight.insert(5)
    eight.wait_all_have()
    (late,) = eight.open(1, before)
    eight.wait_live()
    late.wait_rows(eight.written[-5:])
    assert not late.asked


def test_a_tab_at_an_id_that_no_other_knows_catches_up_by_itself(
    start_wall: Callable[..., Wall], chromium: Browser
) -> None:
    """From one worker, all have the same ids from the next row on; from two workers, from the next
    minute on, which would take long."""
    context = chromium.new_context()
    tabs = Tabs(context, start_wall())
    tabs.open(1)
    tabs.wait_live()
    tabs.open(2)
    tabs.wait_live()  # they begin "from now"
    tabs.insert(3)
    tabs.wait_all_have()
    (late,) = tabs.open(1, "0")
    tabs.wait_all_have()
    assert late.asked

    def met() -> bool:
        tabs.insert(1)
        return tabs.wall.server.metric("rowcast_streams_open") == 1

    wait_until(met, SOON_S, "one connection", step_s=0.5)
    tabs.insert(2)
    tabs.wait_all_have()
    context.close()


def test_the_server_dies_and_all_tabs_say_so(
    start_wall: Callable[..., Wall], chromium: Browser
) -> None:
    context = chromium.new_context()
    tabs = Tabs(context, start_wall())
    tabs.open(3)
    tabs.wait_live()
    tabs.insert(2)
    tabs.wait_all_have()
    assert tabs.wall.server.child is not None
    tabs.wall.server.child.end()
    for tab in tabs.all:
        tab.wait_for_state("waiting")
    tabs.insert(2)
    tabs.wall.server.start()
    tabs.wait_all_have()
    tabs.wait_live()
    tabs.wait_for_one_connection()
    assert all(tab.page.evaluate("states.at(-1)") == "live" for tab in tabs.all)
    context.close()


def test_a_tab_that_did_not_hear_the_leader_notices(wall: Wall, chromium: Browser) -> None:
    context = chromium.new_context()
    context.add_init_script(DEAFNESS)
    tabs = Tabs(context, wall)
    _, deaf = tabs.open(2)
    tabs.wait_live()
    tabs.insert(2)
    tabs.wait_all_have()
    deaf.page.evaluate("window.deaf = true")
    tabs.insert(2)
    tabs.wait_all_have(tabs.all[:1])
    assert deaf.rows == tabs.written[:2]
    deaf.page.evaluate("window.deaf = false")
    tabs.insert(2)
    tabs.wait_all_have()
    context.close()


def test_without_locks_each_tab_has_a_connection(wall: Wall, chromium: Browser) -> None:
    """As on plain http in a LAN."""
    context = chromium.new_context()
    context.add_init_script("Object.defineProperty(navigator, 'locks', { value: undefined })")
    tabs = Tabs(context, wall)
    tabs.open(2)
    tabs.wait_live()
    tabs.insert(3)
    tabs.wait_all_have()
    assert [tab.asked for tab in tabs.all] == [1, 1]
    context.close()


def test_with_headers_of_its_own_a_tab_has_a_connection(wall: Wall, page: Page) -> None:
    """Another login may see other rows."""
    asked = answer_stream(page, **stream_of("retry: 60000\n", "event: live\ndata: {}\n\n"))
    page.goto(wall.blank)
    page.evaluate(
        """async () => {
            const { rowcast } = await import("/rowcast.mjs");
            const init = { headers: new Headers({ "X-Api-Key": "mine" }) };
            window.sources = [1, 2].map(() => rowcast("/stream", { init, from: "e.1" }));
        }"""
    )
    until(page, lambda: len(asked) == 2, "two connections", SOON_S)
    assert all(headers["x-api-key"] == "mine" for headers in asked)
    assert all(headers["last-event-id"] == "e.1" for headers in asked)
