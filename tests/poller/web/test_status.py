"""The routes of the status: closed to strangers, open to an operator, and what they never tell."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import gevent
import pytest
from flask import Flask, abort
from flask.testing import FlaskClient
from werkzeug.middleware.proxy_fix import ProxyFix

from poller import Database, Notifier, Settings
from poller.access import granted
from poller.access.guesses import MOST
from poller.status.live import LABEL
from poller.web import operator
from tests.harness import sql
from tests.harness.greenlets import unpatched, until
from tests.harness.logged import logged

# Of no other test: counters are those of this process.
TABLE = "CREATE TABLE ledger (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT)"
TOKEN = "an operator's token"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SECRET_ROW = "what a row holds"

Serve = Callable[..., FlaskClient]


@pytest.fixture
def serve(sqlite_url: str) -> Iterator[Serve]:
    """serve(token, **arguments): a client of an application with one feed."""
    sql.execute(sqlite_url, TABLE)
    sql.execute(sqlite_url, "INSERT INTO ledger (body) VALUES (?)", [SECRET_ROW])
    services, databases = [], []

    def make(token: str | None = None, **arguments: Any) -> FlaskClient:
        app, notifier = Flask("test"), Notifier(authorize="public")
        notifier.watch("ledger", columns=["id", "body"])
        databases.append(Database(sqlite_url))
        settings = Settings.model_validate({"operator_token": token})
        notifier.init_app(app, database=databases[-1], settings=settings, **arguments)
        services.append(app.extensions["rowcast"])
        return app.test_client()

    with unpatched():
        yield make
        for service in services:
            service.stop()
        for database in databases:
            database.close()


ROUTES = ["/status", "/status.json", "/status/json", "/status/stream", "/status/enter",
          "/status/page/status.js"]  # fmt: skip


@pytest.mark.parametrize("path", ROUTES)
def test_where_nobody_may_see_it_there_is_nothing(serve: Serve, path: str) -> None:
    assert serve().get(path).status_code == 404


@pytest.mark.parametrize("path", ROUTES[1:5])
def test_a_stranger_gets_nothing_of_it(serve: Serve, path: str) -> None:
    client = serve(TOKEN)
    wrong = {"Authorization": f"Bearer {TOKEN}x"}
    for headers in ({}, wrong):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["Cache-Control"] == "no-store"
        assert "ledger" not in answer.text


def test_a_strangers_browser_gets_the_form(serve: Serve) -> None:
    answer = serve(TOKEN).get("/status")
    assert answer.status_code == 401
    assert 'type="password"' in answer.text
    assert "WWW-Authenticate" not in answer.headers  # or the browser would ask by itself


def without_cookies(client: FlaskClient) -> FlaskClient:
    """One that sends the headers that it is given, and no cookies of its own."""
    return client.application.test_client(use_cookies=False)


def entered(client: FlaskClient) -> str:
    answer = client.get("/status/enter", headers=BEARER)
    assert answer.status_code == 204
    return answer.headers["Set-Cookie"]


def test_the_token_opens_it_once_and_then_a_cookie_does(serve: Serve) -> None:
    client = serve(TOKEN)
    cookie = entered(client)
    assert {"HttpOnly", "SameSite=Strict"} <= {*cookie.split("; ")}
    assert "Path" not in cookie  # the folder of the address, whatever a proxy puts before it
    assert "Secure" not in cookie
    assert TOKEN not in cookie
    value = cookie.split("=", 1)[1].split(";")[0]
    client, asked = without_cookies(client), {"Cookie": f"{operator.COOKIE}={value}"}
    assert "uPlot" in client.get("/status", headers=asked).text
    told = client.get("/status/json", headers=asked)
    assert told.status_code == 200
    assert client.get("/metrics", headers=asked).status_code == 401  # it is for the page alone


@pytest.mark.parametrize("part", ["until", "signature", "all", "empty"])
def test_a_cookie_that_was_made_up_opens_nothing(serve: Serve, part: str) -> None:
    client = serve(TOKEN)
    until_s, signature = entered(client).split("=", 1)[1].split(";")[0].split(".")
    made = {
        "until": f"{int(until_s) + 1}.{signature}",
        "signature": f"{until_s}.{signature[:-1]}g",
        "all": "é.é",
        "empty": "",
    }[part]
    fresh = without_cookies(client)
    headers = {"Cookie": f"{operator.COOKIE}={made}"}
    assert fresh.get("/status/json", headers=headers).status_code == 401


def test_a_cookie_ends_with_its_time_and_with_the_token(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve(TOKEN)
    value = entered(client).split("=", 1)[1].split(";")[0]
    headers = {"Cookie": f"{operator.COOKIE}={value}"}
    other, client = without_cookies(serve("another operator's token")), without_cookies(client)
    assert client.get("/status/json", headers=headers).status_code == 200
    assert other.get("/status/json", headers=headers).status_code == 401
    later = granted.now() + operator.LASTS_S + 1
    monkeypatch.setattr(operator, "now", lambda: later)
    assert client.get("/status/json", headers=headers).status_code == 401


def test_over_https_the_cookie_is_secure(serve: Serve) -> None:
    client = serve(TOKEN)
    client.application.wsgi_app = ProxyFix(client.application.wsgi_app, x_proto=1)  # type: ignore[method-assign]
    answer = client.get("/status/enter", headers={**BEARER, "X-Forwarded-Proto": "https"})
    assert "; Secure" in answer.headers["Set-Cookie"]


def test_guesses_are_told_of_and_keep_nobody_out_who_has_the_token(serve: Serve) -> None:
    """A stranger may have the operator's address: that of a proxy which nobody told of."""
    client = without_cookies(serve(TOKEN))
    wrong = {"Authorization": "Bearer guessed"}
    with logged() as lines:
        for path in ["/status/enter", "/metrics"] * (MOST // 2):
            assert client.get(path, headers=wrong).status_code in (401, 429)
    assert [one["event"] for one in lines] == ["an operator's token is guessed at"]
    for path in ("/status/enter", "/metrics"):
        refused = client.get(path, headers=wrong)
        assert refused.status_code == HTTPStatus.TOO_MANY_REQUESTS
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert client.get("/status/enter", headers=BEARER).status_code == HTTPStatus.NO_CONTENT
    for path in ("/metrics", "/status/json"):
        assert client.get(path, headers=BEARER).status_code == HTTPStatus.OK


def of_staff(request: Any) -> bool:
    return bool(request.headers.get("X-Staff") == "yes")


def aborts(_: object) -> bool:
    abort(401)


def test_a_function_of_the_author_decides(serve: Serve) -> None:
    client = serve(status=of_staff)
    assert client.get("/status.json").status_code == 403
    assert client.get("/status").status_code == 403
    assert client.get("/status.json", headers={"X-Staff": "yes"}).status_code == 200
    assert serve(status=aborts).get("/status.json").status_code == 403
    with pytest.raises(ValueError, match='"public"'):
        serve(status=True)


def test_it_tells_what_is_so_and_no_row(serve: Serve) -> None:
    client = serve(status="public")
    until(lambda: client.get("/readyz").status_code == 200, "a ready feed")
    told = client.get("/status.json").json
    assert told is not None
    assert told.keys() == {
        "verdict", "text", "well", "checks", "feeds", "workers", "at", "hour",
    }  # fmt: skip
    states = {one["name"]: one["state"] for one in told["checks"]}
    assert (states["promise"], states["gaps"], states["streams"]) == ("ok", "ok", "ok")
    assert told["feeds"]["ledger"]["ready"]
    assert len(told["workers"]) == 1
    text = json.dumps(told)
    for secret in (SECRET_ROW, "SELECT", "sqlite:"):
        assert secret not in text


def test_a_look_is_answered_below_a_prefix_and_for_its_notifier_alone(serve: Serve) -> None:
    client = serve(status="public", url_prefix="/live")
    assert client.get("/status").status_code == 404
    told = client.get("/live/status.json").json
    assert told is not None
    assert told["feeds"].keys() == {"ledger"}
    page = client.get("/live/status").text
    assert 'src="status/page/' in page  # relative: right below any prefix
    assert 'src="/' not in page
    assert 'href="/' not in page


def test_the_page_runs_nothing_that_is_not_ours(serve: Serve) -> None:
    client = serve(status="public")
    answer = client.get("/status")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    for forbidden in ("style=", "onclick", "<script>", "http://", "https://"):
        assert forbidden not in answer.text


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("status.js", 200), ("uPlot.min.js", 200), ("uPlot.LICENSE.txt", 200), ("tokens.css", 200),
        ("watch.html", 404), ("watch.js", 404), ("..%2Fservice.py", 404), ("__init__.py", 404),
    ],
)  # fmt: skip
def test_parts_of_the_page_are_there_and_nothing_else(serve: Serve, name: str, status: int) -> None:
    client = serve(TOKEN)
    answer = client.get(f"/status/page/{name}", headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == status
    if status == 200:
        assert answer.headers["Content-Encoding"] == "gzip"
        again = client.get(
            f"/status/page/{name}",
            headers={"If-None-Match": answer.headers["ETag"], "Accept-Encoding": "gzip"},
        )
        assert again.status_code == 304


def test_the_whole_page_is_small(serve: Serve) -> None:
    client = serve(status="public")
    names = ["tokens.css", "dark.css", "base.css", "uPlot.css", "status.css", "uPlot.min.js",
             "status.js", "checks.js", "plots.js", "words.js", "mark.svg"]  # fmt: skip
    gzip = {"Accept-Encoding": "gzip"}
    sizes = [len(client.get(f"/status/page/{name}", headers=gzip).data) for name in names]
    assert sum(sizes) + len(client.get("/status").data) < 60 * 1024


def test_reports_come_while_somebody_looks_and_none_before(serve: Serve) -> None:
    client = serve(status="public")
    service = client.application.extensions["rowcast"]
    made: list[int] = []
    report = service.live.report

    def counted(*, hour: bool) -> dict[str, Any]:
        made.append(1)
        return dict(report(hour=hour))

    service.live.report = counted
    client.get("/readyz")
    gevent.sleep(0)
    assert made == []
    with client.get("/status/stream") as answer:
        chunks = iter(answer.iter_encoded())
        text = b""
        while b'"verdict"' not in text:
            text += next(chunks)
        assert LABEL.encode() in text
        assert len(made) >= 1
        assert service.admission.taken == 0  # it takes no place of a feed's stream
        assert service.live.admission.taken == 1
    until(lambda: service.live.admission.taken == 0, "that it has ended")


def test_a_place_is_kept_for_the_operator_on_a_full_worker(serve: Serve) -> None:
    client = serve(status="public")
    service = client.application.extensions["rowcast"]
    for _ in range(service.admission.most):
        service.admission.ticket("192.0.2.1").take()
    with client.get("/status/stream") as answer:
        assert answer.status_code == 200
    told = client.get("/status.json").json
    assert told is not None
    full = next(one for one in told["checks"] if one["name"] == "streams")
    assert full["state"] == "attention"


@pytest.mark.parametrize("public", [True, False])
def test_who_may_look_is_asked_again_after_a_while(serve: Serve, *, public: bool) -> None:
    """A cookie ends, and so does the right of somebody whom a function let in."""
    client = serve(**({"status": "public"} if public else {"token": TOKEN}))
    service = client.application.extensions["rowcast"]
    service.settings = service.settings.model_copy(update={"stream_lifetime_s": 0.0})
    with client.get("/status/stream", headers=BEARER) as answer:
        chunks = iter(answer.iter_encoded())
        if public:
            assert next(chunks)
            assert service.live.admission.taken == 1
        else:
            assert (
                b"".join(chunks).count(b"retry:") == 2
            )  # it ends by itself, and says when to come


def test_a_page_of_another_site_takes_no_place(serve: Serve) -> None:
    client = serve(status="public")
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        assert client.get("/status/stream", headers=headers).status_code == HTTPStatus.FORBIDDEN
