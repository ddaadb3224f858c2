"""A page whose access ends, changes or comes back: refusals, lifetimes, other views, signatures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.stage import Actor, Stage, frame, live, row, start

pytestmark = pytest.mark.browser

SOON = "retry: 200\n\n"  # ms; the least that the script takes
LATER = "retry: 60000\n\n"
FROM_1 = {"from": "e.1"}  # the page's token
START = """([url, options]) => {
    window.states = [];
    window.rows = [];
    window.source = rowcast(url, {
        onState: (state) => states.push(state),
        onRow: ({ id }) => rows.push(id),
        ...options,
    });
}"""
TEMPLATE = '<template><li><b data-field="name"></b></li></template>'
SCRIPT = '<script src="/rowcast.js"></script>'


@pytest.fixture
def stage(chromium: Browser) -> Iterator[Stage]:
    context = chromium.new_context()
    yield Stage(context, f"<!doctype html>{SCRIPT}")
    context.close()


def begin(stage: Stage, url: str = "/stream", **options: object) -> Actor:
    actor = stage.open()
    actor.page.evaluate(START, [url, options])
    return actor


def states(actor: Actor) -> list[str]:
    names: list[str] = actor.page.evaluate("states.map(({ name }) => name)")
    return names


def wait_for_state(actor: Actor, name: str) -> None:
    actor.page.wait_for_function("name => source.state.name === name", arg=name)


@pytest.mark.parametrize("status", [401, 403])
def test_who_is_refused_is_told_so_and_asks_no_more(stage: Stage, status: int) -> None:
    actor = begin(stage)
    actor.push(SOON, start("e.1"), row(2, "e.2"), live("e.2"))
    wait_for_state(actor, "live")
    actor.answer_next(status)
    actor.end()
    wait_for_state(actor, "refused")
    assert actor.page.evaluate("source.state") == {"name": "refused", "status": status}
    assert actor.asked == 2
    actor.page.evaluate("dispatchEvent(new Event('online'))")
    actor.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow'))")
    actor.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert (actor.asked, states(actor)[-1]) == (2, "refused")


@pytest.mark.parametrize("status", [400, 404, 429, 500, 502, 503])
def test_other_answers_are_no_refusal(stage: Stage, status: int) -> None:
    """Proxies give them, and whatever was wrong may be mended."""
    actor = stage.open()
    actor.answer_next(status)
    actor.page.evaluate(START, ["/stream", {}])
    wait_for_state(actor, "waiting")


def test_all_tabs_of_a_login_that_ended_are_refused(stage: Stage) -> None:
    first = begin(stage, **FROM_1)
    first.push(SOON, start("e.1"), live("e.1"))
    wait_for_state(first, "live")
    second = begin(stage, **FROM_1)
    wait_for_state(second, "live")
    first.answer_next(401)
    first.end()
    for tab in (first, second):
        wait_for_state(tab, "refused")
    assert (first.asked, second.asked) == (2, 0)


def test_an_end_that_the_server_planned_shows_no_other_state(stage: Stage) -> None:
    """As at the end of a lifetime, of a worker's life, or when a proxy closes."""
    actor = begin(stage)
    actor.push(SOON, start("e.1"), live("e.1"))
    wait_for_state(actor, "live")
    for number in (2, 3):
        actor.end()
        assert actor.wait_asked(number)["id"] == f"e.{number - 1}"
        actor.push(SOON, start(f"e.{number - 1}"), row(number, f"e.{number}"), live(f"e.{number}"))
        actor.page.wait_for_function("number => rows.at(-1) === number", arg=number)
    assert states(actor) == ["connecting", "catching-up", "live"]


def test_an_end_after_which_nobody_answers_does(stage: Stage) -> None:
    actor = begin(stage)
    actor.push(SOON, start("e.1"), live("e.1"))
    wait_for_state(actor, "live")
    actor.answer_next(502)
    actor.end()
    wait_for_state(actor, "waiting")
    assert states(actor) == ["connecting", "catching-up", "live", "waiting"]
    actor.wait_asked(3)
    actor.push(start("e.1"), live("e.1"))
    wait_for_state(actor, "live")


def test_an_end_that_is_to_last_is_shown_at_once(stage: Stage) -> None:
    actor = begin(stage)
    actor.push(LATER, start("e.1"), live("e.1"))
    wait_for_state(actor, "live")
    actor.end()
    wait_for_state(actor, "waiting")
    assert states(actor) == ["connecting", "catching-up", "live", "waiting"]


