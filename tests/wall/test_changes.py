"""Whoever wrote a post edits or deletes it; a moderator hides it; nobody else does either."""

import json
import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from werkzeug.test import TestResponse

from models.post import create_tables
from tests.harness.sql import execute, insert_posts
from wall import create_app, moderation, rights
from wall.current import Wall
from wall.settings import WallSettings

KEY = "a key for tests only, long enough"
TOKEN = "the moderator's token, long enough"


@pytest.fixture
def settings(sqlite_url: str) -> dict[str, Any]:
    """A test may change these before it asks for `app`."""
    url = {"database_url": sqlite_url, "query_timeout_s": 2.0}
    return {**url, "secret_key": KEY, "moderator_token": TOKEN}


@pytest.fixture
def make_app() -> Iterator[Callable[[dict[str, Any]], Flask]]:
    walls: list[Wall] = []

    def make(settings: dict[str, Any]) -> Flask:
        app = create_app(WallSettings.model_validate(settings))
        walls.append(app.extensions["wall"])
        create_tables(walls[-1].database)
        return app

    yield make
    for wall in walls:
        wall.database.dispose()


@pytest.fixture
def app(make_app: Callable[[dict[str, Any]], Flask], settings: dict[str, Any]) -> Iterator[Flask]:
    app = make_app(settings)
    yield app
    app.extensions["wall"].notifier.stop(app)


@pytest.fixture
def ada(app: Flask) -> FlaskClient:
    """A browser that wrote post 1."""
    client = app.test_client()
    assert write(client, "Hello").status_code == 201
    return client


@pytest.fixture
def eve(app: Flask) -> FlaskClient:
    """Another one, that wrote nothing."""
    return app.test_client()


def write(client: FlaskClient, body: str, **options: Any) -> TestResponse:
    return client.post("/posts", json={"author": "Ada", "body": body}, **options)


def edit(client: FlaskClient, body: object, number: int = 1, **options: Any) -> TestResponse:
    return client.patch(f"/posts/{number}", json={"body": body}, **options)


def form(client: FlaskClient, path: str, **fields: str) -> TestResponse:
    """The form of that page, as a browser sends it."""
    page = client.get(path.removesuffix("/leave").replace("/show", "/hide"))
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    return client.post(path, data={"csrf_token": found[1] if found else "", **fields})


def one(client: FlaskClient, number: int = 1) -> dict[str, Any] | None:
    answer = client.get(f"/posts/{number}", headers={"Accept": "application/json"})
    assert answer.status_code in (200, 404)
    return answer.json if answer.status_code == 200 else None


def text_of(client: FlaskClient, number: int = 1) -> str | None:
    found = one(client, number)
    return None if found is None else str(found["body"])


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = rights.clock()
    monkeypatch.setattr(rights, "clock", lambda: now + seconds)
    monkeypatch.setattr(moderation, "clock", lambda: now + seconds)


# -- its author ---------------------------------------------------------------------------------


def test_an_author_edits_and_the_post_says_so(ada: FlaskClient, eve: FlaskClient) -> None:
    before = one(eve)
    answer = edit(ada, "Hello again")
    assert answer.status_code == 200
    after = one(eve)
    assert after == answer.json
    assert before
    assert after
    assert (after["body"], before["edited_at"]) == ("Hello again", None)
    assert after["edited_at"] > after["created_at"]
    assert after["version"] > before["version"]
    assert re.search(r'class="edited" data-at="[^"]+" title="Edited ', eve.get("/").text)


def test_an_author_deletes_and_the_text_is_gone_from_the_table(
    ada: FlaskClient, sqlite_url: str
) -> None:
    assert ada.delete("/posts/1").status_code == 204
    row = execute(sqlite_url, "SELECT author, body, deleted_by FROM posts")
    assert row == [("(deleted)", "(deleted)", "author")]
    assert ada.delete("/posts/1").status_code == 404
    assert edit(ada, "back again").status_code == 404


def test_it_works_without_a_script(ada: FlaskClient) -> None:
    page = ada.get("/").text
    assert 'href="/posts/1/edit"' in page
    assert ">\nHello</textarea>" in ada.get("/posts/1/edit").text
    answer = form(ada, "/posts/1/edit", body="by a form")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/#post-1")
    assert text_of(ada) == "by a form"
    assert "Delete this post?" in ada.get("/posts/1/delete").text
    answer = form(ada, "/posts/1/delete")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert text_of(ada) is None


