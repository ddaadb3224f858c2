"""The script for pages: small, kept for long by browsers, and never an old one."""

import gzip
import re
from pathlib import Path

import pytest
from flask import Flask, render_template_string
from jinja2 import DictLoader

import poller
from poller import Database, Notifier, Settings

STATIC = Path(poller.__file__).parent / "static"
MOST_BYTES = 7_500  # gzipped
A_YEAR = "public, max-age=31536000, immutable"


@pytest.fixture
def app() -> Flask:
    return make_app()


def make_app(url_prefix: str | None = None) -> Flask:
    app = Flask(__name__)
    notifier = Notifier()
    notifier.watch("orders", columns=["id"], authorize="public")
    database = Database("sqlite:///nothing.db")
    notifier.init_app(app, database=database, settings=Settings(), url_prefix=url_prefix)
    return app


def rendered(app: Flask, template: str) -> str:
    with app.test_request_context():
        return render_template_string(template)


def test_it_stays_small(app: Flask) -> None:
    script = app.test_client().get("/rowcast.js").data
    assert len(gzip.compress(script, 9)) < MOST_BYTES


def test_comments_stay_here_and_all_code_goes_out(app: Flask) -> None:
    written = (STATIC / "rowcast.js").read_text(encoding="utf-8").splitlines()
    served = app.test_client().get("/rowcast.js").text.splitlines()
    in_comments = re.compile(r" *(/\*|\*|//)")
    rest = iter(served)
    left_out = []
    for line in written:  # in order, nothing added
        if in_comments.match(line):
            left_out.append(line)
            continue
        code = next(rest)
        assert line == code or line.startswith(f"{code} // ")
        left_out.append(line[len(code) :])
    assert list(rest) == []
    assert any(line.startswith("/*") for line in left_out)
    assert any(line.startswith(" // ") for line in left_out)


@pytest.mark.parametrize(("helper", "kind"), [("script_url", "js"), ("module_url", "mjs")])
def test_a_template_gets_an_address_that_is_kept(app: Flask, helper: str, kind: str) -> None:
    url = rendered(app, f"{{{{ rowcast.{helper}() }}}}")
    assert re.fullmatch(rf"/rowcast\.[0-9a-f]{{12}}\.{kind}", url)
    reply = app.test_client().get(url)
    assert (reply.status_code, reply.headers["Cache-Control"]) == (200, A_YEAR)
    assert reply.content_type == "text/javascript; charset=utf-8"


def test_it_is_below_the_prefix() -> None:
    app = make_app("/live")
    url = rendered(app, "{{ rowcast.script_url() }}")
    assert url.startswith("/live/rowcast.")
    assert app.test_client().get(url).status_code == 200


def test_the_address_is_known_in_an_imported_macro(app: Flask) -> None:
    macro = "{% macro script() %}{{ rowcast.script_url() }}{% endmacro %}"
    app.jinja_env.loader = DictLoader({"macros.html": macro})
    template = "{% import 'macros.html' as macros %}{{ macros.script() }}"
    assert rendered(app, template).startswith("/rowcast.")


def test_the_plain_address_is_asked_for_again_each_time(app: Flask) -> None:
    client = app.test_client()
    first = client.get("/rowcast.js")
    assert b"globalThis.rowcast = " in first.data
    assert first.headers["Cache-Control"] == "public, no-cache"
    again = client.get("/rowcast.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_a_version_of_another_worker_is_answered_and_not_kept(app: Flask) -> None:
    reply = app.test_client().get("/rowcast.0123456789ab.js")
    assert reply.data == app.test_client().get("/rowcast.js").data
    assert reply.headers["Cache-Control"] == "public, no-cache"


def test_the_module_takes_the_script_of_its_own_version(app: Flask) -> None:
    (imported,) = re.findall(
        r'^import "\.(.*)";$', app.test_client().get("/rowcast.mjs").text, re.MULTILINE
    )
    assert imported == rendered(app, "{{ rowcast.script_url() }}")


def test_other_files_are_not_served(app: Flask) -> None:
    for name in ("rowcast.d.ts", "rowcast.py", "rowcast.x.css"):
        assert app.test_client().get(f"/{name}").status_code == 404
