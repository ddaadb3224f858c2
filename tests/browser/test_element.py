"""<row-cast>: a template for each row, by key, bounded, and text only."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Wall, answer_stream, stream_of, until

pytestmark = pytest.mark.browser

LIVE = "event: live\ndata: {}\n\n"
TEMPLATE = '<template><li><b data-field="name"></b>|<i data-field="note"></i></li></template>'
Show = Callable[..., Page]


def row(number: int, name: Any = "n", **more: Any) -> str:
    return f"data: {json.dumps({'id': number, 'name': name, **more})}\nid: e.{number}\n\n"


@pytest.fixture
def show(wall: Wall, page: Page) -> Show:
    """show(html, *frames): a page with that, whose stream is these frames and then nothing."""

    def show_it(html: str, *frames: str) -> Page:
        def answer(route: Route) -> None:
            route.fulfill(content_type="text/html; charset=utf-8", body=html)

        answer_stream(page, **stream_of("retry: 60000\n", *frames, LIVE))
        page.route("**/element.html", answer)
        page.goto(f"{wall.url}/element.html")
        return page

    return show_it


def body(element: str, before: str = '<script src="/rowcast.js"></script>') -> str:
    return f"<!doctype html>{before}<ul id=list></ul>{element}"


def element(attributes: str = "", inside: str = TEMPLATE) -> str:
    return f'<row-cast src="/stream" target="#list" {attributes}>{inside}</row-cast>'


def texts(page: Page) -> list[str]:
    return page.locator("#list li").all_inner_texts()


def test_rows_come_first_and_the_oldest_go(show: Show) -> None:
    page = show(body(element('limit="3"')), *(row(n, f"row {n}") for n in range(1, 8)))
    expect(page.locator("#list li").first).to_have_text("row 7|")
    assert texts(page) == ["row 7|", "row 6|", "row 5|"]


def test_rows_may_be_appended(show: Show) -> None:
    page = show(body(element('limit="3" append')), *(row(n, f"row {n}") for n in range(1, 8)))
    expect(page.locator("#list li").last).to_have_text("row 7|")
    assert texts(page) == ["row 5|", "row 6|", "row 7|"]


def test_they_go_into_the_element_by_default(show: Show) -> None:
    page = show(body(f'<row-cast src="/stream">{TEMPLATE}</row-cast>'), row(1))
    expect(page.locator("row-cast > li")).to_have_text("n|")


def test_a_row_with_a_known_key_changes_in_place(show: Show) -> None:
    page = show(body(element()), row(1, "one"), row(2, "two"), row(1, "changed"))
    expect(page.locator("#list li").last).to_have_text("changed|")
    assert texts(page) == ["two|", "changed|"]


def test_the_key_may_be_another_column(show: Show) -> None:
    page = show(body(element('key="name"')), row(1, "a", note="1"), row(2, "a", note="2"))
    expect(page.locator("#list li")).to_have_text(["a|2"])


def test_what_the_server_rendered_is_known(show: Show) -> None:
    item = '<li data-key="{0}"><b data-field="name">server {0}</b></li>'
    there = "".join(item.format(number) for number in (3, 2, 1))
    html = body(element('limit="3"')).replace("</ul>", f"{there}</ul>")
    page = show(html, row(2, "changed"), row(4, "new"))
    expect(page.locator("#list li")).to_have_text(["new|", "server 3", "changed"])


def test_values_become_text_and_nothing_else(show: Show) -> None:
    hostile = "<img src=x onerror=pwned()><script>pwned()</script>"
    values = [hostile, None, 7, False, {"a": [1]}, "2026-11-26"]
    page = show(body(element()), *(row(n, hostile, note=v) for n, v in enumerate(values)))
    expect(page.locator("#list li")).to_have_count(6)
    notes = page.eval_on_selector_all("#list i", "all => all.map(one => one.textContent)")
    assert notes == ["2026-11-26", '{"a":[1]}', "false", "7", "", hostile]
    names = page.eval_on_selector_all("#list b", "all => all.map(one => one.textContent)")
    assert names == [hostile] * 6
    expect(page.locator("#list").locator("img, script")).to_have_count(0)


def test_a_listener_may_keep_a_row_out(show: Show) -> None:
    script = """<script src="/rowcast.js"></script><script>
        addEventListener("rowcast:row", (event) => {
            event.detail.element.className = "seen";
            if (event.detail.row.id % 2) event.preventDefault();
        });</script>"""
    page = show(body(element(), script), *(row(n, f"row {n}") for n in range(1, 5)))
    expect(page.locator("#list li.seen")).to_have_text(["row 4|", "row 2|"])


def test_without_a_template_there_are_events_only(show: Show) -> None:
    script = """<script src="/rowcast.js"></script><script>
        window.got = [];
        for (const name of ["row", "state", "reset", "unreadable"])
            addEventListener(`rowcast:${name}`, ({ type, detail }) => got.push([type, detail]));
        </script>"""
    unreadable = 'event: unreadable\ndata: {"id":8,"reason":"why"}\n\n'
    reset = 'event: reset\ndata: {"reason":"history-changed"}\n\n'
    page = show(body(element("", ""), script), row(7), unreadable, reset)
    until(page, lambda: len(page.evaluate("got")) >= 6, "all events")
    assert page.evaluate(
        "got.slice(0, 6).map(([type, { name, row, id, reason }]) =>"
        " [type.slice(8), name ?? row?.id ?? id ?? reason])"
    ) == [
        ["state", "connecting"],
        ["state", "catching-up"],
        ["row", 7],
        ["unreadable", 8],
        ["reset", "history-changed"],
        ["state", "live"],
    ]


def test_a_reset_empties_the_list(show: Show) -> None:
    reset = 'event: reset\ndata: {"reason":"history-changed"}\nid: e.0\n\n'
    page = show(body(element()), row(1, "old"), row(2, "old"), reset, row(1, "new"))
    expect(page.locator("#list li")).to_have_text(["new|"])


def test_a_reset_begins_at_the_beginning_where_the_element_did(
    wall: Wall, show: Show, page: Page
) -> None:
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.all_headers().get("last-event-id", ""))
        reset = 'event: reset\ndata: {"reason":"history-changed"}\nid: f.9\n\n'
        frames = [row(1, "old"), reset] if len(asked) == 1 else [row(1, "new"), row(2, "new")]
        route.fulfill(**stream_of("retry: 60000\n", *frames, LIVE))

    html = body(element('from="0"'))
    page.route("**/element.html", lambda r: r.fulfill(content_type="text/html", body=html))
    page.route("**/stream", answer)
    page.goto(f"{wall.url}/element.html")
    expect(page.locator("#list li")).to_have_text(["new|", "new|"])
    assert asked == ["0", "0"]


def test_its_state_can_be_styled(show: Show, page: Page) -> None:
    show(body(element()), row(1))
    expect(page.locator("row-cast")).to_have_attribute("state", "waiting")  # the answer has ended


def test_an_element_that_is_moved_goes_on_and_one_that_is_removed_ends(
    wall: Wall, page: Page
) -> None:
    template = '<template><p data-field="body"></p></template>'
    html = body(f'<div id=there></div><row-cast src="/stream">{template}</row-cast>')
    page.route("**/element.html", lambda r: r.fulfill(content_type="text/html", body=html))
    page.goto(f"{wall.url}/element.html")
    one = page.locator("row-cast")
    expect(one).to_have_attribute("state", "live")
    wall.insert("before the move")
    expect(page.locator("row-cast > p")).to_have_text(["before the move"])
    page.evaluate("there.append(document.querySelector('row-cast'))")
    wall.insert("after the move")
    expect(page.locator("row-cast > p")).to_have_text(["after the move", "before the move"])
    page.evaluate("window.gone = document.querySelector('row-cast'); gone.remove()")
    assert page.evaluate("gone.getAttribute('state')") == "closed"


def test_another_src_begins_a_new_list(wall: Wall, show: Show, page: Page) -> None:
    show(body(element()), row(1, "first stream"))
    expect(page.locator("#list li")).to_have_text(["first stream|"])
    other = stream_of("retry: 60000\n", row(1, "second stream"), LIVE)
    page.route("**/stream/other", lambda route: route.fulfill(**other))
    page.evaluate("document.querySelector('row-cast').setAttribute('src', '/stream/other')")
    expect(page.locator("#list li")).to_have_text(["second stream|"])


def test_a_row_that_comes_again_unchanged_is_handed_out_once(show: Show) -> None:
    script = """<script src="/rowcast.js"></script><script>
        window.names = [];
        addEventListener("rowcast:row", ({ detail }) => names.push(detail.row.name));
        </script>"""
    rows = [row(1, "one"), row(2, "two"), row(1, "one"), row(1, "changed"), row(3, "last")]
    page = show(body(element("", ""), script), *rows)
    until(page, lambda: page.evaluate("names.at(-1)") == "last", "the last row")
    assert page.evaluate("names") == ["one", "two", "changed", "last"]
