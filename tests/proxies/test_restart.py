"""A restart of Rowcast behind each proxy: nobody gives up, nothing is lost, nothing comes twice."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.http import request
from tests.harness.ports import free_port
from tests.harness.process import Child, wait_until
from tests.harness.sse import Stream
from tests.proxies.conftest import BEHIND_A_PROXY, Behind, StartProxy

pytestmark = pytest.mark.serving

OpenStream = Callable[..., Stream]
PART = 10  # rows
TIMEOUT_S = 60.0
EVENT_SOURCE = """url => {
    window.received = [];
    window.drops = 0;
    window.source = new EventSource(url);
    window.source.onmessage = event => window.received.push(JSON.parse(event.data).id);
    window.source.onerror = () => window.drops++;
}"""


@pytest.fixture
def behind(
    start_gunicorn: Callable[..., Gunicorn], start_proxy: StartProxy, sqlite_url: str
) -> Behind:
    env = BEHIND_A_PROXY | {"DATABASE_URL": sqlite_url, "ROWCAST_RETRY": "100"}
    server = start_gunicorn(env).wait_ready()
    return Behind(server, start_proxy(server.port))


def test_while_rowcast_is_away_streams_are_told_to_come_back(start_proxy: StartProxy) -> None:
    """Anything but 200 and this type ends a native EventSource for good."""
    proxy = start_proxy(free_port())
    streams = ("/stream", "/stream/posts", "/stream?last_event_id=3f2a09c41e37a1b2.7")
    # At once: HAProxy tries for some seconds before it gives up.
    with ThreadPoolExecutor(4) as clients:
        urls = [proxy.url + path for path in (*streams, "/")]
        *answers, page = clients.map(request, urls)
    for away in answers:
        assert (away.status, away.text) == (200, "retry: 2000\n")
        assert re.match("text/event-stream(;|$)", away.headers["content-type"])
        assert away.headers["cache-control"] == "no-store"
    assert page.status in (502, 503)


def test_thirty_rows_come_once_through_a_drain_and_a_crash(
    behind: Behind, open_stream: OpenStream, sqlite_url: str
) -> None:
    server, url = behind.server, f"{behind.proxy.url}/stream"
    ids: list[int] = []
    stream = open_stream(url, "0").wait_open()
    sql.insert_posts(sqlite_url, ["before"] * PART)
    stream.wait_for_rows(PART)
    for end in (server.terminate, server.end):
        end()
        stream.wait_for_end(TIMEOUT_S)
        ids += stream.row_ids
        last_event_id = stream.last_event_id
        sql.insert_posts(sqlite_url, ["while away"] * PART)
        assert not open_stream(url, last_event_id).row_ids
        server.start()
        stream = open_stream(url, last_event_id)
        stream.wait_for_rows(PART, TIMEOUT_S)
    assert ids + stream.row_ids == sql.post_ids(sqlite_url)
    assert len(sql.post_ids(sqlite_url)) == 3 * PART


def test_a_drain_ends_streams_whole(behind: Behind, open_stream: OpenStream) -> None:
    drained = open_stream(f"{behind.proxy.url}/stream").wait_open()
    behind.server.terminate()
    drained.wait_for_end(TIMEOUT_S)
    assert drained.ended_whole


def test_a_crash_is_told_from_an_end(behind: Behind, open_stream: OpenStream) -> None:
    if not behind.proxy.tells_crash:
        pytest.skip(f"{behind.proxy.name} ends the stream as if it had come to its end")
    cut = open_stream(f"{behind.proxy.url}/stream").wait_open()
    behind.server.end()
    cut.wait_for_end(TIMEOUT_S)
    assert not cut.response.complete


@pytest.mark.browser
def test_a_native_event_source_outlives_the_server(
    behind: Behind, chromium: Browser, sqlite_url: str
) -> None:
    """By HTTP/2; over HTTP/1.1 a browser would open six connections."""
    server, url = behind.server, behind.proxy.tls_url
    context = chromium.new_context(ignore_https_errors=True)
    pages = [context.new_page() for _ in range(behind.proxy.streams_by_http_2)]
    for page in pages:
        page.goto(f"{url}/nothing")
        page.evaluate(EVENT_SOURCE, f"{url}/stream?last_event_id=0")

    def wait_for_all(fact: str, what: str) -> None:
        wait_until(lambda: all(page.evaluate(fact) for page in pages), TIMEOUT_S, what)

    sql.insert_posts(sqlite_url, ["before"] * PART)
    wait_for_all(f"received.length >= {PART}", "the first rows")
    server.end()
    sql.insert_posts(sqlite_url, ["while away"] * PART)
    wait_for_all("drops >= 3", "three drops")
    server.start()
    wait_for_all(f"received.length >= {2 * PART}", "all rows")
    assert [page.evaluate("received") for page in pages] == [sql.post_ids(sqlite_url)] * len(pages)
    context.close()


def test_one_connection_of_http_2_carries_many_streams(behind: Behind, tmp_path: Path) -> None:
    many = behind.proxy.streams_by_http_2
    files = [tmp_path / f"stream-{number}" for number in range(many)]
    each = [part for file in files for part in ("-o", file, f"{behind.proxy.tls_url}/stream")]
    told = ["-w", "%{http_version} %{num_connects}\n"]
    options = ["-sSN", "--cacert", behind.proxy.folder / "cert.pem", "--http2", "--parallel"]
    client = Child(["curl", *options, *told, *each], tmp_path / "curl.log")

    def all_have(text: str) -> None:
        def fact() -> bool:
            return all(file.exists() and text in file.read_text() for file in files)

        wait_until(fact, TIMEOUT_S, f"{text} on each stream; {client.log()}")

    all_have("event: live")
    behind.server.post("for all")
    all_have("for all")
    behind.server.terminate()
    client.wait(TIMEOUT_S)
    told_of = re.findall(r"^2 [01]$", client.log(), re.MULTILINE)
    assert sorted(told_of) == ["2 0"] * (many - 1) + ["2 1"]
