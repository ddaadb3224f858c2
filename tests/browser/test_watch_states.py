"""`rowcast watch` in Chromium: an empty table, a database that is away, hostile values, a shop."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_watch import NARROW, Shop, customers, live, rows
from tests.harness import sql
from tests.harness.postgres import Postgres
from tests.harness.watching import viewing, watching
from tests.poller.commands.shops import shop_on

pytestmark = [pytest.mark.browser, pytest.mark.serving]

MOST_ROWS = 200
EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture
def shop(sqlite_url: str) -> Shop:
    return Shop(sqlite_url)


@pytest.fixture
def page(chromium: Browser, shop: Shop) -> Iterator[Page]:
    with (
        watching(shop.url, "orders") as watch,
        viewing(chromium, watch.address) as page,
    ):
        yield live(page)


def test_an_empty_table_shows_the_insert_that_fills_it(page: Page, shop: Shop) -> None:
    expect(page.locator("#blank h2")).to_have_text("orders has no rows yet")
    expect(page.locator("#blank .wait")).to_contain_text("Last look")
    insert = page.locator("#blank code").first.inner_text()
    sql.execute(shop.url, insert)
    expect(rows(page)).to_have_count(1)
    expect(page.locator("#blank")).to_be_hidden()
    expect(page.locator("#blank code").last).to_contain_text("sqlite3 /")


def test_another_table_is_said_and_shown(page: Page, shop: Shop) -> None:
    shop.insert("Ada", "Grace")
    expect(rows(page)).to_have_count(2)
    with sql.connect(shop.url) as connection:
        for statement in (
            "DROP TABLE orders",
            "CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, customer TEXT, age INT)",
            "INSERT INTO orders (customer, age) VALUES ('Edsger', 42)",
        ):
            connection.execute(statement)
        connection.commit()
    expect(page.locator("#strip-reset")).to_contain_text("nothing from before is among them")
    expect(customers(page)).to_have_text(["Edsger"])
    live(page)
    page.get_by_role("button", name="Understood").click()
    expect(page.locator("#strip-reset")).to_be_hidden()


def test_the_database_goes_and_comes_back(
    chromium: Browser, postgres_server: Postgres, postgresql_url: str
) -> None:
    shop = Shop(postgresql_url)
    with watching(shop.url, "orders") as watch, viewing(chromium, watch.address) as page:
        shop.insert("Ada")
        expect(customers(live(page))).to_have_text(["Ada"])
        postgres_server.stop("fast")
        try:
            expect(page.locator("#chip-label")).to_have_text("Waiting for the database")
            expect(page.locator("#strip-lost")).to_contain_text("none is skipped")
            expect(page.locator("#rate-now")).to_have_text("–")
        finally:
            postgres_server.start()
        live(page)
        expect(page.locator("#strip-lost")).to_be_hidden()
        shop.insert("Grace")
        expect(customers(page)).to_have_text(["Grace", "Ada"])
        expect(page.locator("#strip-reset")).to_be_hidden()


def test_the_program_ends(chromium: Browser, shop: Shop) -> None:
    shop.insert("Ada")
    with watching(shop.url, "orders") as watch, viewing(chromium, watch.address) as page:
        expect(customers(live(page))).to_have_text(["Ada"])
        watch.program.end()
        expect(page.locator("#retry")).to_contain_text("Now")
        expect(page.locator("#strip-lost")).to_contain_text("Does rowcast watch still run?")
        expect(customers(page)).to_have_text(["Ada"])


def test_a_row_that_commits_late_is_marked(chromium: Browser, postgresql_url: str) -> None:
    shop = Shop(postgresql_url)
    shop.insert("Ada")
    with watching(shop.url, "orders") as watch, viewing(chromium, watch.address) as page:
        expect(customers(live(page))).to_have_text(["Ada"])
        with sql.connect(shop.url) as connection:
            connection.execute("INSERT INTO orders (customer) VALUES ('Late')")
            shop.insert("Grace")
            expect(customers(page)).to_have_text(["Grace", "Ada"])
            connection.commit()
        expect(customers(page)).to_have_text(["Late", "Grace", "Ada"])
        expect(rows(page).first.locator(".late")).to_be_visible()
        expect(page.locator(".late")).to_have_count(1)


def test_values_are_shown_by_their_types(chromium: Browser, postgresql_url: str) -> None:
    sql.run_script(
        postgresql_url,
        """CREATE TABLE things (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        total numeric(20, 10), paid boolean, items jsonb, ref uuid, scan bytea, note text,
        big bigint, came timestamptz DEFAULT clock_timestamp(), at timestamp);
        INSERT INTO things (total, paid, items, ref, scan, note, big, at) VALUES
        ('1234567890.1000000000', true, '{"a": [1, 2, {"b": null}], "c": "long enough to fold"}',
        '94e4ae00-956a-4d45-a912-a047276f8838', decode(repeat('00', 3000), 'hex'), 'NULL',
        9007199254740993, '2026-01-02 03:04:05'),
        (null, null, null, null, null, '', null, null);""",
    )
    with watching(postgresql_url, "things") as watch, viewing(chromium, watch.address) as page:
        expect(rows(live(page))).to_have_count(2)

        def cell(row: int, label: str) -> str:
            return str(rows(page).nth(row).locator(f"[data-label={label}]").inner_text())

        assert cell(1, "total") == "1234567890.1000000000"
        assert cell(1, "paid") == "true"
        assert cell(1, "ref") == "94e4ae00…"
        assert cell(1, "scan") == "2.9\u00a0KB"
        assert cell(1, "note") == "NULL"
        assert cell(1, "big") == "9007199254740993"
        assert cell(1, "at") == "2026-01-02T03:04:05"
        assert [cell(0, name) for name in ("total", "paid", "items", "scan")] == ["null"] * 4
        assert cell(0, "note") == "''"
        assert rows(page).first.locator(".null").count() == 7
        came = rows(page).first.locator("time")
        assert str(came.get_attribute("title")).endswith("Z")
        fold = rows(page).last.locator(".items .fold, .json .fold")
        fold.click()
        expect(fold).to_have_attribute("aria-expanded", "true")
        expect(page.locator("#drawer")).to_be_hidden()
        right = page.locator("td.num").first.evaluate("(td) => getComputedStyle(td).textAlign")
        assert right == "right"


def test_hostile_names_and_values_are_only_text(chromium: Browser, sqlite_url: str) -> None:
    name = f"{EVIL} / %2F \"'`é漢\u202e"
    quoted = '"' + name.replace('"', '""') + '"'
    columns = [f"column {n}" for n in range(197)] + [EVIL, "__proto__", "constructor"]
    declared = ", ".join(f'"{one}" TEXT' for one in columns)
    sql.execute(
        sqlite_url, f"CREATE TABLE {quoted} (id INTEGER PRIMARY KEY AUTOINCREMENT, {declared})"
    )
    insert = (
        f'INSERT INTO {quoted} ("column 0", "column 1", "{EVIL}", "__proto__") VALUES (?, ?, ?, ?)'
    )
    with sql.connect(sqlite_url) as connection:
        connection.execute(insert, (EVIL, "x" * 200_000, EVIL, EVIL))
        connection.commit()
    with watching(sqlite_url) as watch, viewing(chromium, watch.address) as page:
        page.locator("#live a").click()
        expect(rows(live(page))).to_have_count(1)
        expect(page.locator("#columns-count")).to_have_text("30 of 201")
        expect(page.locator("[data-label='column 0'] bdi").first).to_contain_text("<script>")
        page.locator("#tabs a").first.wait_for()
        rows(page).first.locator(".key").click()
        expect(page.locator("#fields > div")).to_have_count(201)
        data = json.loads(page.locator("#json").inner_text())
        assert data[EVIL] == EVIL
        assert len(data["column 1"]) == 200_000
        with sql.connect(sqlite_url) as connection:
            connection.execute(insert, ("second", "", None, None))
            connection.commit()
        expect(rows(page)).to_have_count(2)
        assert page.locator("img, script:not([src])").count() == 0
        page.set_viewport_size({"width": 360, "height": 760})
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]


def test_every_table_of_a_shop_from_the_list(chromium: Browser, sqlite_url: str) -> None:
    """A database that knows nothing of Rowcast: each table that can be watched opens, and shows its
    rows, or how to insert one."""
    shop = shop_on(sqlite_url)
    watchable = {name for name, one in shop.tables.items() if one.promise != "no"}
    with watching(sqlite_url) as watch, viewing(chromium, watch.address) as page:
        expect(page.locator("#live li")).to_have_count(len(watchable))
        expect(page.locator("#problems li")).to_have_count(len(shop.tables) - len(watchable))
        promises = dict(
            page.locator("#live a").evaluate_all(
                """(all) => all.map((a) => [a.querySelector("bdi").textContent,
                a.querySelector(".promise").className.replace("promise ", "")])"""
            )
        )
        assert promises == {name: shop.tables[name].promise for name in watchable}
        for name in sorted(watchable):
            page.goto(watch.url)
            page.locator("#live a", has=page.get_by_text(name, exact=True)).click()
            live(page)
            quoted = name if name.startswith('"') else f'"{name}"'
            ((count,),) = sql.execute(sqlite_url, f"SELECT count(*) FROM {quoted}")
            expect(rows(page)).to_have_count(min(count, MOST_ROWS))
            expect(page.locator("#blank")).to_be_visible(visible=not count)
        expect(page.locator("#tabs a[data-feed]")).to_have_count(len(watchable))


def test_the_list_fits_narrow_screens(chromium: Browser, sqlite_url: str) -> None:
    shop_on(sqlite_url)
    with (
        watching(sqlite_url) as watch,
        viewing(chromium, watch.address, viewport=NARROW) as page,
    ):
        page.locator("#live li").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
        page.locator("#live summary").first.click()
        expect(page.locator("#live pre").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
