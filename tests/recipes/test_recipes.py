"""Each recipe shows the table, rows as they come, change and go, and the table after a reset."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.recipes.conftest import Shop, recipes

pytestmark = pytest.mark.browser

NAMES = [*recipes(), "htmx4"]
SHOWN_MS = 30_000
HOSTILE = "<img src=x onerror=pwned()>"


@pytest.fixture(params=NAMES)
def recipe(request: pytest.FixtureRequest, shop: Shop, chromium: Browser) -> Iterator[Page]:
    """The recipe's page over some rows, of which one was removed, and what goes wrong on it."""
    shop.insert("Ada", "Grace", "Hedy")
    shop.remove("Hedy")
    context = chromium.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{shop.server.url}/{request.param}.html")
    yield page
    context.close()
    assert not errors


def shows(page: Page, shop: Shop) -> None:
    """All rows of the table, the newest first."""
    rows = page.locator("#orders li")
    texts = [f"{customer}: {total}" for customer, total in shop.orders]
    expect(rows).to_have_text(texts, timeout=SHOWN_MS)


def test_a_recipe_shows_what_is_in_the_table(recipe: Page, shop: Shop) -> None:
    shows(recipe, shop)
    shop.insert("Mary")
    shows(recipe, shop)
    shop.insert(HOSTILE, "Jean", "Rosa")
    shows(recipe, shop)
    shop.change("Ada", 8)
    shows(recipe, shop)
    shop.remove("Mary")
    shop.change(HOSTILE, 9)
    shows(recipe, shop)
    shop.begin_again("Edith")
    shows(recipe, shop)
    shop.insert("Emmy")
    shows(recipe, shop)
