"""`/screen`: it fills whatever it hangs on, shows what comes, and goes on by itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Wall, until
from tests.conftest import EXERCISED

pytestmark = pytest.mark.browser

Open = Callable[..., Page]
AXE = Path(__file__).parents[1] / "clients" / "node_modules" / "axe-core" / "axe.min.js"
SHAPES = [(1920, 1080), (3840, 2160), (1280, 720), (1024, 768), (1080, 1920), (2560, 1080)]
# Of each post: whether it is whole on the screen, or not at all.
CUT = """() => [...document.querySelectorAll("#posts article")].filter((one) => {
    const { left, right, top, bottom } = one.getBoundingClientRect();
    if (left >= document.getElementById("stream").getBoundingClientRect().right) return false;
    return left < 0 || top < 0 || right > innerWidth || bottom > innerHeight;
}).map((one) => one.outerHTML.slice(0, 60))"""
# By how much the large post is higher than its place, if it says that; as many lines as there are
# are whole.
OVERFLOWS = """(text) => {
    const one = document.querySelector("#lead article");
    one.querySelector(".body bdi").textContent = text;
    const sizes = [[40, "s"], [120, "m"], [280, "l"], [Infinity, "xl"]];
    one.dataset.size = sizes.find(([longest]) => text.length <= longest)[1];
    one.querySelector(".via").hidden = one.querySelector(".edited").hidden = false;
    return one.scrollHeight - one.clientHeight;
}"""
SMALLEST = """() => Math.min(...[...document.querySelectorAll("body *")]
    .filter((one) => one.checkVisibility()
        && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .filter((one) => getComputedStyle(one).fontSize !== "0px")
    .map((one) => parseFloat(getComputedStyle(one).fontSize)))"""


def screen(page: Page) -> Page:
    """The page, once it has its stream."""
    expect(page.locator("#state-label")).to_have_text("Live")
    return page


def lead(page: Page) -> Any:
    return page.locator("#lead .body")


def test_it_fills_every_shape_and_cuts_no_post(wall: Wall, open_page: Open) -> None:
    wall.insert(*(f"{number} " + "word " * (number * 7 % 60) for number in range(30)))
    wall.insert("W" * 300, author="M" * 80)
    page = screen(open_page(f"{wall.url}/screen"))
    for width, height in SHAPES:
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate(CUT) == []
        sticks_out = "document.documentElement.scrollWidth > innerWidth"
        assert not page.evaluate(sticks_out)
        for text in ("x", "word " * 8, "word " * 20, "word " * 50, "word " * 90, "x" * 300):
            assert page.evaluate(OVERFLOWS, text) == 0, (width, height, text)
        for part in ("#lead article", "#clock", "#state", ".join"):
            expect(page.locator(part).first).to_be_in_viewport(ratio=1)
        if width >= 1920:  # 22 px of a picture of 1080 lines
            assert page.evaluate(SMALLEST) >= 21.9 * height / 1080 * (0.6 if height > width else 1)
    expect(page.locator("#clock")).to_have_text(re.compile(r"\d\d:\d\d"))


def test_a_post_comes_large_and_makes_way_for_the_next(wall: Wall, open_page: Open) -> None:
    page = open_page("about:blank")
    page.clock.install()
    page.goto(f"{wall.url}/screen")
    screen(page)
    wall.insert("the first")
    until_lead(page, "the first")
    expect(page.locator("#lead article")).to_have_attribute("data-size", "s")
    wall.insert("the second")  # at once in the columns; large when the first has had its time
    expect(page.locator("#stream .body").first).to_have_text("the second")
    expect(lead(page)).to_have_text("the first")
    page.clock.fast_forward(6_000)
    until_lead(page, "the second")
    expect(page.locator("#stream .body").first).to_have_text("the first")
    wall.execute("UPDATE posts SET body = 'edited' WHERE body = 'the second'")
    until_lead(page, "edited")
    wall.execute("UPDATE posts SET deleted_at = created_at WHERE body = 'edited'")
    until_lead(page, "the first")


def until_lead(page: Page, text: str) -> None:
    """Its clock stands still meanwhile, but for what is needed to paint."""

    def shown() -> bool:
        page.clock.run_for(20)
        return bool(lead(page).inner_text() == text)

    until(page, shown, f"{text!r} is large")


def test_many_at_once_are_no_wall_of_colour_and_the_oldest_go(wall: Wall, open_page: Open) -> None:
    page = screen(open_page(f"{wall.url}/screen"))
    wall.insert(*(f"row {number}" for number in range(40)))
    expect(page.locator("#stream article").first).to_have_class(re.compile("new"))
    tinted = "all => all.filter(one => /settle/.test(getComputedStyle(one).animationName)).length"
    assert page.eval_on_selector_all("#posts .new", tinted) <= 1
    expect(page.locator("#posts article")).to_have_count(24)
    ids = page.eval_on_selector_all("#stream article", "all => all.map(one => +one.dataset.id)")
    assert ids == sorted(ids, reverse=True)


def test_after_a_day_offline_it_goes_on_by_itself(wall: Wall, open_page: Open) -> None:
    page = screen(open_page(f"{wall.url}/screen"))
    page.context.set_offline(True)
    page.evaluate("dispatchEvent(new Event('offline'))")
    expect(page.locator("body")).to_have_class(re.compile("is-lost"))
    expect(page.locator("#state-label")).to_have_text(re.compile(r"Not connected since \d+:\d\d"))
    wall.insert("while it slept")
    page.context.set_offline(False)
    expect(lead(page)).to_have_text("while it slept")
    screen(page)
    expect(page.locator("body")).not_to_have_class(re.compile("is-lost"))


def test_a_history_that_ended_is_read_anew(start_wall: Callable[..., Wall], page: Page) -> None:
    """Also where a newer version of the page is there: it loads itself again."""
    wall = start_wall()
    wall.insert("before")
    page.goto(f"{wall.url}/screen")
    expect(lead(screen(page))).to_have_text("before")
    page.evaluate("document.getElementById('posts').dataset.version = 'older'")
    page.evaluate("window.old = true")
    assert wall.server.child is not None
    with page.expect_event("load", timeout=60_000):  # it loads itself again
        wall.server.child.end()
        wall.execute("DELETE FROM posts")
        wall.insert("after")
        wall.server.start()
    assert page.evaluate("window.old === undefined")
    expect(lead(screen(page))).to_have_text("after")
    expect(page.locator("#posts article")).to_have_count(1)


def test_what_is_hostile_is_text(wall: Wall, open_page: Open) -> None:
    page = screen(open_page(f"{wall.url}/screen?theme=dark&columns=3"))
    text = "<img src=x onerror=document.title='pwned'> https://a.b/'onclick=x"
    wall.insert(text, author="<script>document.title='pwned'</script>")
    expect(page.locator("#posts .body", has_text="onerror").first).to_have_text(text)
    expect(page.locator("#posts").locator("img, script")).to_have_count(0)
    page.reload()
    screen(page)
    expect(page.locator("#posts").locator("img, script")).to_have_count(0)
    assert page.title() == "Rowcast · screen"
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert dark == "rgb(18, 22, 23)"


@pytest.mark.parametrize("path", ["/", "/screen", "/posts/1"])
def test_axe_finds_nothing(wall: Wall, open_page: Open, path: str) -> None:
    if not AXE.exists():
        EXERCISED.skip("axe-core", "npm install was not run in tests/clients (make test does it)")
    wall.insert("one, with https://example.org/a/link")
    for scheme in ("light", "dark"):
        page = open_page(wall.url + path, color_scheme=scheme, reduced_motion="reduce")
        page.evaluate(AXE.read_text(encoding="utf-8"))
        if path == "/":
            expect(page.locator("#chip")).to_have_text("Live")
            wall.insert("two at once", "with https://example.org/" + "x" * 80)
            expect(page.locator(".together").first).to_be_visible()
            page.focus("#body")
        for width in (1280, 360):
            page.set_viewport_size({"width": width, "height": 740})
            until(page, lambda: page.evaluate(SETTLED), "nothing moves")  # noqa: B023 - at once
            found = page.evaluate("axe.run({ resultTypes: ['violations'] })")["violations"]
            assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


SETTLED = """() => document.getAnimations()
    .filter((one) => one.animationName !== "drift").every((one) => one.playState === "finished")"""
