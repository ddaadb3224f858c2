"""Posts are edited and removed: every open page follows at once, and the place read is kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Wall, bodies, live, until
from tests.harness.sql import dialect_of

pytestmark = pytest.mark.browser

Open = Callable[..., Page]
# The place of a removed post stays until the test lets it go, and not for ten seconds of its time.
HELD = """(() => {
    const start = setTimeout, held = [];
    window.setTimeout = (call, ms, ...more) =>
        ms === 10000 ? held.push(call) : start(call, ms, ...more);
    window.letGo = () => held.splice(0).forEach((call) => call());
})()"""
TOKEN = "the moderator's token, long enough"
NOW = {"sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now')", "postgresql": "now()"}
MARIADB_NOW = "utc_timestamp(6)"


@pytest.fixture
def open_held(open_page: Open) -> Open:
    """As `open_page`: in the page removed posts keep their place until `let_go()`."""

    def open_one(url: str, **options: Any) -> Page:
        page = open_page("about:blank", **options)
        page.add_init_script(HELD)
        page.goto(url)
        return page

    return open_one


def let_go(page: Page) -> None:
    page.evaluate("letGo()")


def post(page: Page, body: str, author: str = "Ada") -> Locator:
    """Writes it on the page; its article."""
    page.fill("#body", body)
    page.fill("#author", author)
    page.click("#compose button")
    article = page.locator("#feed article", has_text=body)
    expect(article).to_be_visible()
    expect(article.locator("[data-do=edit]")).to_be_visible()
    return page.locator(f"#{article.get_attribute('id')}")


def by_id(page: Page, article: Locator) -> Locator:
    """The same post on another page."""
    return page.locator(f"#{article.get_attribute('id')}")


def test_insert_edit_and_hide_by_sql_appear_in_two_pages(
    start_wall: Callable[..., Wall],
    open_held: Open,
    database_url: str,
    other_program: Callable[[str, str], None],
) -> None:
    """With the database's own client program."""
    wall = start_wall(DATABASE_URL=database_url)
    pages = [live(open_held(wall.url)) for _ in range(2)]
    now = NOW.get(dialect_of(database_url), MARIADB_NOW)

    def by_program(statement: str) -> None:
        other_program(database_url, statement)

    by_program("INSERT INTO posts (author, body) VALUES ('psql', 'first'), ('psql', 'second')")
    for page in pages:
        expect(page.locator("#feed .body")).to_have_text(["second", "first"])
        expect(page.locator("#feed .via")).to_have_text(["via SQL", "via SQL"])
        expect(page.locator("#feed .edited >> visible=true")).to_have_count(0)
    by_program("UPDATE posts SET body = 'FIRST' WHERE body = 'first'")
    for page in pages:
        expect(page.locator("#feed .body")).to_have_text(["second", "FIRST"])
        expect(page.locator("#feed .edited >> visible=true")).to_have_count(1)
    by_program(f"UPDATE posts SET deleted_at = {now} WHERE body = 'second'")
    for page in pages:
        expect(page.locator("#feed .body")).to_have_text(["FIRST"])
        expect(page.locator("#feed .removed")).to_have_text("A post was removed")
    by_program("UPDATE posts SET deleted_at = NULL WHERE body = 'second'")
    for page in pages:
        expect(page.locator("#feed .body")).to_have_text(["second", "FIRST"])
        assert page.locator("#feed .removed").count() == 0


