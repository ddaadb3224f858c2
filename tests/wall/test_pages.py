"""The wall's pages and posts, as a client sees them, on a real SQLite file."""

import gzip
import json
import re
import sqlite3
import time
from collections.abc import Iterator
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event
from werkzeug.test import TestResponse

from models.post import create_tables
from poller import TableError
from tests.harness.sql import execute, insert_posts, post_ids
from wall import create_app, rights
from wall.posts import Wall
from wall.settings import WallSettings

KEY = "a key for tests only, long enough"
MOST_BYTES = 60_000


@pytest.fixture
def settings(sqlite_url: str) -> dict[str, Any]:
    """A test may change these before it asks for `client`."""
    return {"database_url": sqlite_url, "secret_key": KEY, "query_timeout_s": 2.0}


@pytest.fixture
def app(settings: dict[str, Any]) -> Iterator[Flask]:
    app = create_app(WallSettings.model_validate(settings))
    wall: Wall = app.extensions["wall"]
    create_tables(wall.database)
    yield app
    wall.notifier.stop(app)
    wall.database.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def post_json(
    client: FlaskClient, author: object = "Ada", body: object = "Hello", **options: Any
) -> TestResponse:
    return client.post("/posts", json={"author": author, "body": body}, **options)


def token(client: FlaskClient) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/").text)
    assert found
    return found[1]


def post_form(
    client: FlaskClient, author: str = "Ada", body: str = "Hello", key: str = "", **options: Any
) -> TestResponse:
    data = {"author": author, "body": body, "csrf_token": token(client), "key": key}
    return client.post("/posts", data=data, **options)


def shown_ids(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'data-id="(\d+)"', page)]


# -- reading ------------------------------------------------------------------------------------


def test_the_page_shows_the_newest_fifty_newest_first(client: FlaskClient, sqlite_url: str) -> None:
    insert_posts(sqlite_url, [f"post {n}" for n in range(1, 61)])
    page = client.get("/").text
    assert shown_ids(page) == [*range(60, 10, -1)]
    assert 'href="/?before=11"' in page


def test_older_posts_follow_by_keyset_until_the_first(client: FlaskClient, sqlite_url: str) -> None:
    insert_posts(sqlite_url, [f"post {n}" for n in range(1, 61)])
    page = client.get("/?before=11").text
    assert shown_ids(page) == [*range(10, 0, -1)]
    assert "?before=" not in page
    assert "data-stream" not in page  # an older page has no live stream


@pytest.mark.parametrize(
    "bad", ["x", "0", "-1", "٣", "1_000", "+5", "9" * 19, "9" * 5000, "", " 1", "1e3"]
)
def test_a_bad_before_is_a_friendly_400(client: FlaskClient, bad: str) -> None:
    answer = client.get("/", query_string={"before": bad})
    assert answer.status_code == 400
    assert "Older posts are asked for with the number of a post." in answer.text


def test_a_post_has_an_address(client: FlaskClient) -> None:
    assert post_json(client, body="<b>hi</b>").status_code == 201
    page = client.get("/posts/1")
    assert page.status_code == 200
    assert "&lt;b&gt;hi&lt;/b&gt;" in page.text
    row = client.get("/posts/1", headers={"Accept": "application/json"}).json
    assert row is not None
    assert row["body"] == "<b>hi</b>"


@pytest.mark.parametrize("number", ["2", "0", "x", "٣", "9" * 5000, "-1"])
def test_an_address_without_a_post_is_a_404(client: FlaskClient, number: str) -> None:
    assert client.get(f"/posts/{number}").status_code == 404


def test_times_stand_in_the_page_as_utc_and_for_machines(
    client: FlaskClient, sqlite_url: str
) -> None:
    execute(
        sqlite_url,
        "INSERT INTO posts (author, body, created_at) VALUES ('a', 'b', '2026-11-22 14:56:00.123')",
    )
    page = client.get("/").text
    assert 'datetime="2026-11-22T14:56:00.123Z" title="2026-11-22 14:56:00 UTC"' in page


def test_an_undecodable_row_is_a_placeholder_among_the_others(
    client: FlaskClient, sqlite_url: str
) -> None:
    insert_posts(sqlite_url, ["good"])
    execute(sqlite_url, "INSERT INTO posts (author, body) VALUES ('x', CAST(x'ff' AS TEXT))")
    page = client.get("/")
    assert page.status_code == 200
    assert shown_ids(page.text) == [2, 1]
    assert "could not be read" in page.text
    assert client.get("/posts/2").status_code == 200


