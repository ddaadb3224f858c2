"""From any writer, through any worker, to every stream."""

from collections.abc import Callable

import pytest

from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.swarm import Swarm
from tests.serving.conftest import Wall
from tests.serving.helpers import OpenStream, stream_on_each_worker
from tests.serving.watch import Site

pytestmark = pytest.mark.serving

SHARED_WALL = {"workers": 2}


def test_post_on_one_worker_reaches_the_streams_of_all(site: Site, open_stream: OpenStream) -> None:
    wall = site.wall
    streams = stream_on_each_worker(wall, open_stream)
    ids = []
    for pid in streams:
        with wall.only_worker(pid):
            ids.append(wall.post(f"posted on {pid}"))
    for stream in streams.values():
        assert stream.wait_for_rows(2) == ids


def test_insert_by_another_program_reaches_every_worker(
    site: Site, open_stream: OpenStream, other_program: Callable[[str, str], None]
) -> None:
    streams = stream_on_each_worker(site.wall, open_stream)
    other_program(site.url, "INSERT INTO posts (author, body) VALUES ('cron', 'backup done')")
    for stream in streams.values():
        row = stream.wait_for_body("backup done").json
        assert row["author"] == "cron"
        assert row["created_at"].endswith("Z")


def test_rows_of_many_writers_come_once_each_in_order(site: Site) -> None:
    with Swarm(site.wall.stream_url, 20).open() as swarm:
        before = len(sql.post_ids(site.url))
        for number in range(10):
            site.insert(*(f"{number}.{part}" for part in range(20)))
        site.wall.post("the last")
        ids = sql.post_ids(site.url)[before:]
        assert len(ids) == 201
        swarm.wait_for_id(ids[-1])
        assert all(member.ids == ids for member in swarm.members)


def test_own_post_is_streamed_well_before_the_next_poll(
    start_wall: Wall, open_stream: OpenStream, sqlite_url: str
) -> None:
    wall = start_wall(sqlite_url, {"ROWCAST_POLL_INTERVAL": "60"})
    stream = open_stream(wall.stream_url).wait_open()
    polls = wall.metric("rowcast_polls_total")
    wall.post("now")
    stream.wait_for_body("now")
    assert wall.metric("rowcast_polls_total") - polls <= 2, "it polls all the time"


def test_page_and_its_stream_leave_no_row_between_them(site: Site, open_stream: OpenStream) -> None:
    """A row committed after the page was read is the first that its stream sends."""
    wall = site.wall
    streams = stream_on_each_worker(wall, open_stream)
    shown = wall.post("on the page")
    token = page_token(wall)
    after = wall.post("between page and stream")
    stream = open_stream(f"{wall.stream_url}?last_event_id={token}").wait_open()
    live = wall.post("live")
    assert stream.wait_for_rows(2) == [after, live]
    assert shown not in stream.row_ids
    for one in streams.values():
        one.wait_for_body("live")


def page_token(wall: Gunicorn) -> str:
    """The cursor that the page hands to its script."""
    import html
    import re

    text = wall.get("/").text
    found = re.search(r'data-[a-z-]*(?:cursor|token|last-event-id)="([^"]+)"', text)
    assert found, text
    return html.unescape(found[1])
