"""Four clients nobody here wrote: each reads rows, loses its worker, and goes on without a gap.

Native EventSource and Node's `eventsource` come back by themselves. `httpx-sse` and `sseclient-py`
leave that to their user: a loop that sends the last id, as their manuals show it.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import httpx_sse
import pytest
import sseclient
from playwright.sync_api import Page

from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.process import Child, wait_until

pytestmark = pytest.mark.clients

RETRY_S = 0.5
PART_ROWS = 5
TIMEOUT_S = 30.0
SILENCE = httpx.Timeout(20.0)  # a heartbeat comes every 15 s

EVENT_SOURCE = """url => {
    window.received = [];
    window.source = new EventSource(url);
    window.source.onmessage = event => window.received.push(JSON.parse(event.data).id);
    window.source.addEventListener("reset", () => window.received.push("reset"));
}"""


@pytest.fixture
def wall(start_gunicorn: Callable[..., Gunicorn], database_url: str) -> Gunicorn:
    settings = {"DATABASE_URL": database_url, "ROWCAST_RETRY": f"{RETRY_S * 1000:.0f}"}
    return start_gunicorn(settings, workers=2).wait_ready()


def kill_all_workers(wall: Gunicorn) -> None:
    for pid in wall.worker_pids():
        wall.kill_worker(pid)


def state_of(wall: Gunicorn) -> str:
    """What a failure needs to show: the workers, whether one answers, and the server's log."""
    try:
        ready = wall.get("/readyz").text
    except OSError as error:
        ready = repr(error)
    return f"workers {wall.worker_pids()}, ready: {ready}\n{wall.log()[-3_000:]}"


def read_through_a_crash(
    wall: Gunicorn, url: str, read: Callable[[str, str], Iterator[tuple[str, int]]]
) -> list[int]:
    """Ids as a looping user of the client gets them; the workers die after the first part.

    `read(stream_url, last_event_id)` yields (last id, row id) until the stream breaks.
    """
    ids: list[int] = []
    last_event_id, end_s = "0", time.monotonic() + TIMEOUT_S
    sql.insert_posts(url, ["first part"] * PART_ROWS)
    while len(ids) < 2 * PART_ROWS:
        assert time.monotonic() < end_s, f"only {ids} within {TIMEOUT_S} s\n{state_of(wall)}"
        try:
            for event_id, row_id in read(wall.stream_url, last_event_id):
                last_event_id = event_id
                ids.append(row_id)
                if len(ids) == PART_ROWS:
                    kill_all_workers(wall)
                    sql.insert_posts(url, ["second part"] * PART_ROWS)
                if len(ids) == 2 * PART_ROWS:
                    break
        except httpx.TimeoutException as silence:
            after = f"silence after {ids}, asked for {last_event_id}"
            raise AssertionError(f"{after}\n{state_of(wall)}") from silence
        except httpx.TransportError:
            time.sleep(RETRY_S)
    return ids


def read_with_httpx_sse(url: str, last_event_id: str) -> Iterator[tuple[str, int]]:
    headers = {"Last-Event-ID": last_event_id}
    with (
        httpx.Client(timeout=SILENCE) as client,
        httpx_sse.connect_sse(client, "GET", url, headers=headers) as source,
    ):
        for event in source.iter_sse():
            if event.data and event.event == "message":
                yield event.id, event.json()["id"]


def read_with_sseclient(url: str, last_event_id: str) -> Iterator[tuple[str, int]]:
    headers = {"Last-Event-ID": last_event_id, "Accept": "text/event-stream"}
    with httpx.stream("GET", url, headers=headers, timeout=SILENCE) as response:
        for event in sseclient.SSEClient(response.iter_raw()).events():
            if event.data and event.event == "message":
                yield event.id or "", json.loads(event.data)["id"]


@pytest.mark.parametrize("read", [read_with_httpx_sse, read_with_sseclient])
def test_python_client_resumes_after_a_crash(
    wall: Gunicorn, database_url: str, read: Callable[[str, str], Iterator[tuple[str, int]]]
) -> None:
    assert read_through_a_crash(wall, database_url, read) == sql.post_ids(database_url)


def test_node_eventsource_resumes_after_a_crash(
    wall: Gunicorn, database_url: str, node: Path, tmp_path: Path
) -> None:
    script = Path(__file__).parent / "node_client.mjs"
    client = Child([node, script, f"{wall.stream_url}?last_event_id=0"], tmp_path / "node.log")

    def received() -> list[object]:
        lines = [line for line in client.log().splitlines() if line.startswith("{")]
        return [value for line in lines for value in json.loads(line).values()]

    def wait_for_rows(count: int) -> None:
        wait_until(lambda: len(received()) >= count, TIMEOUT_S, f"{count} rows in Node")

    sql.insert_posts(database_url, ["first part"] * PART_ROWS)
    wait_for_rows(PART_ROWS)
    kill_all_workers(wall)
    sql.insert_posts(database_url, ["second part"] * PART_ROWS)
    wait_for_rows(2 * PART_ROWS)
    client.end()
    assert received() == sql.post_ids(database_url)


@pytest.mark.browser
def test_native_eventsource_resumes_after_a_crash(
    wall: Gunicorn, database_url: str, page: Page
) -> None:
    def wait_for_rows(count: int) -> None:
        # Not by page.wait_for_function: it evaluates text, which the page's policy forbids.
        wait_until(
            lambda: int(page.evaluate("received.length")) >= count, TIMEOUT_S, f"{count} rows"
        )

    page.goto(wall.url)
    page.evaluate(EVENT_SOURCE, f"{wall.stream_url}?last_event_id=0")
    sql.insert_posts(database_url, ["first part"] * PART_ROWS)
    wait_for_rows(PART_ROWS)
    kill_all_workers(wall)
    sql.insert_posts(database_url, ["second part"] * PART_ROWS)
    wait_for_rows(2 * PART_ROWS)
    assert page.evaluate("received") == sql.post_ids(database_url)
    assert page.evaluate("source.readyState") == 1
