"""What passes a proxy as deploy/ configures it, and what does not."""

import ssl
import urllib.request
from collections.abc import Callable

import pytest

from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.http import request
from tests.harness.process import wait_until
from tests.harness.sse import Stream
from tests.proxies.conftest import BEHIND_A_PROXY, Behind, StartProxy

pytestmark = pytest.mark.serving

OpenStream = Callable[..., Stream]
ROW, BATCH_ROWS, BATCHES = "漢" * 2000, 1000, 6  # of 6 MB: more than all buffers on the way
# Each is /metrics, /readyz or /healthz to Rowcast, or leads there.
OPERATORS = ["/metrics", "/readyz", "/healthz", "//metrics", "/%6detrics", "/metrics?a=b"]
OPERATORS += ["http://127.0.0.1/metrics", "/stream/../metrics", "/%2fmetrics", "/./readyz"]


def test_the_first_event_passes_at_once_and_each_row(
    silent: Behind, open_stream: OpenStream
) -> None:
    stream = open_stream(f"{silent.proxy.url}/stream").wait_open()
    stream.wait_for(lambda it: it.of_type("live"), what="live")
    for number in range(3):
        row_id = silent.server.post(f"row {number}")
        assert stream.wait_for_rows(number + 1)[-1] == row_id
    assert stream.headers["cache-control"] == "no-store, no-transform"


def test_pages_are_compressed_and_streams_are_not(silent: Behind, open_stream: OpenStream) -> None:
    compressing = {"Accept-Encoding": "gzip"}
    page = request(silent.proxy.url, headers=compressing)
    assert page.headers["content-encoding"] == "gzip"
    stream = open_stream(f"{silent.proxy.url}/stream", headers=compressing).wait_open()
    assert "content-encoding" not in stream.headers


@pytest.mark.parametrize("path", OPERATORS)
def test_the_operators_routes_are_not_public(
    path: str, silent: Behind, open_stream: OpenStream
) -> None:
    address = open_stream(silent.proxy.url + "/", method=f"GET {path} HTTP/1.1\r\nX-Rest:")
    address.wait_for(lambda it: it.status, what="an answer")
    assert address.status in (400, 403, 404)
    address.wait_for_end()
    assert b"rowcast_" not in address.raw


def test_the_client_s_own_address_counts_whatever_it_forges(
    silent: Behind, open_stream: OpenStream
) -> None:
    forged = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Host": "evil.example"}
    open_stream(f"{silent.proxy.url}/stream", headers=forged, source="127.0.0.9").wait_open()
    log = silent.server.log()
    assert "127.0.0.9" in log
    assert "198.51.100.7" not in log


def test_the_host_that_was_asked_for_counts(silent: Behind) -> None:
    def status(host: str) -> int:
        return request(f"{silent.proxy.url}/nothing", headers={"Host": host}).status

    assert status("wall.example.org") == 404
    assert status("evil.example") == 400


def test_pages_by_tls_are_known_as_such(silent: Behind) -> None:
    trusting = ssl.create_default_context(cafile=str(silent.proxy.folder / "cert.pem"))
    with urllib.request.urlopen(silent.proxy.tls_url, context=trusting, timeout=30) as page:
        assert "Secure" in page.headers["Set-Cookie"]
    assert "Secure" not in request(silent.proxy.url).headers["set-cookie"]


def test_a_client_that_leaves_is_noticed_at_once(silent: Behind, open_stream: OpenStream) -> None:
    if not silent.proxy.notices_leaving:
        pytest.skip(f"{silent.proxy.name} notices it when it writes: at a heartbeat")
    before = silent.server.metric("rowcast_streams_open")
    open_stream(f"{silent.proxy.url}/stream").wait_open().close()

    def closed() -> bool:
        return silent.server.metric("rowcast_streams_open") <= before

    wait_until(closed, 30, "the stream is closed")


def test_heartbeats_pass_and_tell_that_a_client_left(
    start_gunicorn: Callable[..., Gunicorn], start_proxy: StartProxy, open_stream: OpenStream
) -> None:
    server = start_gunicorn(BEHIND_A_PROXY | {"ROWCAST_HEARTBEAT": "0.5"}).wait_ready()
    proxy = start_proxy(server.port)
    stream = open_stream(f"{proxy.url}/stream").wait_open()
    stream.wait_for(lambda it: it.comments >= 2, what="two heartbeats")
    stream.close()
    wait_until(lambda: not server.metric("rowcast_streams_open"), 30, "the stream is closed")


def test_a_client_that_reads_nothing_fills_neither_the_proxy_nor_rowcast(
    start_gunicorn: Callable[..., Gunicorn],
    start_proxy: StartProxy,
    open_stream: OpenStream,
    sqlite_url: str,
) -> None:
    """It is dropped at Rowcast's write deadline, however much the proxy could still take."""
    env = BEHIND_A_PROXY | {"DATABASE_URL": sqlite_url, "ROWCAST_WRITE_DEADLINE": "2"}
    server = start_gunicorn(env).wait_ready()
    proxy = start_proxy(server.port)
    open_stream(f"{proxy.url}/stream", receive_buffer_bytes=4096)
    wait_until(lambda: server.metric("rowcast_streams_open"), 30, "the stream is open")
    before = proxy.memory_bytes()
    for _ in range(BATCHES):
        sql.insert_posts(sqlite_url, [ROW] * BATCH_ROWS)
        assert proxy.memory_bytes() - before < BATCH_ROWS * len(ROW.encode())
    wait_until(lambda: server.metric("rowcast_streams_open") == 0, 30, "the stream is dropped")
