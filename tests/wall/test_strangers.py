"""What a stranger may send: any header, query and body is answered, cheaply, and says nothing that
is not theirs."""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Callable, Iterator
from io import BytesIO, RawIOBase
from pathlib import Path
from typing import Any, Literal

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.post import AUTHOR_LENGTH, BODY_LENGTH, create_tables
from tests.harness import sql
from tests.harness.greenlets import unpatched
from wall import create_app, text
from wall.posts import Wall
from wall.secret import read_or_make
from wall.settings import SettingsError, WallSettings

KEY = "a key for tests only, long enough"
MARKS = "a" + "\u0301\u0316" * 5_000  # 60 KB, however it is written

App = Callable[..., Flask]


@pytest.fixture(scope="module")
def make_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """make_app(url, **settings): a wall whose table is there, and which polls nothing."""
    made: list[Flask] = []

    def make(url: str = "", **given: Any) -> Flask:
        url = url or f"sqlite:///{tmp_path_factory.mktemp('strangers') / 'rowcast.sqlite3'}"
        settings = {"database_url": url, "secret_key": KEY, "post_rate": "1000000 per minute"}
        app = create_app(WallSettings.model_validate({**settings, **given}))
        create_tables(app.extensions["wall"].database)
        made.append(app)
        return app

    yield make
    for app in made:
        wall: Wall = app.extensions["wall"]
        wall.notifier.stop(app)
        wall.database.close()


# -- a long text is refused unread --------------------------------------------------------------


