"""Each program of `examples/`, served by gunicorn from the installed package's environment."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import sql
from tests.harness.http import request
from tests.harness.process import wait_until
from tests.harness.sse import Stream
from tests.package.helpers import MAY_INSTALL, PROJECT, Server

pytestmark = [pytest.mark.package, MAY_INSTALL]

Serve = Callable[..., Server]
OpenStream = Callable[..., Stream]
Order = Callable[[str], None]

EXAMPLES = PROJECT / "examples"
OURS = ("-k", "poller.Worker", "-b", "127.0.0.1:{port}")
BOUND_S = 30.0


@pytest.fixture
def run(serve: Serve, shop: Path) -> Callable[..., Server]:
    """run(name, app, **env): the example `name`, served in the shop's folder."""

    def start(name: str, app: str, **env: str) -> Server:
        shutil.copy(EXAMPLES / f"{name}.py", shop)
        return serve("gunicorn", *OURS, f"{name}:{app}", workers=1, **env).wait_ready()

    return start


def rows(stream: Stream, count: int = 1) -> list[dict[str, object]]:
    stream.wait_for_rows(count)
    return list(stream.rows)


def test_ten_lines(run: Callable[..., Server], order: Order, open_stream: OpenStream) -> None:
    server = run("ten_lines", "app", DATABASE_URL="", FLASK_DATABASE_URL="sqlite:///shop.db")
    stream = open_stream(server.url + "/stream/orders").wait_open()
    order("Ada")
    assert rows(stream) == [{"id": 1, "customer": "Ada", "total": 5}]


def test_flask_sqlalchemy(
    run: Callable[..., Server], shop: Path, order: Order, open_stream: OpenStream
) -> None:
    order("before the page")
    absolute = f"sqlite:///{shop / 'shop.db'}"
    server = run("flask_sqlalchemy_app", "create_app()", DATABASE_URL=absolute)
    page = server.get("/").text
    assert "before the page" in page
    source = page.split('data-stream="', 1)[1].split('"', 1)[0].replace("&amp;", "&")
    order("after the page")
    stream = open_stream(server.url + source).wait_open()
    assert [row["customer"] for row in rows(stream)] == ["after the page"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert request(server.url + "/", "POST", b"customer=Ada", form).status == 303
    assert [row["customer"] for row in rows(stream, 2)] == ["after the page", "Ada"]
    wait_until(lambda: "receipt for Ada" in server.log(), BOUND_S, "the handler has run")
    assert server.log().count("receipt for Ada") == 1


def test_two_databases(
    run: Callable[..., Server], shop: Path, order: Order, open_stream: OpenStream
) -> None:
    archive = f"sqlite:///{shop / 'archive.db'}"
    sql.execute(archive, "CREATE TABLE readings (id INTEGER PRIMARY KEY, celsius REAL)")
    server = run("two_databases", "app", ARCHIVE_URL=archive, ROWCAST_POLL_INTERVAL="0.1")
    wait_until(lambda: server.get("/archive/readyz").status == 200, BOUND_S, "the archive is ready")
    orders = open_stream(server.url + "/stream/orders").wait_open()
    readings = open_stream(server.url + "/archive/stream/readings?last_event_id=0").wait_open()
    order("Ada")
    sql.execute(archive, "INSERT INTO readings (celsius) VALUES (21.5)")
    assert rows(orders) == [{"id": 1, "customer": "Ada", "total": 5}]
    assert rows(readings) == [{"id": 1, "celsius": 21.5}]
    assert json.loads(server.get("/archive/readyz").text)["feeds"].keys() == {"readings"}


def test_two_apps(run: Callable[..., Server], order: Order, open_stream: OpenStream) -> None:
    server = run("two_apps", "app")
    wait_until(lambda: server.get("/office/readyz").status == 200, BOUND_S, "the office is ready")
    public = open_stream(server.url + "/stream").wait_open()
    office = open_stream(server.url + "/office/stream").wait_open()
    order("Ada")
    assert rows(public) == [{"id": 1, "customer": "Ada"}]
    assert rows(office) == [{"id": 1, "customer": "Ada", "total": 5}]


def test_every_example_is_run_and_listed() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    listed = (EXAMPLES / "README.md").read_text()
    assert {name for name in names if f"`{name}.py`" in listed} == names
    assert all(f"test_{name.removesuffix('_app')}" in globals() for name in names)