def test_an_empty_wall_shows_how_to_post(client: FlaskClient) -> None:
    page = unescape(client.get("/").text)
    assert "curl http://localhost/posts" in page
    assert "INSERT INTO posts (author, body)" in page


# -- posting ------------------------------------------------------------------------------------


def test_json_gets_201_the_row_and_its_address(client: FlaskClient) -> None:
    answer = post_json(client, body="Hello ☕")
    assert answer.status_code == 201
    assert answer.headers["Location"] == "/posts/1"
    row = answer.json
    assert row is not None
    assert (row["id"], row["author"], row["body"]) == (1, "Ada", "Hello ☕")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", row["created_at"])


def test_an_id_beyond_what_javascript_counts_is_a_string(
    client: FlaskClient, sqlite_url: str
) -> None:
    execute(sqlite_url, f"INSERT INTO posts (id, author, body) VALUES ({2**53}, 'a', 'b')")
    row = post_json(client).json
    assert row is not None
    assert row["id"] == str(2**53 + 1)


def test_the_form_gets_a_303_to_the_wall(client: FlaskClient) -> None:
    answer = post_form(client, body="line 1\r\nline 2")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert "line 1\nline 2" in client.get("/").text


def test_a_multipart_form_is_taken_as_well(client: FlaskClient) -> None:
    assert post_form(client, content_type="multipart/form-data").status_code == 303


@pytest.mark.parametrize(
    ("author", "body", "field", "said"),
    [
        (" ", "Hello", "author", "A name is needed"),
        ("Ada", "\u200b \n", "body", "nothing to post"),
        ("a" * 81, "Hello", "author", "1 character too many"),
        ("Ada", "b" * 2050, "body", "50 characters too many"),
    ],
)
def test_a_bad_field_is_a_422_beside_it_with_the_text_kept(
    client: FlaskClient, author: str, body: str, field: str, said: str
) -> None:
    answer = post_form(client, author, body)
    assert answer.status_code == 422
    page = unescape(answer.text)
    problem = re.search(rf'id="{field}-problem">([^<]*)<', page)
    assert problem
    assert said in problem[1]
    assert f'value="{author}"' in page
    assert f">\n{body}</textarea>" in page
    refused = post_json(client, author, body)
    assert refused.status_code == 422
    assert refused.json is not None
    assert said in refused.json["fields"][field]


def test_a_leading_line_feed_survives_a_refusal(client: FlaskClient) -> None:
    assert ">\n\n\n  kept</textarea>" in post_form(client, "", "\n\n  kept").text


