"""What every proxy answers while Rowcast is away: one bare line, `retry: 2000`.

No blank line follows, since some clients dispatch an empty message at each.
"""

from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from playwright.sync_api import Page

from tests.harness.process import wait_until

BODIES = {"/": b"", "/told": b"retry: 50\n", "/untold": b": nothing\n"}


ASKED: Counter[str] = Counter()


class Away(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        ASKED[self.path] += 1
        self.send_response(200)
        kind = "text/html" if self.path == "/" else "text/event-stream"
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(BODIES.get(self.path, b""))

    def log_message(self, *values: object) -> None:
        """Nothing."""


@pytest.fixture
def away() -> Iterator[str]:
    ASKED.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Away) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.browser
def test_a_bare_line_tells_a_native_event_source_when_to_come_back(away: str, page: Page) -> None:
    """Told 50 ms, it comes several times while another one waits for the default of 3 s."""
    page.goto(away)
    page.evaluate("() => { window.sources = ['untold', 'told'].map(one => new EventSource(one)) }")
    wait_until(lambda: ASKED["/untold"] >= 2, 60, "the second try of the one not told")
    assert ASKED["/told"] >= 4
    assert page.evaluate("sources.map(one => one.readyState)") != [2, 2]
