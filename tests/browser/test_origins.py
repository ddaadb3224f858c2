"""A page of another origin, in a real Chromium: a listed one reads, another one gets nothing.

All have one host, so to a browser they are one site: it sends the cookies to each.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest
from playwright.sync_api import Page

from tests.harness.http import request
from tests.serving.members import Members

pytestmark = [pytest.mark.browser, pytest.mark.serving]

STREAM = """([url, withCredentials]) => new Promise((done) => {
    const source = new EventSource(url, { withCredentials });
    source.onmessage = ({ data }) => { source.close(); done(JSON.parse(data).body); };
    source.onerror = () => source.readyState === EventSource.CLOSED && done("refused");
})"""
# A preflight comes before it, for these headers.
FETCH = """async ([url, token]) => {
    try {
        const headers = { "Last-Event-ID": "0", "X-Ours": "x" };
        if (token) headers.Authorization = token;
        const reply = await fetch(url, { headers, credentials: "include" });
        const link = reply.headers.get("Link");
        return [reply.status, link !== null];
    } catch (error) {
        return error.name;
    }
}"""


class Blank(BaseHTTPRequestHandler):
    """A page without anything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silence."""


class Sites(NamedTuple):
    """The server of the rows, and two that have a page each."""

    rows: Members
    listed: str
    other: str


@contextmanager
def blank_pages() -> Iterator[str]:
    """The origin of a server of such pages."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Blank) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    with ExitStack() as stack:
        listed, other = (stack.enter_context(blank_pages()) for _ in range(2))
        folder = tmp_path_factory.mktemp("origins")
        rows = stack.enter_context(Members(folder, workers=1, env={"ORIGINS": listed}))
        rows.insert("a note")
        yield Sites(rows.wait_ready(), listed, other)


@pytest.fixture
def member(sites: Sites, page: Page) -> Page:
    """A page in the browser of somebody who is logged in."""
    token = sites.rows.login("ann")["Authorization"]
    page.context.add_cookies([{"name": "session", "value": token, "url": sites.rows.url}])
    return page


def test_a_listed_page_reads_with_the_users_cookies(sites: Sites, member: Page) -> None:
    member.goto(sites.listed)
    url = f"{sites.rows.url}/stream/notes?last_event_id=0"
    assert member.evaluate(STREAM, [url, True]) == "a note"
    rows = f"{sites.rows.url}/rows/notes?after=0"
    assert member.evaluate(FETCH, [rows, ""]) == [200, True]


def test_it_reads_why_it_is_refused(sites: Sites, page: Page) -> None:
    page.goto(sites.listed)
    assert page.evaluate(FETCH, [f"{sites.rows.url}/rows/notes", "wrong"]) == [401, False]


def test_another_page_gets_nothing_and_no_place(sites: Sites, member: Page) -> None:
    """The browser brings the cookies along, for it is the same site."""
    refused = sites.rows.metric("rowcast_refused_total")
    opened = sites.rows.metric("rowcast_streams_total")
    member.goto(sites.other)
    for credentials in (True, False):
        url = f"{sites.rows.url}/stream/notes?last_event_id=0"
        assert member.evaluate(STREAM, [url, credentials]) == "refused"
    assert sites.rows.metric("rowcast_refused_total") == refused + 2
    assert member.evaluate(FETCH, [f"{sites.rows.url}/rows/notes?after=0", ""]) == "TypeError"
    assert sites.rows.metric("rowcast_streams_total") == opened


def test_a_signed_address_is_read_in_any_page(sites: Sites, page: Page) -> None:
    page.goto(sites.other)
    url = request(f"{sites.rows.url}/address").text + "&last_event_id=0"
    assert page.evaluate(STREAM, [url, False]) == "a note"