@pytest.mark.parametrize("bad", ["a\0b", "\ud83d"])
def test_text_that_cannot_be_stored_is_a_400(client: FlaskClient, bad: str) -> None:
    raw = json.dumps({"author": "Ada", "body": bad})
    answer = client.post("/posts", data=raw, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["error"]


def test_a_nul_from_the_form_is_a_400_with_the_text_kept(client: FlaskClient) -> None:
    answer = post_form(client, "Ada", "keep\0me")
    assert answer.status_code == 400
    assert "keep" in answer.text


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"{", 400),
        (b"", 400),
        (b'{"author":"A\xff","body":"x"}', 400),
        (b'{"author":NaN}', 400),
        (b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}", 400),
        (b"[1]", 422),
        (b'{"author":1,"body":"x"}', 422),
        (b'{"author":null,"body":"x"}', 422),
        (b"{}", 422),
    ],
)
def test_malformed_json_is_refused_and_never_a_500(
    client: FlaskClient, raw: bytes, status: int
) -> None:
    answer = client.post("/posts", data=raw, content_type="application/json")
    assert answer.status_code == status
    assert answer.json is not None
    assert answer.json["error"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", ""])
def test_another_content_type_is_a_415(client: FlaskClient, content_type: str) -> None:
    assert client.post("/posts", data=b"x", content_type=content_type).status_code == 415


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_a_large_body_is_a_413(client: FlaskClient, content_type: str) -> None:
    large = b'{"body":"' + b"x" * 70_000
    answer = client.post("/posts", data=large, content_type=content_type)
    assert answer.status_code == 413


def test_a_large_body_without_a_length_is_a_413_too(client: FlaskClient) -> None:
    body = BytesIO(b"x" * 10_000_000)
    answer = client.post(
        "/posts",
        input_stream=body,
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
        headers={"Transfer-Encoding": "chunked"},
    )
    assert answer.status_code == 413
    assert body.tell() < 1_000_000  # and was not read to its end


def test_what_was_posted_is_cleaned(client: FlaskClient) -> None:
    row = post_json(client, " A\u202eda ", "a\x1b\r\nb\u202e").json
    assert row is not None
    assert (row["author"], row["body"]) == ("Ada", "a\nb")


# -- too often ----------------------------------------------------------------------------------


@pytest.fixture
def few_posts(settings: dict[str, Any]) -> None:
    settings["post_rate"] = "2 per minute"


def test_too_many_posts_are_a_429_that_says_when(few_posts: None, client: FlaskClient) -> None:
    assert [post_json(client).status_code for _ in range(2)] == [201, 201]
    answer = post_json(client)
    assert answer.status_code == 429
    assert answer.json is not None
    assert 1 <= int(answer.headers["Retry-After"]) == answer.json["retry_after_s"] <= 61
    page = post_form(client, body="kept text")
    assert page.status_code == 429
    assert "kept text" in page.text
    assert "You can post again in" in page.text


def test_reading_is_not_limited(few_posts: None, client: FlaskClient) -> None:
    assert {client.get("/").status_code for _ in range(10)} == {200}


def test_addresses_are_counted_apart_and_an_ipv6_network_as_one(
    few_posts: None, client: FlaskClient
) -> None:
    def post_from(address: str) -> int:
        return post_json(client, environ_overrides={"REMOTE_ADDR": address}).status_code

    assert [post_from("192.0.2.1") for _ in range(3)] == [201, 201, 429]
    assert post_from("192.0.2.2") == 201
    assert post_from("::ffff:192.0.2.1") == 429
    assert [post_from(f"2001:db8:1:2::{n}") for n in range(3)] == [201, 201, 429]
    assert post_from("2001:db8:1:3::1") == 201
    assert [post_from("::1") for _ in range(3)] == [201, 201, 429]


def test_a_forged_forwarded_for_counts_for_nothing(few_posts: None, client: FlaskClient) -> None:
    codes = [
        post_json(client, headers={"X-Forwarded-For": f"198.51.100.{n}"}).status_code
        for n in range(3)
    ]
    assert codes == [201, 201, 429]


def test_behind_a_proxy_the_address_before_it_counts(
    settings: dict[str, Any], few_posts: None
) -> None:
    app = create_app(WallSettings.model_validate(settings | {"proxies": 1}))
    create_tables(app.extensions["wall"].database)
    client = app.test_client()
    codes = [
        post_json(client, headers={"X-Forwarded-For": f"1.1.1.1, 198.51.100.{n}"}).status_code
        for n in range(3)
    ]
    assert codes == [201, 201, 201]
    app.extensions["wall"].database.dispose()


# -- other people's pages -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:81"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
    ],
)
def test_a_post_from_another_site_is_refused(
    client: FlaskClient, sqlite_url: str, headers: dict[str, str]
) -> None:
    assert post_json(client, headers=headers).status_code == 403
    assert post_form(client, headers=headers).status_code == 403
    assert post_ids(sqlite_url) == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost"},
        {"Origin": "https://localhost"},  # TLS ended by a proxy
    ],
)
def test_our_own_page_and_programs_may_post(client: FlaskClient, headers: dict[str, str]) -> None:
    assert post_json(client, headers=headers).status_code == 201


def test_a_form_without_its_token_is_refused_with_the_text_kept(
    client: FlaskClient, sqlite_url: str
) -> None:
    answer = client.post("/posts", data={"author": "Ada", "body": "kept"})
    assert answer.status_code == 400
    assert "kept" in answer.text
    assert post_ids(sqlite_url) == []
    fresh = re.search(r'name="csrf_token" value="([^"]+)"', answer.text)
    assert fresh
    again = client.post("/posts", data={"author": "A", "body": "b", "csrf_token": fresh[1]})
    assert again.status_code == 303


def test_the_token_of_another_browser_is_refused(app: Flask) -> None:
    mine, other = app.test_client(), app.test_client()
    stolen = token(other)
    token(mine)
    answer = mine.post("/posts", data={"author": "A", "body": "b", "csrf_token": stolen})
    assert answer.status_code == 400