def test_a_connection_that_is_mute_after_such_an_end_is_shown(stage: Stage) -> None:
    """The clock is the page's: five seconds pass for it at once."""
    actor = stage.open()
    actor.page.clock.install()
    actor.page.evaluate(START, ["/stream", {}])
    actor.push(SOON, start("e.1"), live("e.1"))
    wait_for_state(actor, "live")
    actor.end()
    actor.page.clock.run_for(1_000)
    actor.wait_asked(2)
    assert states(actor)[-1] == "live"
    actor.page.clock.run_for(5_000)
    assert states(actor)[-1] == "connecting"


def test_a_position_is_where_it_goes_on(stage: Stage) -> None:
    """A stream with a filter moves without a row for it."""
    actor = begin(stage)
    actor.push(SOON, start("e.v.1"), row(2, "e.v.2"), live("e.v.2"))
    actor.push(frame("position", {}, "e.v.900"))
    actor.page.wait_for_function("source.lastEventId === 'e.v.900'")
    assert actor.page.evaluate("rows") == [2]
    actor.end()
    assert actor.wait_asked(2)["id"] == "e.v.900"


def test_another_origin_gets_cookies_only_if_the_page_says_so(stage: Stage) -> None:
    other = "https://data.example/stream"
    assert begin(stage, other).wait_asked()["credentials"] == "same-origin"
    assert begin(stage, other, withCredentials=True).wait_asked()["credentials"] == "include"


def test_tabs_with_and_without_credentials_share_nothing(stage: Stage) -> None:
    first = begin(stage, "/stream", withCredentials=True)
    first.push(start("e.1"), live("e.1"))
    wait_for_state(first, "live")
    begin(stage, "/stream").wait_asked()


def test_tabs_of_different_users_share_nothing_if_the_address_names_them(stage: Stage) -> None:
    first = begin(stage, "/stream#ada", **FROM_1)
    first.push(start("e.1"), live("e.1"))
    wait_for_state(first, "live")
    second = begin(stage, "/stream#grace", **FROM_1)
    assert second.wait_asked()["url"].partition("#")[0].endswith("/stream")
    third = begin(stage, "/stream#ada", **FROM_1)
    wait_for_state(third, "live")
    assert third.asked == 0


# -- <row-cast> --------------------------------------------------------------------------------


@pytest.fixture
def element(stage: Stage) -> Actor:
    """One with a signed address, which has a row."""
    src = "/stream?room=7&amp;signed=first"
    html = f'<ul id=list></ul><row-cast src="{src}" target="#list">{TEMPLATE}</row-cast>'
    stage.html = f"<!doctype html>{SCRIPT}{html}"
    actor = stage.open()
    actor.push(SOON, start("e.v.1"), row(2, "e.v.2", name="two"), live("e.v.2"))
    expect(actor.page.locator("#list b")).to_have_text(["two"])
    return actor


def sign(actor: Actor, src: str) -> None:
    actor.page.evaluate("src => document.querySelector('row-cast').setAttribute('src', src)", src)


def test_the_element_says_that_it_is_refused(element: Actor) -> None:
    element.answer_next(403)
    element.end()
    expect(element.page.locator("row-cast")).to_have_attribute("state", "refused")
    expect(element.page.locator("#list b")).to_have_text(["two"])


def test_a_new_signature_goes_on_where_the_old_one_ended(element: Actor) -> None:
    element.answer_next(403)
    element.end()
    expect(element.page.locator("row-cast")).to_have_attribute("state", "refused")
    sign(element, "/stream?room=7&signed=second")
    asked = element.wait_asked(3)
    assert (asked["url"], asked["id"]) == (
        "http://localhost/stream?room=7&signed=second",
        "e.v.2",
    )
    element.push(start("e.v.2"), row(3, "e.v.3", name="three"), live("e.v.3"))
    expect(element.page.locator("#list b")).to_have_text(["three", "two"])


def test_the_same_address_set_again_after_a_login_goes_on(element: Actor) -> None:
    sign(element, "/stream?room=7&signed=first")  # it is there: nothing happens
    assert element.asked == 1
    element.answer_next(401)
    element.end()
    expect(element.page.locator("row-cast")).to_have_attribute("state", "refused")
    sign(element, "/stream?room=7&signed=first")
    assert element.wait_asked(3)["id"] == "e.v.2"


def test_another_filter_is_another_list(element: Actor) -> None:
    sign(element, "/stream?room=8&signed=third")
    assert element.wait_asked(2)["id"] is None
    expect(element.page.locator("#list b")).to_have_count(0)


def test_an_address_may_come_later(stage: Stage) -> None:
    stage.html = f"<!doctype html>{SCRIPT}<row-cast>{TEMPLATE}</row-cast>"
    actor = stage.open()
    expect(actor.page.locator("row-cast:defined")).to_have_count(1)
    assert actor.asked == 0
    sign(actor, "/stream?signed=first")
    actor.wait_asked()
