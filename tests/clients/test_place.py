"""What somebody reads stays where it is when rows around it change: in Chromium and in Firefox.

Where the browser keeps the place, and where it does not, as Safari, and `<row-cast>` has to.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.browser import CHROMIUM, FIREFOX, Browser, Kind
from tests.clients.proxy import PAGES, CuttingProxy
from tests.conftest import EXERCISED
from tests.harness.process import PartMissing, wait_until

pytestmark = pytest.mark.clients

PLAYED_S = 100.0
NO_SERVER = 9  # only the page is asked for
CASES = 9 * 2


@pytest.fixture(scope="module", params=[CHROMIUM, FIREFOX], ids=lambda kind: kind.name)
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    kind: Kind = request.param
    try:
        with Browser(kind) as browser:
            yield browser
    except PartMissing as reason:
        EXERCISED.skip(kind.name, str(reason))


def play(browser: Browser, by: str) -> dict[str, dict[str, Any]]:
    """What place.html reports, by the names of its cases."""

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in browser.lines(by)]

    with CuttingProxy(NO_SERVER) as proxy:
        url = f"http://127.0.0.1:{proxy.port}{PAGES}programs/place.html?by={by}"
        browser.show_page(by, url)
        done = {"end", "error"}
        wait_until(lambda: any(line["name"] in done for line in lines()), PLAYED_S, "the end")
        browser.remove(by)
    told = {line.pop("name"): line for line in lines()}
    assert "error" not in told, told
    assert len(told) == CASES + 2
    return told


@pytest.mark.parametrize("by", ["browser", "script"])
def test_the_place_and_the_focus_are_kept(browser: Browser, by: str) -> None:
    told = play(browser, by)
    moved = {name: line["moved"] for name, line in told.items() if "moved" in line}
    assert {name: by for name, by in moved.items() if abs(by) > 1} == {}
    assert told["the focus"] == {"kept": True}


def test_where_nobody_keeps_the_place_these_cases_lose_it(browser: Browser) -> None:
    """So the test above can fail."""
    told = play(browser, "nobody")
    moved = {name: line["moved"] for name, line in told.items() if "moved" in line}
    assert {name for name, by in moved.items() if abs(by) <= 1} <= {
        f"{case}, {where}"
        for case in ("the row at the edge moves away",)  # what goes and what comes are one row
        for where in ("in a box", "in the page")
    }
