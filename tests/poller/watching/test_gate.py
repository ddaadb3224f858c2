"""Who may see the page."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from poller.watching.gate import HEADERS, Gate

PORT = 8123
HOST = f"127.0.0.1:{PORT}"


@pytest.fixture
def gate() -> Gate:
    return Gate(PORT)


@pytest.fixture
def app(gate: Gate) -> Flask:
    app = Flask(__name__)
    app.before_request(gate.check)
    app.after_request(gate.add_headers)
    app.add_url_rule("/rows", view_func=lambda: "rows")
    return app


def ask(client: FlaskClient, path: str, host: str = HOST, method: str = "GET") -> int:
    return client.open(path, base_url=f"http://{host}/", method=method).status_code


def test_nothing_without_the_token(app: Flask) -> None:
    browser = app.test_client()
    for path in ("/rows", "/nowhere", "/rows?token=", "/rows?token=x", "/rows?token=%ff"):
        assert ask(browser, path) == 403
    assert not browser._cookies


def test_the_token_is_exchanged_for_a_cookie_and_leaves_the_address(app: Flask, gate: Gate) -> None:
    browser, token = app.test_client(), gate.token
    answer = browser.get(f"/rows?token={token}", base_url=f"http://{HOST}/")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/rows")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert token not in cookie
    assert ask(browser, "/rows") == 200
    assert ask(browser, f"/rows?token={token}") == 303  # the same browser may click it again


def test_the_token_opens_once(app: Flask, gate: Gate) -> None:
    token = gate.token
    assert ask(app.test_client(), f"/rows?token={token}") == 303
    assert ask(app.test_client(), f"/rows?token={token}") == 403
    assert ask(app.test_client(), "/rows?token=") == 403


def test_a_look_at_the_link_does_not_use_it_up(app: Flask, gate: Gate) -> None:
    token = gate.token
    assert ask(app.test_client(), f"/rows?token={token}", method="HEAD") == 403
    assert ask(app.test_client(), f"/rows?token={token}") == 303


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:1", "0.0.0.0:8123"]
)
def test_another_host_is_refused_even_with_token_and_cookie(
    app: Flask, gate: Gate, host: str
) -> None:
    """A page whose name was made to point to 127.0.0.1."""
    browser = app.test_client()
    token = gate.token
    assert ask(browser, f"/rows?token={token}", host=host) == 403
    assert gate.token == token
    assert ask(browser, f"/rows?token={token}") == 303
    assert ask(browser, "/rows", host=host) == 403


def test_its_own_names_are_not_refused(app: Flask, gate: Gate) -> None:
    assert ask(app.test_client(), f"/rows?token={gate.token}", host=f"localhost:{PORT}") == 303


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_only_reads(app: Flask, gate: Gate, method: str) -> None:
    browser = app.test_client()
    ask(browser, f"/rows?token={gate.token}")
    assert ask(browser, "/rows", method=method) == 405


def test_every_answer_has_the_headers(app: Flask) -> None:
    answer = app.test_client().get("/rows", base_url=f"http://{HOST}/")
    assert HEADERS.items() <= dict(answer.headers).items()
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