@pytest.mark.parametrize("sent", ["json", "data"])
@pytest.mark.parametrize("field", ["author", "body"])
def test_a_text_that_is_far_too_long_is_refused_before_any_work_on_it(
    make_app: App, field: str, sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_app().test_client()
    worked_on: list[int] = []

    def noted(form: Literal["NFC"], text: str) -> str:
        worked_on.append(len(text))
        return text

    monkeypatch.setattr("wall.text.unicodedata.normalize", noted)
    csrf = client.get("/").text.split('name="csrf_token" value="')[1].split('"')[0]
    post: dict[str, Any] = {"author": "Ada", "body": "Hello", field: MARKS, "csrf_token": csrf}
    answer = client.post("/posts", **{sent: post}, headers={"Accept": "application/json"})
    assert answer.status_code == 422
    assert "too many" in (answer.json or {})["fields"][field]
    assert not worked_on


@pytest.mark.parametrize(("field", "longest"), [("author", AUTHOR_LENGTH), ("body", BODY_LENGTH)])
def test_what_fits_once_it_is_cleaned_is_taken(make_app: App, field: str, longest: int) -> None:
    """A Vietnamese keyboard may send three characters for one, a form two for a line end."""
    written = unicodedata.normalize("NFD", "ế" * longest)
    assert len(written) == 3 * longest <= text.MOST_RAW * longest
    post = {"author": "Ada", "body": "Hello", field: written}
    answer = make_app().test_client().post("/posts", json=post)
    assert (answer.status_code, (answer.json or {})[field]) == (201, "ế" * longest)


# -- the page -----------------------------------------------------------------------------------


def test_posts_are_rendered_once_for_all_visitors(make_app: App) -> None:
    app = make_app()
    rendered: list[str] = []
    hue = app.jinja_env.filters["hue"]

    def noted(author: str) -> int:
        rendered.append(author)
        return int(hue(author))

    app.jinja_env.filters["hue"] = noted
    one, other = app.test_client(), app.test_client()
    app.test_client().post("/posts", json={"author": "Ada", "body": "Hello"})
    first, second = one.get("/").text, other.get("/").text
    assert rendered == ["Ada"]
    token = 'name="csrf_token" value="'
    assert first.split(token)[1][:90] != second.split(token)[1][:90]  # nobody's token but theirs
    other.post("/posts", json={"author": "Ben", "body": "Hi"})
    assert [name in one.get("/").text for name in ("Ada", "Ben")] == [True, True]
    assert rendered == ["Ada", "Ben", "Ada"]


# -- whatever is asked is answered ----------------------------------------------------------------


@pytest.fixture(params=[0, 1], ids=["direct", "behind a proxy"])
def asked(request: pytest.FixtureRequest, make_app: App) -> Iterator[Flask]:
    app = make_app(proxies=request.param, trusted_hosts=("example.org",) * request.param)
    with unpatched():
        yield app
    app.extensions["wall"].notifier.stop(app)  # which a request for a stream has started


ODD = [
    "", "http://[", "http://]", "[::1", "//", "null", "0", "-1", "1e999", "NaN", "a,b;q=x", "W/",
    "example.org:99999", "example.org:x", "[v1.x]", "8.8.8.8:5555", "unknown", "bytes=9-", '"',
    "%", "%00%0a", "text/html;charset=\xe9", "multipart/form-data", "multipart/form-data; bound",
    "application/json;charset=utf-99", "abcd.12!-AA", "9" * 5000, "abcd." + "9" * 19, "for=_x;x",
    "Thu, 99 Foo 2026", "rowcast=.x.y", "same-origin", "https", "chunked", "\t", "\xff", "*/*;q",
]  # fmt: skip
HEADERS = [
    "HOST", "ORIGIN", "SEC_FETCH_SITE", "ACCEPT", "LAST_EVENT_ID", "COOKIE", "X_FORWARDED_FOR",
    "X_FORWARDED_PROTO", "X_FORWARDED_HOST", "X_FORWARDED_PORT", "X_FORWARDED_PREFIX", "FORWARDED",
    "X_REAL_IP", "RANGE", "IF_NONE_MATCH", "IF_MODIFIED_SINCE", "IF_RANGE", "ACCEPT_ENCODING",
    "ACCEPT_LANGUAGE", "AUTHORIZATION", "X_CSRFTOKEN", "REFERER", "TRANSFER_ENCODING", "EXPECT",
]  # fmt: skip
NAMES = ["before", "lastEventId", "last_event_id", "csrf_token", "author", "x"]
# As a server hands it on: bytes as Latin-1, without control characters.
heard = st.sampled_from(ODD) | st.text(
    st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=30
)
KNOWN = ["/", "/posts", "/posts/1", "/stream", "/stream/posts", "/healthz", "/metrics", "/static/x"]
paths = st.sampled_from(KNOWN) | heard.map(lambda tail: f"/{tail}")
queries = st.lists(st.tuples(st.sampled_from(NAMES), heard)).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    method=st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PUT", "get", "X-Y"]),
    path=paths,
    query=queries | heard,
    headers=st.dictionaries(st.sampled_from(HEADERS), heard, max_size=6),
    content_type=heard | st.just("application/x-www-form-urlencoded"),
    length=st.none() | heard,
    body=st.binary(max_size=60),
    address=st.sampled_from(
        ["127.0.0.1", "", "8.8.8.8:5555", "unknown", "[2001:db8::1]:99", "\xff"]
    ),
)
def test_no_request_is_a_500(
    asked: Flask,
    method: str,
    path: str,
    query: str,
    headers: dict[str, str],
    content_type: str,
    length: str | None,
    body: bytes,
    address: str,
) -> None:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "REMOTE_ADDR": address,
        "CONTENT_TYPE": content_type,
        "wsgi.input": BytesIO(body),
        "wsgi.errors": BytesIO(),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input_terminated": length is None,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **{f"HTTP_{name}": value for name, value in headers.items()},
        **({} if length is None else {"CONTENT_LENGTH": length}),
    }
    said: list[str] = []

    def start(status: str, _headers: object, _error: object = None) -> Callable[[bytes], object]:
        said.append(status)
        return bytes

    answer = asked.wsgi_app(environ, start)
    if hasattr(answer, "close"):
        answer.close()
    assert said[0] < "500", said