def test_what_cannot_be_kept_comes_back_with_the_text(ada: FlaskClient) -> None:
    answer = form(ada, "/posts/1/edit", body="x" * 2001)
    assert answer.status_code == 422
    assert "x" * 2001 in answer.text
    assert "1 character too many" in answer.text
    assert text_of(ada) == "Hello"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (" \u200b\n", 422),
        ("b" * 2001, 422),
        ("b" * 10_000, 422),
        ("a\0b", 400),
        (7, 422),
        (None, 422),
    ],
)
def test_an_edit_keeps_to_the_rules_of_a_post(ada: FlaskClient, body: object, status: int) -> None:
    answer = edit(ada, body)
    assert answer.status_code == status
    assert answer.json
    assert answer.json["error"]
    assert text_of(ada) == "Hello"


def test_an_edit_is_cleaned_as_a_post_is(ada: FlaskClient) -> None:
    answer = edit(ada, "a\x1b\r\nb\u202e" + "e" + "\u0301" * 30)
    assert answer.json
    assert answer.json["body"] == "a\nb" + "é" + "\u0301" * 7


@pytest.mark.parametrize("sent", [{}, {"body": "x", "hidden": True}, {"hidden": "yes"}, ["body"]])
def test_a_change_says_one_thing(ada: FlaskClient, sent: object) -> None:
    answer = ada.patch("/posts/1", json=sent)
    assert answer.status_code == 422
    assert answer.json
    assert '{"hidden": true}' in answer.json["error"]


def test_a_change_is_json(ada: FlaskClient) -> None:
    assert ada.patch("/posts/1", data={"body": "x"}).status_code == 415


def test_changes_count_as_posts_do(
    make_app: Callable[[dict[str, Any]], Flask], settings: dict[str, Any]
) -> None:
    client = make_app(settings | {"post_rate": "3 per minute"}).test_client()
    write(client, "Hello")
    assert [edit(client, str(n)).status_code for n in range(3)] == [200, 200, 429]
    answer = client.delete("/posts/1")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert form(client, "/posts/1/edit", body="kept").status_code == 429


# -- anybody else -------------------------------------------------------------------------------


def test_a_stranger_changes_nothing(ada: FlaskClient, eve: FlaskClient) -> None:
    assert edit(eve, "mine now").status_code == 403
    assert eve.delete("/posts/1").status_code == 403
    assert form(eve, "/posts/1/edit", body="mine now").status_code in (400, 403)
    assert eve.get("/posts/1/edit").status_code == 403
    assert eve.get("/posts/1/delete").status_code == 403
    assert 'data-do="edit"' not in eve.get("/").text.split("<template")[0]
    write(eve, "of my own")  # who may change one may not change another
    assert edit(eve, "mine now").status_code == 403
    assert edit(eve, "my own", number=2).status_code == 200
    assert text_of(ada) == "Hello"


