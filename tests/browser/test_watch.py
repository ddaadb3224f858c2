"""`rowcast watch` in Chromium: a table that is looked at."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.harness import sql
from tests.harness.watching import Watching, viewing, watching

pytestmark = [pytest.mark.browser, pytest.mark.serving]

NARROW = {"width": 360, "height": 760}


class Shop:
    """A table `orders` of its own for a test, and whoever inserts into it."""

    def __init__(self, url: str) -> None:
        self.url = url
        key = sql.KEY_TYPES[sql.dialect_of(url)]
        for table in ("orders", "payments"):
            columns = f"id {key}, customer TEXT, total INTEGER, items JSON"
            sql.execute(url, f"CREATE TABLE {table} ({columns})")

    def insert(self, *customers: str, table: str = "orders", total: int = 5) -> None:
        for customer in customers:
            statement = f"INSERT INTO {table} (customer, total, items) VALUES (%s, %s, %s)"
            sql.execute(self.url, statement, [customer, total, json.dumps([{"sku": "TEA-250"}])])


@pytest.fixture
def shop(sqlite_url: str) -> Shop:
    return Shop(sqlite_url)


@pytest.fixture
def watch(shop: Shop) -> Iterator[Watching]:
    """Three orders were there before."""
    shop.insert("Ada", "Grace", "Edsger")
    with watching(shop.url, "orders", "payments") as found:
        yield found


@pytest.fixture
def page(chromium: Browser, watch: Watching) -> Iterator[Page]:
    with viewing(chromium, watch.address, viewport={"width": 1280, "height": 720}) as page:
        yield live(page)


def live(page: Page) -> Page:
    expect(page.locator("#chip-label")).to_have_text("Live")
    return page


def rows(page: Page) -> Any:
    return page.locator("#rows tr:not([hidden])")


def customers(page: Page) -> Any:
    return rows(page).locator("[data-label=customer]")


def test_rows_are_there_and_new_ones_come_on_top(page: Page, shop: Shop) -> None:
    expect(page).to_have_title(re.compile("^orders · "))
    expect(page).to_have_url(re.compile("/table/orders$"))
    expect(customers(page)).to_have_text(["Edsger", "Grace", "Ada"])
    expect(page.locator("tr[data-op]")).to_have_count(0)
    expect(page.locator("#count")).to_have_text("3 newest rows")
    shop.insert("Barbara", "Frances")
    expect(customers(page)).to_have_text(["Frances", "Barbara", "Edsger", "Grace", "Ada"])
    expect(page.locator("tr[data-op]")).to_have_count(0)  # once they have settled
    assert page.locator("th small").all_inner_texts() == ["integer", "text", "integer", "json"]


def test_new_rows_flash(page: Page, shop: Shop) -> None:
    page.evaluate(
        """() => { globalThis.fresh = 0; new MutationObserver((all) => { for (const { addedNodes }
        of all) for (const one of addedNodes) fresh += one.dataset.op === "insert"; })
        .observe(document.getElementById("rows"), { childList: true }); }"""
    )
    shop.insert("Barbara")
    expect(customers(page).first).to_have_text("Barbara")
    assert page.evaluate("fresh") == 1


def test_paused_rows_wait_and_are_counted(page: Page, shop: Shop) -> None:
    page.keyboard.press("Space")
    expect(page.locator("#chip-label")).to_have_text("Paused")
    shop.insert("Barbara", "Frances")
    expect(page.locator("#strip-held b")).to_have_text("2\u00a0new rows waiting")
    expect(customers(page)).to_have_text(["Edsger", "Grace", "Ada"])
    page.get_by_role("button", name="Show them").click()
    expect(customers(page)).to_have_text(["Frances", "Barbara", "Edsger", "Grace", "Ada"])
    live(page)


def test_who_has_scrolled_down_is_not_moved(page: Page, shop: Shop) -> None:
    shop.insert(*map(str, range(40)))
    expect(rows(page)).to_have_count(43)
    page.locator("#scroller").evaluate("(one) => { one.scrollTop = 600; }")
    page.wait_for_function("document.getElementById('scroller').scrollTop === 600")
    shop.insert("Barbara")
    expect(page.locator("#strip-held b")).to_have_text("1\u00a0new row above")
    expect(rows(page)).to_have_count(43)
    page.get_by_role("button", name="Show", exact=True).click()
    expect(customers(page).first).to_have_text("Barbara")


def test_the_filter(page: Page, shop: Shop) -> None:
    shop.insert("Adam", total=200)
    expect(rows(page)).to_have_count(4)
    page.keyboard.press("/")
    page.keyboard.type("ada")
    expect(customers(page)).to_have_text(["Adam", "Ada"])
    expect(page.locator("#count")).to_have_text("2 of the 4\u00a0newest rows match")
    assert page.evaluate("CSS.highlights.get('hit').size") == 2
    page.keyboard.type(" total>100")
    expect(customers(page)).to_have_text(["Adam"])
    page.locator("#filter").fill("customer=nobody")
    expect(page.locator("#nothing")).to_be_visible()
    shop.insert("Barbara", "Nobody")
    expect(customers(page)).to_have_text(["Nobody"])
    page.keyboard.press("Escape")
    expect(rows(page)).to_have_count(6)


def test_the_details_by_keys(page: Page, shop: Shop) -> None:
    rows(page).first.focus()
    for key in ("ArrowDown", "End", "Home", "ArrowDown"):
        page.keyboard.press(key)
    assert page.locator("#rows [tabindex='0']").count() == 1
    page.keyboard.press("Enter")
    expect(page.locator("#drawer-title")).to_have_text("orders 2")
    shown = json.loads(page.locator("#json").inner_text())
    assert (shown["id"], shown["customer"]) == (2, "Grace")
    shop.insert("Barbara")
    expect(customers(page).first).to_have_text("Barbara")
    expect(page.locator("#drawer-title")).to_have_text("orders 2")
    expect(page.locator("[aria-selected=true] [data-label=customer]")).to_have_text("Grace")
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).to_be_hidden()
    expect(page.locator("[aria-selected=true]")).to_have_count(0)


def test_the_table_is_one_tab_stop(page: Page) -> None:
    page.locator("#pause").focus()
    page.keyboard.press("Tab")  # the scroller, if the browser makes it one
    for _ in range(2):
        if page.evaluate("document.activeElement.tagName") == "TR":
            break
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('tbody') !== null")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('tbody') === null")


def test_json_is_copied(chromium: Browser, watch: Watching, shop: Shop) -> None:
    allowed = ["clipboard-read", "clipboard-write"]
    with viewing(chromium, watch.address, permissions=allowed) as page:
        rows(live(page)).first.click()
        page.get_by_role("button", name="Copy JSON").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert json.loads(page.evaluate("navigator.clipboard.readText()"))["customer"] == "Edsger"


def test_columns_are_chosen_and_remembered(page: Page) -> None:
    heads = page.locator("th:not(.op)")
    expect(heads).to_have_count(4)
    page.locator("body").press("c")
    page.get_by_role("checkbox", name="total").uncheck()
    expect(heads).to_have_count(3)
    expect(rows(page).first.locator("td")).to_have_count(4)
    page.keyboard.press("Escape")
    page.reload()
    live(page)
    expect(heads).to_have_count(3)
    expect(page.locator("#columns-count")).to_have_text("3 of 4")


def test_the_other_tab_counts_what_comes(page: Page, shop: Shop) -> None:
    other = page.locator("#tabs a", has_text="payments")
    expect(other).to_be_visible()
    shop.insert("Ada", "Grace", table="payments")
    expect(other.locator(".unread")).to_have_text("2")
    other.click()
    expect(page).to_have_url(re.compile("/table/payments$"))
    expect(customers(live(page))).to_have_text(["Grace", "Ada"])
    expect(page.locator("#tabs a")).to_have_text(["orders", "payments"])
    expect(page.locator(".unread")).to_have_count(0)


def test_narrow_screens_get_cards(chromium: Browser, watch: Watching, shop: Shop) -> None:
    shop.insert("x" * 4000, "A long word " * 40)
    with viewing(chromium, watch.address, viewport=NARROW) as page:
        expect(rows(live(page))).to_have_count(5)
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
        box = rows(page).first.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= NARROW["width"]
        rows(page).last.click()
        expect(page.locator("#drawer-title")).to_have_text("orders 1")
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
        page.get_by_role("button", name="Close").click()
        expect(page.locator("#drawer")).to_be_hidden()


def test_dark_is_dark(chromium: Browser, watch: Watching) -> None:
    with viewing(chromium, watch.address, color_scheme="dark") as page:
        live(page)
        seen = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert max(map(int, re.findall(r"\d+", seen)[:3])) < 60


def test_a_second_browser_is_not_let_in(page: Page, chromium: Browser, watch: Watching) -> None:
    with viewing(chromium, watch.address) as other:
        expect(other.locator("body")).to_contain_text("opens once")
