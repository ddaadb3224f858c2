"""The form: quick, honest about what became of a post, and never losing what was written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Wall, bodies, live, stream_of, until

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


def write(page: Page, body: str, author: str = "Ada") -> None:
    page.fill("#body", body)
    page.fill("#author", author)


def hold_posts(page: Page) -> list[Route]:
    """From now on posts wait in the list that is returned."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/posts", hold)
    return held


def test_ctrl_enter_posts_and_the_cursor_stays_in_the_field(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    write(page, "by keyboard")
    page.press("#body", "Control+Enter")
    expect(page.locator("#feed article").first).to_contain_text("by keyboard")
    expect(page.locator("#body")).to_have_value("")
    expect(page.locator("#body")).to_be_focused()
    write(page, "and with cmd")
    page.press("#body", "Meta+Enter")
    expect(page.locator("#feed article").first).to_contain_text("and with cmd")


def test_the_counter_counts_characters_not_code_units(wall: Wall, open_page: Open) -> None:
    page = open_page(wall.url)
    counter = page.locator("#counter")
    expect(counter).to_have_text("2,000 left")
    page.fill("#body", "👍" * 10)
    expect(counter).to_have_text("1,990 left")
    page.fill("#body", "x" * 2007)
    expect(counter).to_have_text("7 too many")
    expect(counter).to_have_class(re.compile("over"))


def test_the_name_is_remembered(wall: Wall, open_page: Open) -> None:
    page = open_page(wall.url)
    write(page, "", author="Grace")
    page.reload()
    expect(page.locator("#author")).to_have_value("Grace")


def test_a_draft_survives_a_reload_and_is_gone_once_posted(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    write(page, "half a tho")
    page.reload()
    expect(page.locator("#body")).to_have_value("half a tho")
    page.click("text=Post")
    expect(page.locator("#body")).to_have_value("")
    page.reload()
    expect(page.locator("#body")).to_have_value("")


def test_a_pale_card_shows_what_is_under_way(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    held = hold_posts(page)
    write(page, "under way")
    page.click("text=Post")
    expect(page.locator("#pending article")).to_contain_text("under way")
    expect(page.locator("#body")).to_have_value("under way")  # until the server has it
    page.press("#body", "Control+Enter")  # once is enough
    until(page, lambda: len(held) == 1, "the post is sent")
    held[0].continue_()
    expect(page.locator("#feed article").first).to_contain_text("under way")
    expect(page.locator("#pending article")).to_have_count(0)
    page.wait_for_timeout(400)  # the echo comes, and is known
    assert bodies(page).count("under way") == 1
    assert len(held) == 1


def test_the_echo_may_come_before_the_answer(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    held = hold_posts(page)
    write(page, "  echo  first ")
    page.click("text=Post")
    until(page, lambda: len(held) == 1, "the post is sent")
    answer = held[0].fetch()  # the server has it; the page is not told yet
    expect(page.locator("#feed article").first).to_contain_text("echo first")
    expect(page.locator("#pending article")).to_have_count(0)
    held[0].fulfill(response=answer)
    expect(page.locator("#body")).to_have_value("")
    expect(page.locator("button[type=submit]")).to_be_enabled()
    assert bodies(page).count("  echo  first") == 1


@pytest.mark.parametrize("echo_first", [True, False])
def test_a_post_whose_answer_is_lost_is_not_asked_for_again(
    wall: Wall, open_page: Open, echo_first: bool
) -> None:
    page = live(open_page(wall.url))
    text = f"lost answer {echo_first}"
    held = hold_posts(page)
    write(page, text)
    page.click("text=Post")
    until(page, lambda: len(held) == 1, "the post is sent")
    if echo_first:
        held[0].fetch()
        expect(page.locator("#feed article").first).to_contain_text(text)
        held[0].abort()
    else:
        held[0].abort()
        expect(page.locator("#problem")).to_contain_text("cannot be reached")
        wall.insert(text, author="Ada")  # it was taken after all
    expect(page.locator("#body")).to_have_value("")
    expect(page.locator("#problem")).to_be_hidden()
    assert bodies(page).count(text) == 1


def test_a_post_whose_answer_is_lost_may_be_sent_again(wall: Wall, open_page: Open) -> None:
    """Also after a reload, and where the stream is away; other words are another post."""
    page = live(open_page(wall.url))
    page.route("**/stream", lambda route: route.abort())
    page.evaluate("dispatchEvent(new Event('online'))")
    held = hold_posts(page)
    write(page, "sent twice")
    page.click("text=Post")
    until(page, lambda: len(held) == 1, "the post is sent")
    assert held[0].fetch().status == 201
    held[0].abort()
    expect(page.locator("#problem")).to_contain_text("cannot be reached")
    page.unroute("**/posts")
    page.reload()
    expect(page.locator("#body")).to_have_value("sent twice")
    page.click("text=Post")
    expect(page.locator("#body")).to_have_value("")
    write(page, "sent thrice")
    page.click("text=Post")
    expect(page.locator("#body")).to_have_value("")
    sent = "SELECT body FROM posts WHERE body LIKE 'sent t%%ice' ORDER BY id"
    assert wall.execute(sent) == [("sent twice",), ("sent thrice",)]


def test_the_same_words_of_another_keep_the_text_of_a_refused_post(
    wall: Wall, open_page: Open
) -> None:
    page = live(open_page(wall.url))
    held = hold_posts(page)
    write(page, "me too")
    page.click("text=Post")
    until(page, lambda: len(held) == 1, "the post is sent")
    wall.insert("me too", author="Ada")
    expect(page.locator("#feed article").first).to_contain_text("me too")
    held[0].fulfill(status=403, json={"error": "Not now."})
    expect(page.locator("#problem")).to_contain_text("Not now.")
    expect(page.locator("#body")).to_have_value("me too")


def test_a_post_shows_even_while_the_stream_is_away(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    page.route("**/stream", lambda route: route.abort())
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#chip")).to_have_text(re.compile("Reconnecting"))
    write(page, "without a stream")
    page.click("text=Post")
    expect(page.locator("#feed article").first).to_contain_text("without a stream")


def test_a_post_that_succeeds_brings_the_stream_back(wall: Wall, open_page: Open) -> None:
    page = lost(live(open_page(wall.url)))
    write(page, "the server is there")
    page.click("text=Post")
    live(page)


def lost(page: Page) -> Page:
    """Its next attempt is an hour away; the one after that finds the server."""
    page.clock.install()
    page.route("**/stream", lambda route: route.fulfill(**stream_of("retry: 3600000\n\n")))
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#chip")).to_have_text(re.compile(r"Reconnecting in \d{4} sNow"))
    page.unroute("**/stream")
    return page


def test_a_click_on_the_chip_does_not_wait(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    chip = page.locator("#chip")
    expect(chip).to_have_attribute("aria-disabled", "true")
    lost(page)
    expect(chip).to_have_attribute("aria-disabled", "false")
    chip.focus()
    page.keyboard.press("Enter")
    live(page)
    expect(chip).to_be_focused()


def test_what_is_wrong_stands_beside_the_field_with_the_text_kept(
    wall: Wall, open_page: Open
) -> None:
    page = live(open_page(wall.url))
    write(page, "x" * 2050, author=" ")
    page.click("text=Post")
    expect(page.locator("#body-problem")).to_have_text("50 characters too many; 2,000 fit.")
    expect(page.locator("#author-problem")).to_have_text("Who are you? A name is needed.")
    expect(page.locator("#author")).to_be_focused()
    expect(page.locator("#author")).to_have_attribute("aria-invalid", "")
    expect(page.locator("#body")).to_have_value("x" * 2050)
    page.fill("#body", "x")
    expect(page.locator("#body-problem")).to_be_hidden()


def test_too_large_is_said_with_the_text_kept(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    write(page, "x" * 70_000)
    page.click("text=Post")
    expect(page.locator("#problem")).to_contain_text("too much at once")
    assert len(page.input_value("#body")) == 70_000


def test_too_often_says_when_and_counts_down(
    start_wall: Callable[..., Wall], open_page: Open
) -> None:
    wall = start_wall(ROWCAST_POST_RATE="1 per minute")
    page = live(open_page(wall.url))
    write(page, "first")
    page.click("text=Post")
    expect(page.locator("#feed article")).to_have_count(1)
    write(page, "second")
    page.click("text=Post")
    problem = page.locator("#problem")
    expect(problem).to_have_text(re.compile(r"You can post again in \d+ s"))
    expect(page.locator("#body")).to_have_value("second")
    seen = problem.inner_text()
    expect(problem).not_to_have_text(seen)
    expect(problem).to_have_text(re.compile(r"You can post again in \d+ s"))


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (503, '{"error": "The database cannot be reached right now."}', "The database cannot be"),
        (502, "<h1>Bad gateway</h1>", "The server answered 502. Your text is still here"),
    ],
)
def test_a_failing_server_is_told_with_the_text_kept(
    wall: Wall, open_page: Open, status: int, answer: str, said: str
) -> None:
    page = live(open_page(wall.url))
    page.route("**/posts", lambda route: route.fulfill(status=status, body=answer))
    write(page, "precious")
    page.click("text=Post")
    expect(page.locator("#problem")).to_contain_text(said)
    expect(page.locator("#body")).to_have_value("precious")
    expect(page.locator("#pending article")).to_have_count(0)
    page.unroute("**/posts")
    page.click("text=Post")
    expect(page.locator("#feed article").first).to_contain_text("precious")
    expect(page.locator("#problem")).to_be_hidden()


def test_a_server_killed_while_somebody_types(
    start_wall: Callable[..., Wall], open_page: Open
) -> None:
    wall = start_wall()
    page = live(open_page(wall.url))
    page.focus("#body")
    page.fill("#author", "Ada")
    page.type("#body", "a long tho")
    assert wall.server.child is not None
    wall.server.child.end()
    page.type("#body", "ught")
    page.press("#body", "Control+Enter")
    expect(page.locator("#problem")).to_contain_text("The server cannot be reached")
    expect(page.locator("#body")).to_have_value("a long thought")
    wall.server.start()
    live(page)
    page.press("#body", "Control+Enter")
    expect(page.locator("#feed article").first).to_contain_text("a long thought")
    assert wall.execute("SELECT count(*) FROM posts") == [(1,)]


def test_half_an_emoji_is_refused_in_words(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    page.focus("#body")
    page.fill("#author", "Ada")
    page.evaluate("document.getElementById('body').value = 'half \\ud83d'")
    page.click("text=Post")
    expect(page.locator("#problem")).to_be_visible()
    assert page.evaluate("document.getElementById('body').value.length") == 6


def test_plain_http_on_a_lan_sends_an_origin_that_is_ours(wall: Wall, open_page: Open) -> None:
    """Such a page has no Sec-Fetch-Site; the Origin speaks for it."""
    page = live(open_page(wall.url))

    def strip(route: Route) -> None:
        headers = {k: v for k, v in route.request.all_headers().items() if "sec-fetch" not in k}
        answer = route.fetch(headers=headers | {"origin": wall.url})
        assert json.loads(answer.text())["body"] == "from the LAN"
        route.fulfill(response=answer)

    page.route("**/posts", strip)
    write(page, "from the LAN")
    page.click("text=Post")
    expect(page.locator("#feed article").first).to_contain_text("from the LAN")
    expect(page.locator("#body")).to_have_value("")  # the answer came, too