# -- headers, hosts, cookies, errors ------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/posts/1", "/nothing", "/static/wall.css"])
def test_every_answer_is_protected(client: FlaskClient, path: str) -> None:
    with client.get(path) as answer:
        headers = answer.headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    for part in ("frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
        assert part in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers


def test_the_pages_hold_no_inline_script_or_style(client: FlaskClient, sqlite_url: str) -> None:
    insert_posts(sqlite_url, ["x"])
    for path in ("/", "/?before=5", "/posts/1", "/nothing"):
        page = client.get(path).text
        assert not re.search(
            r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", page
        )


@pytest.mark.parametrize("path", ["/", "/screen"])
def test_a_page_is_light(client: FlaskClient, sqlite_url: str, path: str) -> None:
    """All that it loads, as a proxy compresses it; with posts as they are usual."""
    insert_posts(sqlite_url, [f"{n}: " + "the index is back. " * (n % 9) for n in range(60)])
    page = client.get(path)
    loaded = set(re.findall(r'(?:href|src)="(/[^"]+\.(?:css|js|svg)[^"]*)"', page.text))
    assert len(loaded) > 8
    size = len(gzip.compress(page.data))
    for url in loaded:
        with client.get(unescape(url)) as part:
            assert part.status_code == 200
            size += len(gzip.compress(part.data))
    assert size <= MOST_BYTES


def test_the_cookie_is_for_this_site_and_not_for_scripts(app: Flask) -> None:
    cookie = app.test_client().get("/").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    by_tls = app.test_client().get("/", base_url="https://localhost")
    assert "Secure" in by_tls.headers["Set-Cookie"]


def test_an_error_shows_a_request_id_and_nothing_of_the_inside(app: Flask) -> None:
    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError("SELECT secret FROM /etc/shadow")

    answer = app.test_client().get("/broken")
    assert answer.status_code == 500
    assert answer.headers["X-Request-ID"] in answer.text
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    programs = app.test_client().get("/broken", headers={"Accept": "application/json"})
    assert programs.json == {
        "error": "Something went wrong here. It has been written down.",
        "request_id": programs.headers["X-Request-ID"],
    }


def test_a_wrong_method_is_a_405_that_names_the_right_ones(client: FlaskClient) -> None:
    answer = client.delete("/posts")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


XSS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "</textarea><script>alert(1)</script>",
    "' onmouseover='alert(1)",
    "{{ 7*7 }}",
]


@pytest.mark.parametrize("payload", XSS)
def test_hostile_text_is_shown_as_text(client: FlaskClient, payload: str) -> None:
    post_json(client, payload[:80], payload)
    kept = post_form(client, payload, "")
    for page in (client.get("/").text, client.get("/posts/1").text, kept.text):
        assert payload not in page or payload == "{{ 7*7 }}"
        assert payload in unescape(page)
        assert "<script>" not in page


# -- the database is away -----------------------------------------------------------------------


@pytest.fixture
def away(settings: dict[str, Any], tmp_path: Path) -> Iterator[FlaskClient]:
    settings["database_url"] = f"sqlite:///{tmp_path / 'missing' / 'x.db'}"
    app = create_app(WallSettings.model_validate(settings))
    yield app.test_client()
    app.extensions["wall"].notifier.stop(app)
    app.extensions["wall"].database.dispose()


def test_the_page_says_that_the_database_is_away_and_opens_its_stream(away: FlaskClient) -> None:
    page = away.get("/")
    assert page.status_code == 200
    assert '<p class="notice" id="away">' in page.text
    assert 'data-stream="/stream" data-cursor=""' in page.text


def test_a_post_is_a_503_with_the_text_kept(away: FlaskClient, tmp_path: Path) -> None:
    answer = post_form(away, "Ada", "do not lose me")
    assert answer.status_code == 503
    assert "do not lose me" in answer.text
    assert "Your text is kept" in answer.text
    programs = post_json(away)
    assert programs.status_code == 503
    assert programs.headers["Retry-After"]
    for text in (answer.text, programs.text):
        assert str(tmp_path) not in text
        assert "sqlite" not in text.lower().replace("sqlite3", "")


@pytest.mark.parametrize("path", ["/posts/1", "/?before=5"])
def test_other_pages_are_a_503(away: FlaskClient, path: str) -> None:
    assert away.get(path).status_code == 503


# -- the database is full -----------------------------------------------------------------------