def test_after_15_minutes_it_is_over(ada: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    later(monkeypatch, 14 * 60 + 58)
    assert edit(ada, "in time").status_code == 200
    later(monkeypatch, 3)
    answer = edit(ada, "too late")
    assert answer.status_code == 403
    assert answer.json
    assert "15 minutes" in answer.json["error"]
    assert ada.delete("/posts/1").status_code == 403
    assert 'data-do="edit"' not in ada.get("/").text.split("<template")[0]
    assert text_of(ada) == "in time"


def test_an_edit_does_not_begin_the_15_minutes_anew(
    ada: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch, 10 * 60)
    edit(ada, "once more")
    later(monkeypatch, 6 * 60)
    assert edit(ada, "too late").status_code == 403


def cookie(client: FlaskClient) -> str:
    found = client.get_cookie("rowcast")
    assert found is not None
    return found.value


def test_a_copied_cookie_is_worth_no_more_after_15_minutes(
    ada: FlaskClient, eve: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = cookie(ada)
    later(monkeypatch, 15 * 60 + 1)
    eve.set_cookie("rowcast", copied)
    assert edit(eve, "replayed").status_code == 403


def test_a_forged_cookie_is_worth_nothing(app: Flask, ada: FlaskClient, eve: FlaskClient) -> None:
    signer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    kept = signer.loads(cookie(ada))
    other = URLSafeTimedSerializer(
        "another key, just as long as ours",
        salt="cookie-session",
        serializer=signer.serializer,
        signer_kwargs=signer.signer_kwargs,
    )
    head, rest = cookie(ada).split(".", 1)
    for forged in (other.dumps(kept), f"{head[:-4]}AAAA.{rest}", head, ""):
        eve.set_cookie("rowcast", forged)
        assert edit(eve, "forged").status_code == 403
    eve.set_cookie("rowcast", signer.dumps(kept))
    assert edit(eve, "with the key it would do").status_code == 200


def test_a_cookie_of_strange_shape_is_worth_nothing(app: Flask, eve: FlaskClient) -> None:
    write(app.test_client(), "Hello")
    for strange in ("x", 7, [7], [["1", 2, 3]], {"1": 2}, [[1, 2]]):
        with eve.session_transaction() as session:
            session["posts"] = session["moderator"] = strange
        assert eve.get("/").status_code == 200
        assert edit(eve, "x").status_code == 403
        assert eve.patch("/posts/1", json={"hidden": True}).status_code == 403


def test_a_cookie_of_one_table_says_nothing_of_another(ada: FlaskClient, sqlite_url: str) -> None:
    """A database that was set up again gives the same ids again."""
    execute(sqlite_url, "DELETE FROM posts")
    execute(sqlite_url, "INSERT INTO posts (id, author, body) VALUES (1, 'Bob', 'of Bob')")
    assert edit(ada, "mine?").status_code == 403


def test_a_cookie_has_room_for_the_newest_posts_only(
    make_app: Callable[[dict[str, Any]], Flask], settings: dict[str, Any]
) -> None:
    ada = make_app(settings | {"post_rate": "1000 per minute"}).test_client()
    for number in range(1, 32):
        write(ada, f"post {number}")
    assert len(cookie(ada)) < 2000
    assert edit(ada, "x", number=11).status_code == 403
    assert {edit(ada, "x", number=n).status_code for n in range(12, 32)} == {200}


def test_the_cookie_is_kept_from_scripts_and_other_sites(app: Flask) -> None:
    answer = write(app.test_client(), "Hello")
    (set_cookie,) = answer.headers.getlist("Set-Cookie")
    assert "HttpOnly" in set_cookie
    assert "SameSite=Lax" in set_cookie


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}]
)
def test_another_site_changes_nothing(ada: FlaskClient, headers: dict[str, str]) -> None:
    assert edit(ada, "x", headers=headers).status_code == 403
    assert ada.delete("/posts/1", headers=headers).status_code == 403
    for path in ("/posts/1/edit", "/posts/1/delete", "/posts/1/hide", "/posts/1/show"):
        assert ada.post(path, data={"body": "x"}, headers=headers).status_code == 403
    for path in ("/moderator", "/moderator/leave"):
        assert ada.post(path, data={"token": TOKEN}, headers=headers).status_code == 403
    assert text_of(ada) == "Hello"


@pytest.mark.parametrize("what", ["edit", "delete", "hide", "show"])
def test_a_form_without_its_token_changes_nothing(ada: FlaskClient, what: str) -> None:
    form(ada, "/moderator", token=TOKEN)
    assert ada.post(f"/posts/1/{what}", data={"body": "x"}).status_code == 400
    assert text_of(ada) == "Hello"


@pytest.mark.parametrize("number", ["2", "0", "x", "٣", "9" * 5000, "-1"])
def test_an_address_without_a_post_is_a_404(ada: FlaskClient, number: str) -> None:
    form(ada, "/moderator", token=TOKEN)
    assert ada.patch(f"/posts/{number}", json={"body": "x"}).status_code == 404
    assert ada.patch(f"/posts/{number}", json={"hidden": True}).status_code == 404
    assert ada.patch(f"/posts/{number}", json={"hidden": False}).status_code == 404
    assert ada.delete(f"/posts/{number}").status_code == 404
    assert ada.get(f"/posts/{number}/edit").status_code == 404
    assert ada.get(f"/posts/{number}/hide").status_code == 404


# -- the moderator ------------------------------------------------------------------------------

BEARER = {"Authorization": f"Bearer {TOKEN}"}