@pytest.mark.parametrize("origin", ["http://[", "http://]", "http://[::1", "//[", "http://\u2100"])
def test_an_origin_that_is_no_address_is_another_sites(make_app: App, origin: str) -> None:
    headers = {"Origin": origin.encode().decode("latin-1")}
    post = {"author": "Ada", "body": "Hello"}
    assert make_app().test_client().post("/posts", json=post, headers=headers).status_code == 403


class Broken(RawIOBase):
    """The body of a request that a server cannot make out: each raises an error of its own."""

    def readable(self) -> bool:
        return True

    def read(self, _size: int = -1) -> bytes:
        raise RuntimeError("malformed chunk")

    def readinto(self, _buffer: object) -> int:
        raise RuntimeError("malformed chunk")


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
def test_a_body_that_cannot_be_read_is_a_400(
    make_app: App, content_type: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_app().test_client()
    answer = client.post(
        "/posts",
        content_type=content_type,
        headers={"Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input": Broken(), "wsgi.input_terminated": True},
    )
    assert answer.status_code == 400
    assert not [one for one in caplog.records if one.exc_info]


# -- what the log says --------------------------------------------------------------------------


def test_a_path_forges_no_line_of_the_log(make_app: App, caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()

    def fail(path: str) -> str:
        raise KeyError(path)

    app.add_url_rule("/fails/<path>", view_func=fail)
    answer = app.test_client().get("/fails/x%0AERROR%20forged%1b%5b2J%c2%85more")
    assert answer.status_code == 500
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(said) == 2
    for line in said:
        assert "forged" in line
        assert line == "".join(char for char in line if unicodedata.category(char) != "Cc")


@pytest.mark.parametrize("url", ["sqlite_url", "postgresql_url", "mariadb_url"])
def test_a_post_that_the_database_refuses_is_not_quoted_in_the_log(
    make_app: App, url: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """PostgreSQL's DETAIL shows the whole row."""
    url = request.getfixturevalue(url)
    client = make_app(url).test_client()
    if url.startswith("sqlite"):
        sql.execute(
            url,
            "CREATE TRIGGER no BEFORE INSERT ON posts WHEN NEW.author = 'ann' "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END",
        )
    else:
        sql.execute(url, "ALTER TABLE posts ADD CONSTRAINT no CHECK (author <> 'ann')")
    answer = client.post("/posts", json={"author": "ann", "body": "a secret of mine"})
    assert answer.status_code == 503
    (said,) = [one.getMessage() for one in caplog.records if "database failed" in one.getMessage()]
    assert "secret" not in said
    assert "ann" not in said


# -- the key ------------------------------------------------------------------------------------


def _elsewhere(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "readable by the group": (lambda path: path.chmod(0o640), "can be opened by others .mode 640"),
    "writable by all": (lambda path: path.chmod(0o602), "can be opened by others .mode 602"),
    "a link": (_elsewhere, "is a symbolic link"),
    "empty": (lambda path: path.write_text(""), "holds no key of 16 characters"),
    "short": (lambda path: path.write_text("short"), "holds no key of 16 characters"),
    "several lines": (lambda path: path.write_text("a long line\n" * 9), "holds no key"),
    "bytes": (lambda path: path.write_bytes(b"\xff\0" * 20), "holds no key"),
    "of another user": (lambda path: os.chown(path, 12345, -1), "belongs to another user"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_key_file_that_others_may_know_is_refused(tmp_path: Path, how: str) -> None:
    if how == "of another user" and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    path = tmp_path / "secret_key"
    key = read_or_make(path)
    assert read_or_make(path) == key
    spoil, said = SPOILT[how]
    spoil(path)
    with pytest.raises(SettingsError, match=f"{said}.*Delete it.*SECRET_KEY"):
        read_or_make(path)


def test_a_folder_in_place_of_the_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret_key").mkdir()
    with pytest.raises(SettingsError, match="secret_key"):
        read_or_make(tmp_path / "secret_key")


def test_a_key_that_the_operator_wrote_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    path.write_text("correct-horse-battery\n")
    path.chmod(0o600)
    assert read_or_make(path) == "correct-horse-battery"
