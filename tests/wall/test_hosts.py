"""Which host names the wall answers to."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, run_wsgi_app

from models.post import create_tables
from wall import create_app
from wall.settings import WallSettings

KEY = "a key for tests only, long enough"
OPERATORS = ("/healthz", "/readyz", "/metrics")

Client = Callable[..., FlaskClient]


@pytest.fixture
def client(sqlite_url: str) -> Iterator[Client]:
    """client(trusted_hosts=…, host=…): a client of a wall with these settings."""
    with ExitStack() as stack:

        def make(**settings: Any) -> FlaskClient:
            given = {"database_url": sqlite_url, "secret_key": KEY, **settings}
            app = create_app(WallSettings.model_validate(given))
            wall = app.extensions["wall"]
            create_tables(wall.database)
            stack.callback(wall.database.dispose)
            stack.callback(wall.notifier.stop, app)
            return app.test_client()

        yield make


def status(client: FlaskClient, path: str, host: str | None) -> int:
    """`host` None: the request has no Host at all, as one of HTTP/1.0 may."""
    environ = EnvironBuilder(path=path).get_environ()
    environ.pop("HTTP_HOST") if host is None else environ.update(HTTP_HOST=host)
    body, answer, _ = run_wsgi_app(client.application, environ)
    getattr(body, "close", lambda: None)()
    return int(answer.split(" ")[0])


def answered(client: FlaskClient, host: str | None) -> bool:
    return status(client, "/nothing", host) == 404


@pytest.mark.parametrize(
    "host",
    ["wall.example", "WALL.example:8000", "wall.example.", "a.b.example.org", "A.EXAMPLE.ORG"],
)
def test_a_named_host_is_known_however_it_is_written(client: Client, host: str) -> None:
    assert answered(client(trusted_hosts="Wall.Example,.example.org"), host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "wall.example.evil",
        "notexample.org",
        "127.0.0.1",
        "[::1]",
        "wall_x",
        "",
        None,
    ],
)
def test_any_other_host_is_refused_where_hosts_are_named(client: Client, host: str | None) -> None:
    wall = client(trusted_hosts="wall.example,.example.org")
    assert status(wall, "/", host) == 400
    assert status(wall, "/stream", host) == 400


def test_a_refusal_names_the_setting_and_not_the_host(client: Client) -> None:
    refused = client().get("/", base_url="http://evil.example:8000")
    assert "ROWCAST_TRUSTED_HOSTS" in refused.text
    assert "evil" not in refused.text


@pytest.mark.parametrize("listens_on", ["127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.2"])
@pytest.mark.parametrize("host", ["LOCALHOST", "127.0.0.1:8000", "[::1]:8000", "[0:0::1]"])
def test_a_wall_on_this_machine_answers_to_its_names(
    client: Client, listens_on: str, host: str
) -> None:
    wall = client(host=listens_on)
    assert answered(wall, host)
    assert not answered(wall, "evil.example")


def test_a_wall_answers_to_its_own_address(client: Client) -> None:
    assert answered(client(host="127.0.0.2"), "127.0.0.2:8000")


@pytest.mark.parametrize("path", OPERATORS)
@pytest.mark.parametrize("host", ["10.0.0.7:8000", "[2001:db8::7]:8000", None, "wall.example"])
def test_a_prober_may_ask_by_address(client: Client, path: str, host: str | None) -> None:
    """A page elsewhere cannot: its requests bear the name that it was loaded from."""
    expected = (403,) if path == "/metrics" else (200, 503)  # and for an operator's token 200
    assert status(client(trusted_hosts="wall.example"), path, host) in expected


@pytest.mark.parametrize("path", OPERATORS)
@pytest.mark.parametrize("host", ["evil.example", "e_vil.example", "10.0.0.7.evil.example", ""])
def test_a_page_elsewhere_may_not_ask_as_an_operator(client: Client, path: str, host: str) -> None:
    assert status(client(trusted_hosts="wall.example"), path, host) == 400


@pytest.mark.parametrize("settings", [{"host": "0.0.0.0"}, {"host": "::"}, {"proxies": 1}])
def test_a_wall_that_answers_to_any_name_says_so(
    client: Client, settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "rowcast"):
        assert answered(client(**settings), "any.example")
    assert "ROWCAST_TRUSTED_HOSTS" in caplog.text


@pytest.mark.parametrize(
    "settings", [{}, {"host": "::1"}, {"host": "0.0.0.0", "trusted_hosts": "wall.example"}]
)
def test_a_wall_that_knows_its_names_is_silent(
    client: Client, settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "rowcast"):
        client(**settings)
    assert "ROWCAST_TRUSTED_HOSTS" not in caplog.text


@pytest.mark.parametrize("host", ["a" * 64, f"{'a' * 64}.example", "a..b"])
@pytest.mark.parametrize("path", ["/", "/screen", "/feed.atom", "/nothing"])
def test_a_name_that_dns_cannot_have_is_no_error_of_ours(
    client: Client, host: str, path: str
) -> None:
    assert status(client(host="0.0.0.0"), path, host) == 400