def hide(client: FlaskClient, hidden: bool, **options: Any) -> TestResponse:
    return client.patch("/posts/1", json={"hidden": hidden}, **options)


def test_a_moderator_hides_and_shows_again(
    ada: FlaskClient, eve: FlaskClient, sqlite_url: str
) -> None:
    assert hide(eve, True, headers=BEARER).status_code == 204
    assert text_of(ada) is None
    assert execute(sqlite_url, "SELECT body, deleted_by FROM posts") == [("Hello", "moderator")]
    assert edit(ada, "x").status_code == 404  # nor does its author get at it
    assert ada.delete("/posts/1").status_code == 404
    answer = hide(eve, False, headers=BEARER)
    assert answer.status_code == 200
    assert answer.json
    assert answer.json["body"] == "Hello"
    assert text_of(ada) == "Hello"
    assert hide(eve, False, headers=BEARER).status_code == 404


def test_a_moderator_shows_again_what_another_tool_has_hidden(
    ada: FlaskClient, eve: FlaskClient, sqlite_url: str
) -> None:
    assert hide(eve, False, headers=BEARER).status_code == 404, "it is not hidden"
    execute(sqlite_url, "UPDATE posts SET deleted_at = datetime('now')")
    form(eve, "/moderator", token=TOKEN)
    assert "Hello" in eve.get("/moderator").text
    assert hide(eve, False, headers=BEARER).status_code == 200
    assert text_of(ada) == "Hello"


def test_a_moderator_does_not_bring_back_what_its_author_deleted(
    ada: FlaskClient, eve: FlaskClient
) -> None:
    ada.delete("/posts/1")
    assert hide(eve, False, headers=BEARER).status_code == 404
    assert hide(eve, True, headers=BEARER).status_code == 404


def test_a_moderator_signs_in_hides_and_shows_by_forms(ada: FlaskClient, eve: FlaskClient) -> None:
    assert 'data-do="hide"' not in eve.get("/").text
    answer = form(eve, "/moderator", token=TOKEN)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/moderator")
    assert "No post is hidden" in eve.get("/moderator").text
    assert 'href="/posts/1/hide"' in eve.get("/").text
    assert form(eve, "/posts/1/hide").status_code == 303
    assert "Hello" in eve.get("/moderator").text
    page = eve.get("/moderator").text
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    answer = eve.post("/posts/1/show", data={"csrf_token": found[1]})
    assert answer.status_code == 303
    assert text_of(ada) == "Hello"
    assert form(eve, "/moderator/leave").status_code == 303
    assert 'data-do="hide"' not in eve.get("/").text
    assert hide(eve, True).status_code == 403


def test_nobody_else_sees_what_is_hidden_or_hides(ada: FlaskClient, eve: FlaskClient) -> None:
    assert hide(ada, True).status_code == 403
    assert ada.get("/posts/1/hide").status_code == 403
    hide(eve, True, headers=BEARER)
    page = ada.get("/moderator")
    assert page.status_code == 200
    assert "Hello" not in page.text


@pytest.mark.parametrize(
    "given", ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "é" * 40, f"{TOKEN} {TOKEN}"]
)
def test_another_token_is_refused(ada: FlaskClient, eve: FlaskClient, given: str) -> None:
    raw = given.encode().decode("latin-1")  # as a header brings it
    assert hide(eve, True, headers={"Authorization": f"Bearer {raw}"}).status_code == 403
    answer = form(eve, "/moderator", token=given)
    assert answer.status_code == 403
    assert "not the moderator" in unescape(answer.text)
    assert hide(eve, True).status_code == 403
    assert text_of(ada) == "Hello"


def test_another_scheme_is_none(eve: FlaskClient, ada: FlaskClient) -> None:
    assert hide(eve, True, headers={"Authorization": f"Basic {TOKEN}"}).status_code == 403


def test_guesses_are_few_and_the_right_token_waits_with_them(
    ada: FlaskClient, eve: FlaskClient
) -> None:
    wrong = {"Authorization": "Bearer a wrong token, long enough"}
    codes = [hide(eve, True, headers=wrong).status_code for _ in range(12)]
    assert codes == [403] * 10 + [429] * 2
    answer = hide(eve, True, headers=BEARER)
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1
    assert form(eve, "/moderator", token=TOKEN).status_code == 429
    elsewhere = {"environ_overrides": {"REMOTE_ADDR": "192.0.2.7"}}
    assert hide(eve, True, headers=BEARER, **elsewhere).status_code == 204


