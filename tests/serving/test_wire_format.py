"""The bytes of a stream, exactly as the design has them."""

import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.http import request
from tests.serving.conftest import Wall
from tests.serving.helpers import (
    BOTH_PATHS,
    PATHS,
    SHARED_ON_ALL_DATABASES,
    SHARED_ON_BOTH_PATHS,
    SHARED_ON_BOTH_PATHS_AND_ALL_DATABASES,
    OpenStream,
)
from tests.serving.watch import Site

pytestmark = pytest.mark.serving

BEGINNING = (
    r"retry: 2000\n(?:: waiting: [^\n]+\n)*"
    r'event: start\ndata: \{"feed":"posts","resumed":false\}\n'
    r"id: (?P<history>[0-9a-f]{10})[0-9a-z]{6}\.(?P<at>\d+)\n\n"
    r"event: live\ndata: \{\}\nid: (?P=history)[0-9a-z]{6}\.(?P=at)\n\n"
)
ROW = (
    r'data: \{"id":%d,"author":"Ada","body":"%s",'
    r'"created_at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"\}\nid: (?P=history)[0-9a-z]{6}\.%d\n\n'
)
ALARMS = """
from flask import Flask
from poller import Notifier

notifier = Notifier()
notifier.watch("alarms", columns=["id"], authorize="public")
app = Flask(__name__)
notifier.init_app(app, default_feed="alarms")
"""


@SHARED_ON_BOTH_PATHS_AND_ALL_DATABASES
def test_stream_is_retry_then_start_and_live_then_rows(site: Site, open_stream: OpenStream) -> None:
    stream = open_stream(site.wall.stream_url).wait_open()
    hi, ho = [site.wall.post(body, author="Ada") for body in ("hi", "ho")]
    stream.wait_for_rows(2)
    expected = BEGINNING + ROW % (hi, "hi", hi) + ROW % (ho, "ho", ho)
    assert re.fullmatch(expected, stream.raw.decode())


@SHARED_ON_BOTH_PATHS
def test_a_stream_goes_the_way_that_is_set(
    site: Site, open_stream: OpenStream, shared_path: dict[str, str]
) -> None:
    """So that every test which runs on both paths tells something of both."""
    stream = open_stream(site.wall.stream_url).wait_open()
    direct = shared_path == PATHS["fanout"]
    assert stream.headers["connection"] == ("close" if direct else "keep-alive")
    assert stream.headers["transfer-encoding"] == "chunked"