def test_a_post_without_room_for_it_is_a_507_with_the_text_kept(
    app: Flask, client: FlaskClient, sqlite_url: str
) -> None:
    post_form(client, "Ada", "there was room")
    database = app.extensions["wall"].database

    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # it becomes the present size

    event.listen(database._engine, "connect", limit)
    database.dispose()
    long = "x" * 1_900
    answers = [post_form(client, "Ada", long) for _ in range(10)]
    refused = answers[-1]
    assert refused.status_code == 507
    assert long in refused.text
    assert "no room" in refused.text
    assert "there was room" in refused.text, "the page can still be read"
    assert len(post_ids(sqlite_url)) == 1 + [a.status_code for a in answers].count(303)


# -- a post that is sent again ------------------------------------------------------------------

A_KEY = "0123456789abcdef"


def test_a_post_that_is_sent_again_with_its_key_stands_once(
    client: FlaskClient, sqlite_url: str
) -> None:
    sent = {"author": "Ada", "body": "Hello", "key": A_KEY}
    first, again = (client.post("/posts", json=sent) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json == again.json
    assert again.headers["Location"] == "/posts/1"
    other = client.post("/posts", json=sent | {"body": "Hello, wall"})  # written on
    without = [post_json(client) for _ in range(2)]
    assert [one.status_code for one in (other, *without)] == [201] * 3
    assert post_ids(sqlite_url) == [1, 2, 3, 4]
    stored = execute(sqlite_url, "SELECT draft FROM posts WHERE draft IS NOT NULL")
    assert len(stored) == 2
    assert A_KEY not in str(stored)
    assert A_KEY not in client.get("/").text


def test_who_sends_it_again_may_change_it_but_no_longer_than_once(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer that had the cookie was lost."""
    sent = {"author": "Ada", "body": "Hello", "key": A_KEY}
    app.test_client().post("/posts", json=sent)
    client = app.test_client()
    assert client.patch("/posts/1", json={"body": "x"}).status_code == 403
    client.post("/posts", json=sent)
    assert client.patch("/posts/1", json={"body": "Hello, wall"}).status_code == 200
    monkeypatch.setattr(rights, "clock", lambda: time.time() + rights.CHANGEABLE_S + 60)
    client.post("/posts", json=sent)
    assert client.patch("/posts/1", json={"body": "too late"}).status_code == 403


def test_a_removed_post_that_is_sent_again_stays_removed(
    client: FlaskClient, sqlite_url: str
) -> None:
    sent = {"author": "Ada", "body": "Hello", "key": A_KEY}
    client.post("/posts", json=sent)
    client.delete("/posts/1")
    again = client.post("/posts", json=sent)
    assert again.status_code == 409
    assert "removed" in again.text
    assert post_ids(sqlite_url) == [1]


@pytest.mark.parametrize("key", ["short", "x" * 65, "spaces in it, too many", "ü" * 20, 5, None])
def test_a_key_that_can_be_guessed_or_is_none_is_refused(client: FlaskClient, key: object) -> None:
    sent = {"author": "Ada", "body": "Hello", "key": key}
    assert client.post("/posts", json=sent).status_code == 422


def test_the_form_brings_a_key_that_a_refusal_keeps(client: FlaskClient, sqlite_url: str) -> None:
    keys = [re.findall(r'name="key" value="([\w-]{16,64})"', client.get("/").text) for _ in "ab"]
    assert keys[0] != keys[1]
    refused = post_form(client, author=" ", key=A_KEY)
    assert f'name="key" value="{A_KEY}"' in refused.text
    for _ in range(2):
        assert post_form(client, key=A_KEY).status_code == 303
    assert post_ids(sqlite_url) == [1]


# -- a table that is not the wall's --------------------------------------------------------------


def test_another_programs_table_is_told_as_such(sqlite_url: str) -> None:
    execute(sqlite_url, "CREATE TABLE posts (id INTEGER PRIMARY KEY, title TEXT)")
    app = create_app(WallSettings.model_validate({"database_url": sqlite_url, "secret_key": KEY}))
    wall: Wall = app.extensions["wall"]
    with pytest.raises(TableError, match="not the wall's"):
        wall.table.prepare(wall.database)
    client = app.test_client()
    told = "The wall has no table for its posts. Its log says why"
    for reply in (client.get("/"), client.get("/screen"), post_json(client)):
        assert told in reply.text
        assert "database is away" not in reply.text
    execute(sqlite_url, "DROP TABLE posts")
    wall.table.prepare(wall.database)
    assert told not in client.get("/").text
    assert post_json(client).status_code == 201
    wall.notifier.stop(app)
    wall.database.dispose()
