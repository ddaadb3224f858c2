"""A wall that is somebody's: title, colours, logo, the address on its screen."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import segno
from flask import Flask
from flask.testing import FlaskClient

from models.post import create_tables
from tests.harness.sql import insert_posts
from wall import create_app
from wall.settings import SettingsError, WallSettings

KEY = "a key for tests only, long enough"
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 100
SVG = b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
Make = Callable[..., FlaskClient]


@pytest.fixture
def make(sqlite_url: str) -> Iterator[Make]:
    """make(title=…, …): a client of a wall with these settings."""
    apps: list[Flask] = []

    def make_one(**settings: Any) -> FlaskClient:
        given = {"database_url": sqlite_url, "secret_key": KEY, **settings}
        app = create_app(WallSettings.model_validate(given))
        apps.append(app)
        create_tables(app.extensions["wall"].database)
        return app.test_client()

    yield make_one
    for app in apps:
        app.extensions["wall"].notifier.stop(app)
        app.extensions["wall"].database.dispose()


@pytest.mark.parametrize("path", ["/", "/screen", "/posts/1", "/nothing", "/moderator"])
def test_every_page_has_its_title_and_nothing_of_it_is_markup(
    make: Make, sqlite_url: str, path: str
) -> None:
    client = make(title="<b>Team</b> & co", about="Lunch <i>and</i> deploys", accent="#1d5fa8")
    insert_posts(sqlite_url, ["one"])
    page = client.get(path).text
    assert "&lt;b&gt;Team&lt;/b&gt; &amp; co</title>" in page.replace(" · screen", "")
    assert "<b>Team" not in page
    assert "<i>and" not in page
    assert re.search(r'href="/theme\.css\?v=[0-9a-f]{12}"', page)


def test_a_wall_without_settings_is_called_rowcast_and_loads_no_more(make: Make) -> None:
    client = make()
    page = client.get("/").text
    assert "<title>Rowcast</title>" in page
    assert "theme" not in page
    for path in ("/theme.css", "/theme.dark.css", "/logo"):
        assert client.get(path).status_code == 404


def test_its_colours_are_kept_by_browsers_until_they_change(make: Make) -> None:
    client = make(accent="#1D5FA8")
    for name in ("theme.css", "theme.dark.css"):
        (url,) = re.findall(rf'"(/{name}\?v=\w+)"', client.get("/").text.replace("amp;", ""))
        sheet = client.get(url)
        assert (sheet.mimetype, "--accent:#" in sheet.text) == ("text/css", True)
        assert sheet.headers["Cache-Control"].endswith("immutable")
        assert client.get(f"/{name}").headers["Cache-Control"] == "public, no-cache"
        same = client.get(f"/{name}", headers={"If-None-Match": sheet.headers["ETag"]})
        assert same.status_code == 304


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0jpeg", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (SVG, "image/svg+xml"),
    ],
)
def test_a_logo_is_what_it_begins_with_and_can_run_nothing(
    make: Make, tmp_path: Path, content: bytes, content_type: str
) -> None:
    path = tmp_path / "logo.html"  # its name says nothing
    path.write_bytes(content)
    client = make(logo=str(path))
    (url,) = re.findall(r'<img class="logo" src="([^"]+)" alt="">', client.get("/").text)
    logo = client.get(url)
    assert (logo.data, logo.content_type) == (content, content_type)
    assert logo.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in logo.headers["Content-Security-Policy"]
    assert "sandbox" in logo.headers["Content-Security-Policy"]
    path.unlink()
    assert client.get("/logo").data == content  # read at start


@pytest.mark.parametrize(
    "content", [b"", b"<html><script>", b"GIF89a", b"RIFF\0\0\0\0WAVE", PNG + b"x" * 300_000]
)
def test_another_file_is_no_logo(make: Make, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "logo.png"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="WALL_LOGO"):
        make(logo=str(path))
    with pytest.raises(SettingsError, match=r"WALL_LOGO=.* cannot be read"):
        make(logo=str(tmp_path))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WALL_ACCENT", "red"),
        ("WALL_ACCENT", "#fff}body{display:none"),
        ("WALL_TITLE", "x" * 61),
        ("WALL_URL", "wall.example.org"),
        ("WALL_URL", "javascript:alert(1)//x"),
        ("WALL_URL", "https://wall.example.org/?a=b"),
    ],
)
def test_an_error_names_the_setting(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        WallSettings.from_env({name: value})


# -- the screen ---------------------------------------------------------------------------------


def test_the_screen_has_the_code_of_the_walls_address(make: Make) -> None:
    page = make(url="https://wall.example.org").get("/screen").text
    (path,) = re.findall(r'<svg[^>]*class="qr"[^>]*>.*?(<path[^>]*class="qrline"[^>]*>)', page)
    code = segno.make_qr("https://wall.example.org/", error="m")
    assert path in code.svg_inline(border=4, light="#fff", dark="#16201c", omitsize=True)
    assert "wall.example.org</" in page.replace("<span>", "</")


def test_a_code_that_leads_nowhere_is_not_shown(make: Make) -> None:
    client = make(trusted_hosts=("localhost", "office.example"))
    assert "<svg" in client.get("/screen", base_url="http://office.example:8000").text
    for host in ("localhost:8000", "localhost"):
        page = client.get("/screen", base_url=f"http://{host}").text
        assert 'class="qr"' not in page
        assert f"Write here</b>{host}" in page


def test_the_screen_shows_the_newest_posts_and_no_form(make: Make, sqlite_url: str) -> None:
    client = make()
    insert_posts(sqlite_url, [f"post {n}" for n in range(30)])
    reply = client.get("/screen")
    assert re.findall(r'data-id="(\d+)"', reply.text) == [str(n) for n in range(30, 6, -1)]
    assert "<form" not in reply.text
    assert "Set-Cookie" not in reply.headers
    assert 'http-equiv="refresh" content="60"' in reply.text  # where there is no script


@pytest.mark.parametrize(
    ("query", "dark", "columns"),
    [
        ("", '"(prefers-color-scheme: dark)"', None),
        ("?theme=dark", '"all"', None),
        ("?theme=light&columns=3", None, "3"),
        ("?theme=pink&columns=12", '"(prefers-color-scheme: dark)"', None),
        ("?theme=%22%3E&columns=%00", '"(prefers-color-scheme: dark)"', None),
    ],
)
def test_its_address_says_how_it_looks(
    make: Make, query: str, dark: str | None, columns: str | None
) -> None:
    page = make(accent="#1d5fa8").get(f"/screen{query}").text
    media = re.findall(r"<link[^>]*media=(\"[^\"]*\")[^>]*dark", page)
    assert media == ([dark] * 2 if dark else [])
    assert re.findall(r'data-columns="(.*?)"', page) == ([columns] if columns else [])


def test_a_host_that_nobody_has_gets_no_code(make: Make) -> None:
    """It is sent by a client. One of 3,000 characters fits into no code, and takes long to try."""
    client = make(host="0.0.0.0")  # any name is answered
    for labels in (500, 1_500):
        answer = client.get("/screen", headers={"Host": f"{'a.' * labels}example"})
        assert answer.status_code == 200
        assert 'class="qr"' not in answer.text
    assert 'class="qr"' in client.get("/screen", headers={"Host": "wall.example"}).text