@BOTH_PATHS
def test_a_client_of_http_1_0_gets_the_plain_bytes(
    start_wall: Wall, sqlite_url: str, path_settings: dict[str, str]
) -> None:
    wall = start_wall(sqlite_url)
    with socket.create_connection(("127.0.0.1", wall.port), timeout=30) as client:
        client.sendall(b"GET /stream HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        received = b""
        while b"event: live" not in received:
            new = client.recv(4096)
            assert new, received
            received += new
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert body.startswith(b"retry: 2000\n")


@BOTH_PATHS
def test_the_end_of_a_stream_differs_from_a_cut(
    start_wall: Wall, open_stream: OpenStream, sqlite_url: str
) -> None:
    wall = start_wall(sqlite_url)
    ended = open_stream(wall.stream_url).wait_open()
    assert not ended.response.complete
    wall.child.signal(signal.SIGTERM)  # type: ignore[union-attr]
    ended.wait_for_end()
    assert ended.ended_whole
    wall = start_wall(sqlite_url)
    cut = open_stream(wall.stream_url).wait_open()
    wall.kill_worker(wall.worker_pids()[0])
    cut.wait_for_end()
    assert not cut.response.complete


@BOTH_PATHS
def test_a_wrong_table_is_named_to_whoever_reads_its_stream(
    start_gunicorn: Callable[..., Gunicorn],
    open_stream: OpenStream,
    sqlite_url: str,
    path_settings: dict[str, str],
    tmp_path: Path,
) -> None:
    (tmp_path / "alarms.py").write_text(ALARMS)
    env = {"DATABASE_URL": sqlite_url, "PYTHONPATH": str(tmp_path), "ROWCAST_POST_RATE": ""}
    server = start_gunicorn(env | path_settings, app="alarms:app")
    stream = open_stream(f"{server.url}/stream")
    stream.wait_for(lambda it: b": waiting: there is no table alarms" in it.raw, what="the reason")
    sql.execute(sqlite_url, "CREATE TABLE alarms (id INTEGER PRIMARY KEY AUTOINCREMENT)")
    stream.wait_for(lambda it: it.of_type("live"), what="the table to be watched")


@pytest.mark.parametrize("path", ["/stream/", "/stream/posts/"])
def test_a_slash_too_much_is_forgiven(
    path: str, any_wall: Gunicorn, open_stream: OpenStream
) -> None:
    open_stream(any_wall.url + path).wait_open()


def test_the_newest_of_three_ids_counts(any_wall: Gunicorn, open_stream: OpenStream) -> None:
    """The header is what a client has now, `lastEventId` what a polyfill had when it came back."""
    epoch = open_stream(any_wall.stream_url).wait_open().last_event_id.partition(".")[0]
    url = f"{any_wall.stream_url}?last_event_id=malformed"

    def resumed(url: str, header: str | None = None) -> bool:
        stream = open_stream(url, header)
        stream.wait_for(lambda it: it.of_type("start"), what="the start")
        return bool(stream.of_type("start")[0].json["resumed"])

    assert not resumed(url)
    assert resumed(f"{url}&lastEventId={epoch}.0")
    assert not resumed(f"{url}&lastEventId=malformed")
    assert resumed(f"{url}&lastEventId=malformed", f"{epoch}.0")


@SHARED_ON_BOTH_PATHS
def test_headers_keep_every_party_from_holding_the_stream_back(
    site: Site, open_stream: OpenStream
) -> None:
    stream = open_stream(site.wall.stream_url).wait_open()
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["cache-control"] == "no-store, no-transform"
    assert stream.headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in stream.headers
    assert "access-control-allow-origin" not in stream.headers


@BOTH_PATHS
def test_silence_is_broken_by_bare_comment_lines(
    start_wall: Wall, open_stream: OpenStream, sqlite_url: str
) -> None:
    wall = start_wall(sqlite_url, {"ROWCAST_HEARTBEAT": "0.2"})
    stream = open_stream(wall.stream_url).wait_open()
    stream.wait_for(lambda it: it.comments >= 2, what="two heartbeats")
    wall.post("after", author="Ada")
    stream.wait_for_rows(1)
    assert re.match(BEGINNING + r"(:\n){2,}" + ROW % (1, "after", 1), stream.raw.decode())


@SHARED_ON_ALL_DATABASES
def test_text_of_any_kind_comes_back_as_it_was_written(site: Site, open_stream: OpenStream) -> None:
    stream = open_stream(site.wall.stream_url).wait_open()
    bodies = ["a\nb", "id: 7", "\u2028\u2029\x85\x0b", '</script>"\\', "𝄞 ü 漢", ": x"]
    site.insert(*bodies)
    stream.wait_for_rows(len(bodies))
    assert [row["body"] for row in stream.rows] == bodies
    assert stream.response.parser.ignored == []


def test_id_above_two_to_the_53_is_a_string(
    start_wall: Wall, open_stream: OpenStream, database_url: str
) -> None:
    big = 2**53 + 1
    wall = start_wall(database_url)
    sql.execute(database_url, f"INSERT INTO posts (id, author, body) VALUES ({big}, 'a', 'b')")
    stream = open_stream(wall.stream_url, "0").wait_open()
    stream.wait_for_rows(1)
    assert stream.rows[0]["id"] == str(big)


def test_head_answers_headers_only_and_takes_no_place(any_wall: Gunicorn) -> None:
    opened = any_wall.metric("rowcast_streams_total")
    for _ in range(3):
        reply = request(any_wall.stream_url, "HEAD")
        assert reply.status == 200
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert reply.text == ""
    assert any_wall.metric("rowcast_streams_total") == opened


def test_options_tells_the_methods_and_allows_no_other_origin(any_wall: Gunicorn) -> None:
    opened = any_wall.metric("rowcast_streams_total")
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    reply = request(any_wall.stream_url, "OPTIONS", headers=asked)
    assert reply.status in (200, 204, 403)
    assert "access-control-allow-origin" not in reply.headers
    assert any_wall.metric("rowcast_streams_total") == opened


def test_unknown_feed_is_not_found(any_wall: Gunicorn) -> None:
    assert any_wall.get("/stream/no_such_table").status == 404
    assert any_wall.get("/stream/sqlite_master").status == 404


def test_named_feed_is_the_same_stream(any_wall: Gunicorn, open_stream: OpenStream) -> None:
    stream = open_stream(f"{any_wall.url}/stream/posts").wait_open()
    post_id = any_wall.post("by name")
    assert stream.wait_for_rows(1) == [post_id]


def test_without_a_proxy_forwarded_headers_count_for_nothing(any_wall: Gunicorn) -> None:
    """gunicorn itself would believe anybody on this machine."""
    plain = any_wall.get("/")
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/evil", "SCRIPT_NAME": "/evil"}
    forged = any_wall.get("/", headers)
    assert plain.status == forged.status == 200
    assert "/evil" not in forged.text
    assert "Secure" not in str(forged.headers)