def test_the_right_token_is_no_guess(ada: FlaskClient, eve: FlaskClient) -> None:
    codes = [hide(eve, n % 2 == 0, headers=BEARER).status_code for n in range(24)]
    assert set(codes) == {204, 200}


def test_a_moderators_mark_ends(
    make_app: Callable[[dict[str, Any]], Flask],
    settings: dict[str, Any],
    ada: FlaskClient,
    eve: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With another token, and after a while; the token itself is nowhere in the cookie."""
    form(eve, "/moderator", token=TOKEN)
    assert TOKEN not in json.dumps(dict(session_of(eve)))
    changed = make_app(settings | {"moderator_token": "another token, long enough"})
    other = changed.test_client()
    other.set_cookie("rowcast", cookie(eve))
    assert hide(other, True).status_code == 403
    later(monkeypatch, 12 * 3600 + 1)
    assert hide(eve, True).status_code == 403


def session_of(client: FlaskClient) -> dict[str, Any]:
    with client.session_transaction() as session:
        return dict(session)


def test_without_a_token_there_is_no_moderator(
    make_app: Callable[[dict[str, Any]], Flask], settings: dict[str, Any]
) -> None:
    client = make_app(settings | {"moderator_token": None}).test_client()
    write(client, "Hello")
    with client.session_transaction() as session:
        session["moderator"] = ["", 2**40]
    assert client.get("/moderator").status_code == 404
    for headers in ({}, BEARER, {"Authorization": "Bearer "}):
        assert hide(client, True, headers=headers).status_code == 404
    assert text_of(client) == "Hello"


# -- what was removed is not read any more ------------------------------------------------------


@pytest.mark.parametrize("how", ["by its author", "by a moderator", "by SQL"])
def test_what_was_removed_is_nowhere_on_the_pages(
    ada: FlaskClient, eve: FlaskClient, sqlite_url: str, how: str
) -> None:
    insert_posts(sqlite_url, ["stays"])
    assert "Hello" in eve.get("/").text  # and is kept, rendered
    if how == "by its author":
        ada.delete("/posts/1")
    elif how == "by a moderator":
        hide(eve, True, headers=BEARER)
    else:
        execute(sqlite_url, "UPDATE posts SET deleted_at = datetime('now')")
        insert_posts(sqlite_url, ["stays"])
    for client in (ada, eve):
        for path in ("/", "/?before=9", "/posts/1", "/posts/1/edit", "/posts/1/delete"):
            answer = client.get(path)
            assert "Hello" not in answer.text.replace("Hello, wall", "")
            assert answer.status_code == (200 if "posts" not in path else 404)
        assert one(client) is None
    assert "stays" in eve.get("/").text


def test_a_page_with_links_for_its_author_is_kept_for_nobody_else(
    ada: FlaskClient, eve: FlaskClient
) -> None:
    assert 'href="/posts/1/edit"' in ada.get("/").text
    assert 'href="/posts/1/edit"' not in eve.get("/").text
    for path in ("/", "/posts/1"):
        assert "private" in ada.get(path).headers["Cache-Control"]
        assert "Cookie" in ada.get(path).headers["Vary"]


# -- by which way it came -----------------------------------------------------------------------


def test_a_post_says_by_which_way_it_came(eve: FlaskClient, sqlite_url: str) -> None:
    write(eve, "by a program")
    write(eve, "by the page", headers={"Sec-Fetch-Site": "same-origin"})
    write(eve, "by an older browser", headers={"Origin": "http://localhost"})
    insert_posts(sqlite_url, ["by a row"])
    execute(sqlite_url, "INSERT INTO posts (author, body, via) VALUES ('a', 'by <b>', '<b>import')")
    ways = [via for (via,) in execute(sqlite_url, "SELECT via FROM posts ORDER BY id")]
    assert ways == ["api", "form", "form", "sql", "<b>import"]
    badges = re.findall(r'<span class="via">([^<]+)</span>', eve.get("/").text)
    assert [unescape(one) for one in badges] == ["via <b>import", "via SQL", "via API"]