def test_an_author_edits_in_place_and_the_other_page_follows(wall: Wall, open_page: Open) -> None:
    writer, reader = live(open_page(wall.url)), live(open_page(wall.url))
    article = post(writer, "Helo everybody")
    seen = by_id(reader, article)
    expect(seen).to_contain_text("Helo everybody")
    expect(seen.locator("[data-do]")).to_have_count(0)  # not the reader's
    article.locator("[data-do=edit]").click()
    field = article.locator(".editor textarea")
    expect(field).to_be_focused()
    expect(field).to_have_value("Helo everybody")
    field.fill("Hello everybody")
    field.press("Control+Enter")
    for one in (article, seen):
        expect(one.locator(".body")).to_have_text("Hello everybody")
        expect(one.locator(".edited")).to_be_visible()
        assert re.match("Edited ", one.locator(".edited").get_attribute("title") or "")
    expect(article.locator(".editor")).to_have_count(0)
    expect(article).to_be_focused()
    writer.reload()
    expect(live(writer).locator(f"#{article.get_attribute('id')} .edited")).to_be_visible()


def test_escape_and_cancel_leave_the_post_as_it_was(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    article = post(page, "leave me as I am")
    for leave in ("Escape", "Cancel"):
        article.locator("[data-do=edit]").click()
        article.locator("textarea").fill("no")
        if leave == "Escape":
            page.keyboard.press("Escape")
        else:
            article.get_by_text("Cancel").click()
        expect(article.locator(".editor")).to_have_count(0)
        expect(article.locator(".body")).to_have_text("leave me as I am")


def test_what_is_refused_keeps_its_text(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    article = post(page, "to be refused")
    article.locator("[data-do=edit]").click()
    field = article.locator("textarea")
    field.fill("x" * 2001)
    expect(article.locator(".counter")).to_have_text("1 too many")
    article.get_by_text("Save").click()
    expect(article.locator(".problem")).to_contain_text("1 character too many")
    expect(field).to_be_focused()
    page.context.set_offline(True)
    field.fill("while away")
    article.get_by_text("Save").click()
    expect(article.locator(".problem")).to_contain_text("cannot be reached")
    expect(field).to_have_value("while away")
    page.context.set_offline(False)
    article.get_by_text("Save").click()
    expect(article.locator(".body")).to_have_text("while away")


def test_an_author_deletes_after_a_question(wall: Wall, open_held: Open) -> None:
    writer, reader = live(open_held(wall.url)), live(open_held(wall.url))
    article = post(writer, "to be deleted")
    seen = by_id(reader, article)
    expect(seen).to_contain_text("to be deleted")
    article.locator("[data-do=delete]").click()
    expect(article.get_by_text("Keep it")).to_be_focused()  # not the one that destroys
    article.get_by_text("Keep it").click()
    expect(article.locator(".confirm")).to_have_count(0)
    article.locator("[data-do=delete]").click()
    article.get_by_role("button", name="Delete").click()
    for page, one in ((writer, article), (reader, seen)):
        expect(one).to_have_text("A post was removed")
        assert "to be deleted" not in page.content()
        let_go(page)
        expect(one).to_have_count(0)
    expect(reader.locator("#status")).to_contain_text("1 post removed")


def test_a_text_that_is_being_edited_survives_its_post(wall: Wall, open_held: Open) -> None:
    page = live(open_held(wall.url))
    article = post(page, "hidden while it is edited")
    article.locator("[data-do=edit]").click()
    article.locator("textarea").fill("many more words")
    number = article.get_attribute("data-id")
    wall.execute("UPDATE posts SET deleted_at = created_at WHERE id = %s", number)
    expect(article.locator(".problem")).to_contain_text("removed meanwhile")
    expect(article.locator("textarea")).to_have_value("many more words")
    expect(article.get_by_text("Save")).to_be_disabled()
    article.get_by_text("Cancel").click()
    expect(page.locator(f"#post-{number}")).to_have_text("A post was removed")


def test_a_change_from_elsewhere_does_not_touch_the_editor(wall: Wall, open_page: Open) -> None:
    page = live(open_page(wall.url))
    article = post(page, "changed from two sides")
    article.locator("[data-do=edit]").click()
    article.locator("textarea").fill("my words")
    number = article.get_attribute("data-id")
    wall.execute("UPDATE posts SET body = 'their words' WHERE id = %s", number)
    expect(article.locator(".body")).to_have_text("their words")
    expect(article.locator("textarea")).to_have_value("my words")
    article.get_by_text("Save").click()
    expect(article.locator(".body")).to_have_text("my words")


def test_a_moderator_hides_in_place_and_shows_again(
    start_wall: Callable[..., Wall], open_held: Open
) -> None:
    wall = start_wall(WALL_MODERATOR_TOKEN=TOKEN)
    reader, moderator = live(open_held(wall.url)), open_held(f"{wall.url}/moderator")
    wall.insert("to be hidden", "stays")
    moderator.fill("#token", "not the token, but as long")
    moderator.click("text=Sign in")
    expect(moderator.locator("#token-problem")).to_contain_text("not the moderator's token")
    moderator.fill("#token", TOKEN)
    moderator.click("text=Sign in")
    expect(moderator.locator("h1")).to_have_text("Hidden posts")
    moderator.goto(wall.url)
    live(moderator)
    wall.insert("came later")  # its link is made by the script
    later = moderator.locator("#feed article", has_text="came later")
    expect(later.locator("[data-do=hide]")).to_have_attribute("href", "/posts/3/hide")
    article = moderator.locator("#post-1")
    article.locator("[data-do=hide]").click()
    article.get_by_role("button", name="Hide").click()
    for page in (reader, moderator):
        expect(page.locator("#post-1")).to_have_text("A post was removed")
    moderator.goto(f"{wall.url}/moderator")
    expect(moderator.locator(".post .body")).to_have_text("to be hidden")
    moderator.click("text=Show again")
    expect(moderator.locator(".post")).to_have_count(0)
    expect(reader.locator("#post-1 .body")).to_have_text("to be hidden")
    assert bodies(reader) == ["came later", "stays", "to be hidden"]


def test_without_a_script_forms_do_the_same(
    start_wall: Callable[..., Wall], open_held: Open
) -> None:
    wall = start_wall()
    reader, page = live(open_held(wall.url)), open_held(wall.url, java_script_enabled=False)
    page.fill("#body", "by a form")
    page.fill("#author", "Ada")
    page.click("text=Post")
    page.click("#post-1 [data-do=edit]")
    page.fill("textarea", "x" * 2001)
    page.click("text=Save")
    expect(page.locator(".problem")).to_contain_text("1 character too many")
    page.fill("textarea", "by another form")
    page.click("text=Save")
    assert page.url == f"{wall.url}/#post-1"
    expect(page.locator("#post-1 .body")).to_have_text("by another form")
    expect(page.locator("#post-1 .edited")).to_be_visible()
    expect(reader.locator("#post-1 .body")).to_have_text("by another form")
    page.click("#post-1 [data-do=delete]")
    page.click("button:has-text('Delete')")
    expect(page.locator("#post-1")).to_have_count(0)
    expect(reader.locator("#post-1")).to_have_text("A post was removed")


def test_the_links_go_when_the_time_is_over(wall: Wall, open_page: Open) -> None:
    page = open_page(wall.url)
    page.clock.install()
    page.reload()
    article = post(live(page), "for a quarter of an hour")
    page.clock.fast_forward("14:00")
    expect(article.locator("[data-do]")).to_have_count(2)
    page.clock.fast_forward("01:10")
    expect(article.locator("[data-do]")).to_have_count(0)
    expect(article.locator(".body")).to_have_text("for a quarter of an hour")


def test_the_place_that_is_read_is_kept(start_wall: Callable[..., Wall], open_held: Open) -> None:
    """While posts above it grow, go, and come back."""
    wall = start_wall()
    wall.insert(*(f"post {n}\n\nwith some text" for n in range(1, 41)))
    wall.wait_polled()
    page = live(open_held(wall.url))
    expect(page.locator("#feed article")).to_have_count(40)
    read = page.locator("#post-20")
    read.evaluate("one => scrollTo(0, one.getBoundingClientRect().top + scrollY - 200)")

    def top() -> float:
        return float(read.evaluate("one => one.getBoundingClientRect().top"))

    before = top()
    long = "\n".join(["line"] * 30)
    wall.execute("UPDATE posts SET body = %s WHERE id = 35", long)
    expect(page.locator("#post-35 .edited")).to_be_visible()
    assert abs(top() - before) < 2
    wall.execute("UPDATE posts SET deleted_at = created_at WHERE id IN (33, 35)")
    expect(page.locator("#feed .removed")).to_have_count(2)
    assert abs(top() - before) < 2
    let_go(page)
    expect(page.locator("#feed .removed")).to_have_count(0)
    assert abs(top() - before) < 2
    wall.execute("UPDATE posts SET deleted_at = NULL")
    expect(page.locator("#post-35")).to_be_visible()
    assert abs(top() - before) < 2
    assert page.locator("#post-35 + article").get_attribute("id") == "post-34"


def test_the_focus_stays_where_a_post_was_and_then_goes_on(
    start_wall: Callable[..., Wall], open_held: Open
) -> None:
    wall = start_wall()
    wall.insert("one", "two", "three")
    wall.wait_polled()
    page = live(open_held(wall.url))
    page.focus("#post-2 .when")
    wall.execute("UPDATE posts SET deleted_at = created_at WHERE id = 2")
    expect(page.locator("#post-2")).to_have_text("A post was removed")
    expect(page.locator("#post-2")).to_be_focused()
    let_go(page)
    expect(page.locator("#post-2")).to_have_count(0)
    expect(page.locator("#post-1")).to_be_focused()
    assert page.locator("#feed article").count() == 2


def test_a_removed_post_comes_from_no_ring_page_or_token(
    start_wall: Callable[..., Wall], open_held: Open
) -> None:
    """Whoever was away, reads from the beginning, or from before, gets no text of it."""
    wall = start_wall()
    wall.insert("SECRET", "stays")
    wall.wait_polled()
    page = live(open_held(wall.url))
    token = re.search(r'data-cursor="([^"]+)"', wall.server.get("/").text)
    assert token
    wall.execute("UPDATE posts SET body = 'SECRET two' WHERE id = 1")
    expect(page.locator("#post-1 .body")).to_have_text("SECRET two")
    wall.execute("UPDATE posts SET deleted_at = created_at WHERE id = 1")
    expect(page.locator("#post-1")).to_have_text("A post was removed")
    for after in ("0", token[1]):
        rows: Any = wall.server.get(f"/rows/posts?after={after}").json
        assert "SECRET" not in str(rows)
        assert rows["next"]
    kept = wall.server.get(f"/rows/posts?after={token[1]}&limit=1").headers["cache-control"]
    assert kept == "public, max-age=1"  # nor from a cache, tomorrow
    fresh = live(open_held(wall.url))
    assert "SECRET" not in fresh.content()
    late = open_held(f"{wall.url}/?before=9")
    assert "SECRET" not in late.content()
    until(page, lambda: "SECRET" not in page.content(), "the open page has nothing of it")


def test_a_change_that_nobody_sees_is_no_news(
    start_wall: Callable[..., Wall], open_page: Open
) -> None:
    wall = start_wall()
    wall.insert("stays as it is", "is edited")
    wall.wait_polled()
    page = live(open_page(wall.url))
    wall.execute("UPDATE posts SET via = 'import' WHERE id = 1")
    wall.execute("UPDATE posts SET body = 'was edited' WHERE id = 2")
    expect(page.locator("#post-1 .via")).to_have_text("via import")
    expect(page.locator("#post-2")).to_have_class(re.compile("changed"))
    expect(page.locator("#post-1")).not_to_have_class(re.compile("changed"))
    expect(page.locator("#status")).to_have_text("1 post edited")
