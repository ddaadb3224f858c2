"""Posts appear by themselves, and the chip tells the truth about the connection."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Wall, answer_stream, bodies, live, set_hidden, stream_of, until

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


def frame(post_id: int, body: str, event: str = "") -> str:
    row = {"id": post_id, "author": "a", "body": body, "created_at": "2026-11-22T14:56:00.123456Z"}
    return f"{event}id: e.{post_id}\ndata: {json.dumps(row)}\n\n"


def test_a_post_in_one_browser_appears_in_another(wall: Wall, open_page: Open) -> None:
    reader, writer = live(open_page(wall.url)), live(open_page(wall.url))
    writer.fill("#body", "from one to the other")
    writer.fill("#author", "Ada")
    writer.click("text=Post")
    expect(reader.locator("#feed article").first).to_contain_text("from one to the other")
    expect(writer.locator("#feed article").first).to_contain_text("from one to the other")


def test_a_row_from_another_program_appears(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    wall.insert("by sqlite3", author="cron")
    expect(page.locator("#feed article").first).to_contain_text("by sqlite3")
    expect(page.locator("#feed article .author").first).to_have_text("cron")


def test_the_wall_is_the_same_on_each_database(
    start_wall: Callable[..., Wall], open_page: Open, database_url: str
) -> None:
    wall = start_wall(DATABASE_URL=database_url)
    page = live(open_page(wall.url))
    page.fill("#body", "by the form ☕👍")
    page.fill("#author", "Ada")
    page.press("#body", "Control+Enter")
    expect(page.locator("#feed article").first).to_contain_text("by the form ☕👍")
    wall.insert("by another program")
    expect(page.locator("#feed article").first).to_contain_text("by another program")
    expect(page.locator("#feed time").first).to_have_text("now")
    page.reload()
    live(page)
    assert bodies(page) == ["by another program", "by the form ☕👍"]


def test_an_event_that_makes_no_sense_costs_no_other(wall: Wall, page: Page) -> None:
    bad = ["data: {\n\n", 'data: {"id":"x"}\n\n', "data: 7\n\n", "event: what\ndata: x\n\n"]
    frames = [frame(990_001, "good 1"), *bad, frame(990_002, "good 2")]
    answer_stream(page, **stream_of("retry: 60000\n\n", *frames))
    page.goto(wall.url)
    expect(page.locator("#feed article").first).to_contain_text("good 2")
    assert bodies(page)[:2] == ["good 2", "good 1"]


def test_what_the_stream_makes_looks_as_what_the_server_makes(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    wall.insert("the same markup", author="Zoë 👍")
    expect(page.locator("#feed article").first).to_contain_text("the same markup")

    def markup() -> str:
        html: str = page.locator("#feed article").first.evaluate("one => one.outerHTML")
        html = re.sub(r" data-delay=\"[^\"]*\" title=\"Here [^\"]*\"", "", html)  # it saw it come
        html = re.sub(r" new|(?<=<time)[^>]*>[^<]*| aria-(posinset|setsize)=\"[^\"]*\"", "", html)
        return re.sub(r"\s+|class=\"post\"", "", html)

    by_script = markup()
    page.reload()
    live(page)
    assert markup() == by_script


def test_posts_are_sorted_by_id_and_shown_once(wall: Wall, page: Page) -> None:
    ids = [900_003, 900_001, 900_003, 900_005, 900_002, 900_001]
    answer_stream(page, **stream_of("retry: 60000\n\n", *(frame(n, f"row {n}") for n in ids)))
    page.goto(wall.url)
    expect(page.locator("#feed article").first).to_contain_text("row 900005")
    shown = [body for body in bodies(page) if body.startswith("row ")]
    assert shown == ["row 900005", "row 900003", "row 900002", "row 900001"]


def test_many_at_once_come_as_a_group(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    wall.insert("came alone")
    expect(page.locator("#feed article").first).to_have_class(re.compile(r"\bnew\b"))
    expect(page.locator(".together")).to_have_count(0)
    wall.insert("three", "two", "one")
    sentence = page.locator("#feed > .together")
    expect(sentence).to_have_text("3 posts came together")
    expect(page.locator(".together + article.grouped .body")).to_have_text("one")
    expect(page.locator("article.grouped")).to_have_count(3)
    expect(page.locator("article.grouped.new")).to_have_count(0)
    page.wait_for_timeout(1100)  # what comes within a second belongs to them
    wall.insert("and above it another")
    expect(page.locator("#feed > :nth-child(1) .body")).to_have_text("and above it another")
    expect(page.locator("#feed > :nth-child(2)")).to_have_text("3 posts came together")
    wall.execute("UPDATE posts SET deleted_at = created_at WHERE body = 'one'")
    expect(page.locator("#feed .removed")).to_have_count(1)


def test_a_row_that_no_form_made_says_how_it_came(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    wall.insert("by any tool")
    badge = page.locator("#feed article").first.locator(".via")
    expect(badge).to_have_text("via SQL")
    expect(badge).to_have_attribute("data-delay", re.compile(r"^\d\.\d s$"))
    wall.execute("UPDATE posts SET body = 'edited' WHERE body = 'by any tool'")
    expect(page.locator("#feed .body").first).to_have_text("edited")
    expect(badge).to_have_attribute("data-delay", re.compile(r"^\d\.\d s$"))
    page.reload()  # who did not see it come does not know
    expect(badge).to_have_text("via SQL")
    expect(badge).not_to_have_attribute("data-delay", re.compile("."))


def test_ids_beyond_what_numbers_hold_are_sorted_too(wall: Wall, page: Page) -> None:
    big = 2**63 - 10
    rows = [
        frame(big + n, f"big {n}").replace(f'"id": {big + n}', f'"id": "{big + n}"')
        for n in (1, 0, 2)
    ]
    answer_stream(page, **stream_of("retry: 60000\n\n", *rows))
    page.goto(wall.url)
    expect(page.locator("#feed article").first).to_contain_text("big 2")
    assert bodies(page)[:3] == ["big 2", "big 1", "big 0"]


def test_nothing_is_lost_between_the_page_and_its_stream(wall: Wall, page: Page) -> None:
    wall.insert("shown by the server")

    def late(route: Route) -> None:
        wall.insert("committed in between")
        route.continue_()

    page.route("**/stream", late)
    page.goto(wall.url)
    expect(page.locator("#feed article").first).to_contain_text("committed in between")
    live(page)
    assert bodies(page).count("shown by the server") == 1


def test_the_stream_opens_with_the_cursor_of_the_page(wall: Wall, page: Page) -> None:
    asked = answer_stream(page, **stream_of("retry: 60000\n\n: hi\n"))
    page.goto(wall.url)
    until(page, lambda: bool(asked), "the page asks for its stream")
    assert asked[0]["last-event-id"] == page.locator("#feed").get_attribute("data-cursor")
    assert asked[0]["accept"] == "text/event-stream"


def test_it_goes_on_after_the_last_event(wall: Wall, page: Page) -> None:
    asked = answer_stream(page, **stream_of("retry: 100\n\n", frame(800_007, "seen")))
    page.goto(wall.url)
    until(page, lambda: len(asked) > 2, "it comes back")
    assert [headers["last-event-id"] for headers in asked[1:3]] == ["e.800007"] * 2


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 500, "body": "broken"},
        {"status": 404, "body": "gone"},
        {"status": 502, "content_type": "text/html", "body": "<h1>Bad gateway</h1>"},
        {"status": 200, "content_type": "text/html", "body": "<h1>Log in</h1>"},
        {"status": 200, "content_type": "text/event-stream", "body": "retry: 300\n\n"},
    ],
)
def test_it_comes_back_after_any_answer(wall: Wall, page: Page, answer: dict[str, Any]) -> None:
    asked = answer_stream(page, **answer)
    page.goto(wall.url)
    expect(page.locator("#chip")).to_have_text(re.compile(r"Reconnecting in \d s"))
    assert asked
    page.unroute("**/stream")
    live(page)
    wall.insert("after the trouble")
    expect(page.locator("#feed article").first).to_contain_text("after the trouble")


def test_a_retry_time_of_nothing_makes_no_storm(wall: Wall, page: Page) -> None:
    asked = answer_stream(page, **stream_of("retry: 0\n\n"))
    page.goto(wall.url)
    until(page, lambda: len(asked) >= 2, "it comes back")
    page.wait_for_timeout(1000)
    assert len(asked) <= 8


def test_204_ends_it_for_good(wall: Wall, page: Page) -> None:
    asked = answer_stream(page, status=204)
    page.goto(wall.url)
    expect(page.locator("#chip")).to_have_text("Ended")
    page.evaluate("dispatchEvent(new Event('online'))")
    page.wait_for_timeout(500)
    assert len(asked) == 1


def test_a_server_that_dies_and_returns(start_wall: Callable[..., Wall], open_page: Open) -> None:
    wall = start_wall()
    page = live(open_page(wall.url))
    assert wall.server.child is not None
    wall.server.child.end()
    expect(page.locator("#chip")).to_have_text(re.compile(r"Reconnecting in \d+ s"))
    expect(page.locator("#status")).to_have_text("Connection lost.")
    wall.insert("while the server was away")
    wall.server.start()
    live(page)
    expect(page.locator("#feed article").first).to_contain_text("while the server was away")


def test_a_silent_connection_is_taken_for_dead(
    start_wall: Callable[..., Wall], open_page: Open
) -> None:
    wall = start_wall(ROWCAST_HEARTBEAT="0.3")
    page = live(open_page(wall.url))
    assert wall.server.child is not None
    wall.server.child.freeze()
    expect(page.locator("#chip")).to_have_text(re.compile("Reconnecting"))
    wall.server.child.thaw()
    live(page)


def test_offline_is_shown_and_left_again(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    page.context.set_offline(True)
    expect(page.locator("#chip")).to_have_text("Offline")
    wall.insert("while offline")
    page.context.set_offline(False)
    live(page)
    expect(page.locator("#feed article").first).to_contain_text("while offline")


def test_a_full_server_is_not_called_live(start_wall: Callable[..., Wall], open_page: Open) -> None:
    wall = start_wall(ROWCAST_MAX_STREAMS="1")
    first = live(open_page(wall.url))
    second = open_page(wall.url)
    expect(second.locator("#chip")).to_have_text(re.compile(r"Reconnecting in \d+ s"))
    first.goto("about:blank")

    def look() -> bool:
        set_hidden(second, hidden=True)
        set_hidden(second, hidden=False)  # who looks at the page wants it now
        return second.locator("#chip").inner_text() == "Live"

    until(second, look, "the place that became free is taken")


def test_a_page_put_aside_lets_go_of_its_stream_and_takes_it_up_again(
    wall: Wall, open_page: Open
) -> None:
    page, other = live(open_page(wall.url)), live(open_page(wall.url))
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    wall.insert("while the page was put aside")
    expect(other.locator("#feed article").first).to_contain_text("while the page was put aside")
    assert "while the page was put aside" not in bodies(page)
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(page.locator("#feed article").first).to_contain_text("while the page was put aside")


def test_a_reset_reloads_the_rows_in_place(start_wall: Callable[..., Wall], page: Page) -> None:
    wall = start_wall()
    wall.insert("stays", "goes")
    expect_posts = page.locator("#feed article")
    page.goto(wall.url)
    live(page)
    expect(expect_posts).to_have_count(2)
    page.evaluate("document.getElementById('post-1').marked = true")
    wall.execute("DELETE FROM posts WHERE id = 2")
    page.route(
        "**/stream",
        lambda route: route.continue_(
            headers={**route.request.all_headers(), "last-event-id": "nonsense"}
        ),
        times=1,
    )
    page.evaluate("dispatchEvent(new Event('online'))")  # connect anew
    expect(page.locator("#post-2")).to_have_count(0)
    assert page.evaluate("document.getElementById('post-1').marked") is True
    wall.insert("after the reset")
    expect(expect_posts.first).to_contain_text("after the reset")


def test_rows_that_come_while_a_reset_is_loading_stay(wall: Wall, page: Page) -> None:
    reset = 'event: reset\ndata: {"reason":"test"}\n\n'
    answer_stream(page, **stream_of("retry: 60000\n\n", reset, frame(950_001, "came meanwhile")))
    page.goto(wall.url)
    expect(page.locator("#feed")).to_contain_text("came meanwhile")
    page.wait_for_timeout(700)
    assert "came meanwhile" in bodies(page)


def test_the_database_away_at_start_and_back(
    start_wall: Callable[..., Wall], open_page: Open, tmp_path: Any
) -> None:
    path = tmp_path / "later" / "rowcast.sqlite3"
    wall = start_wall(ready=False, DATABASE_URL=f"sqlite:///{path}")
    page = open_page(wall.url)
    expect(page.locator("#away")).to_be_visible()
    expect(page.locator("#empty")).to_be_hidden()
    path.parent.mkdir()
    wall.server.wait_ready()
    wall.insert("it is back")
    expect(page.locator("#feed article").first).to_contain_text("it is back", timeout=30_000)
    expect(page.locator("#away")).to_be_hidden(timeout=30_000)


def test_a_row_that_cannot_be_read_is_a_placeholder(
    start_wall: Callable[..., Wall], open_page: Open
) -> None:
    wall = start_wall()
    page = live(open_page(wall.url))
    wall.execute("INSERT INTO posts (author, body) VALUES ('x', CAST(x'ff' AS TEXT))")
    wall.insert("a good one")
    expect(page.locator("#feed article").first).to_contain_text("a good one")
    expect(page.locator("#feed article.unreadable")).to_contain_text("could not be read")


def test_a_burst_loses_nothing_and_the_page_stays_bounded(
    start_wall: Callable[..., Wall], open_page: Open
) -> None:
    wall = start_wall()
    page = live(open_page(wall.url))
    wall.insert(*(f"burst {n}" for n in range(1, 2501)))
    expect(page.locator("#feed article").first).to_contain_text("burst 2500", timeout=20_000)
    ids = page.eval_on_selector_all(
        "#feed article", "all => all.map(one => Number(one.dataset.id))"
    )
    assert ids == [*range(2500, 1500, -1)]
    assert (
        page.locator("#older a").get_attribute("href", timeout=30_000) == f"{wall.url}/?before=1501"
    )


def test_a_burst_in_a_hidden_tab_is_shown_as_well(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    set_hidden(page, hidden=True)
    wall.insert(*(f"hidden {n}" for n in range(200)))
    expect(page.locator("#feed article").first).to_contain_text("hidden 199")
    assert [body for body in bodies(page) if body.startswith("hidden")] == [
        f"hidden {n}" for n in range(199, -1, -1)
    ]
