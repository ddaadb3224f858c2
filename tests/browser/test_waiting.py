"""How long a page waits until it connects again: short in view, and not at all after a click.

The pages' clock stands still: their time passes by `run_for()` alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import set_hidden, until
from tests.browser.stage import Actor, Stage

pytestmark = pytest.mark.browser

LATER = "retry: 60000\n\n"  # of a full server
START = """() => {
    window.source = rowcast("/stream", { from: "e.1", silenceMs: 600_000 });
}"""
LEFT_MS = "source.state.until - Date.now()"
FAILURES = 8


@pytest.fixture
def stage(chromium: Browser) -> Iterator[Stage]:
    context = chromium.new_context()
    yield Stage(context, '<!doctype html><script src="/rowcast.js"></script>')
    context.close()


def begin(stage: Stage, *, hidden: bool = False) -> Actor:
    actor = stage.open()
    actor.page.clock.install(time=0)
    actor.page.clock.pause_at(1_000)
    set_hidden(actor.page, hidden)
    return actor


def waits(page: Page) -> None:
    page.wait_for_function("source.state.until !== undefined")


def fail(actor: Actor, times: int) -> list[float]:
    """The first attempts find no server; how long it waited after each."""
    waited = []
    for _ in range(times):
        actor.answer_next(503)
    actor.page.evaluate(START)
    for attempt in range(times):
        waits(actor.page)
        waited.append(float(actor.page.evaluate(LEFT_MS)))
        if attempt < times - 1:
            asked = actor.asked
            actor.page.clock.run_for(int(waited[-1]) + 1)
            until(actor.page, lambda: actor.asked > asked, "it tries again")  # noqa: B023 - at once
    return waited


def test_a_page_in_view_waits_for_five_seconds_at_most(stage: Stage) -> None:
    waited = fail(begin(stage), FAILURES)
    assert max(waited) <= 5_000
    assert min(waited[3:]) >= 2_500


def test_a_page_out_of_view_leaves_the_server_more_time(stage: Stage) -> None:
    waited = fail(begin(stage, hidden=True), FAILURES)
    assert max(waited) <= 30_000
    assert min(waited[5:]) >= 15_000


def test_a_click_does_not_wait_also_for_a_full_server(stage: Stage) -> None:
    actor = begin(stage)
    actor.page.evaluate(START)
    actor.push(LATER)
    actor.end()
    waits(actor.page)
    actor.page.evaluate("source.retryNow()")
    actor.wait_asked(2)
    actor.page.evaluate("source.retryNow()")  # it does not wait
    assert actor.asked == 2


@pytest.mark.parametrize("full", [False, True])
def test_a_tab_in_view_hurries_one_that_is_not_but_no_full_server(stage: Stage, full: bool) -> None:
    """Whichever tab has the connection."""
    leader = begin(stage, hidden=True)
    if full:
        leader.page.evaluate(START)
        leader.push(LATER)
        leader.end()
        waits(leader.page)
    else:
        fail(leader, FAILURES)
    seen = stage.open()
    seen.page.evaluate(START)
    waits(seen.page)
    asked = leader.asked
    leader.page.clock.run_for(5_000)
    seen.page.clock.run_for(5_000)
    if full:
        leader.page.evaluate("new Promise((done) => navigator.locks.query().then(done))")
        assert leader.page.evaluate("source.state.name") == "waiting"
        assert (leader.asked, seen.asked) == (asked, 0)
    else:
        until(leader.page, lambda: leader.asked > asked, "it tries again")
        assert seen.asked == 0
