"""Tabs that share a stream of rows that change: each comes to the same rows, whenever it came.

Each tab keeps a map of key → row. What a tab is to have is said by the id that it has come to.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.stage import Actor, Stage, delete, frame, live, row, start

pytestmark = pytest.mark.browser

START = """(from) => {
    window.map = new Map();
    window.source = rowcast("/stream", {
        from,
        onRow: (row) => map.set(row.id, row.name),
        onDelete: ({ id }) => map.delete(id),
        onClear: () => map.clear(),
        onReset: () => map.clear(),
    });
}"""


@pytest.fixture
def stage(chromium: Browser) -> Iterator[Stage]:
    context = chromium.new_context()
    yield Stage(context, '<!doctype html><script src="/rowcast.js"></script>')
    context.close()


def begin(stage: Stage, begin_at: str | None = None) -> Actor:
    actor = stage.open()
    actor.page.evaluate(START, begin_at)
    return actor


def wait_for_id(actor: Actor, id: str) -> dict[int, str]:  # noqa: A002
    """What it has then."""
    actor.page.wait_for_function("id => source.lastEventId === id", arg=id)
    rows: list[tuple[int, str]] = actor.page.evaluate("[...map]")
    return dict(sorted(rows))


def clear(id: str) -> str:  # noqa: A002
    return frame("clear", {}, id)


def is_open(actor: Actor) -> bool:
    return bool(actor.page.evaluate("streams.some(({ over }) => !over)"))


@pytest.fixture
def leader(stage: Stage) -> Actor:
    """A tab with a window of two rows."""
    actor = begin(stage)
    window = row(2, "w.1.b", name="two"), row(1, "w.2.ab", name="one")
    actor.push(start(), clear("w.0.0"), *window, live("w.2.ab"))
    assert wait_for_id(actor, "w.2.ab") == {1: "one", 2: "two"}
    return actor


def test_tabs_get_changes_and_deletes(stage: Stage) -> None:
    tabs = [begin(stage, "e.1") for _ in range(3)]
    leader = tabs[0]
    leader.push(start("e.1"), row(2, "e.2", name="two"), row(3, "e.3", name="three"), live("e.3"))
    leader.push(row(2, "e.4", name="changed"), delete(3, "e.5"), delete(9, "e.6"))
    for tab in tabs:
        assert wait_for_id(tab, "e.6") == {2: "changed"}
        assert tab.page.evaluate("source.key") == ["id"]
    assert sum(tab.asked for tab in tabs) == 1


def test_a_tab_that_comes_late_gets_a_window_whole(stage: Stage, leader: Actor) -> None:
    """From the server: where it has no id, there is no point from which to go on."""
    late = begin(stage)
    assert late.wait_asked()["id"] is None
    late.push(start(), clear("w.0.0"), row(2, "w.1.b", name="two"))
    assert wait_for_id(late, "w.1.b") == {2: "two"}
    leader.push(row(3, "w.3.abc", name="three"), delete(1, "w.2.bc"))
    assert wait_for_id(leader, "w.2.bc") == {2: "two", 3: "three"}
    assert wait_for_id(late, "w.1.b") == {2: "two"}  # not yet in step
    late.push(row(1, "w.2.ab", name="one"))
    assert wait_for_id(late, "w.2.bc") == {2: "two", 3: "three"}
    late.page.wait_for_function("streams[0].over")  # the leader's is enough
    leader.push(row(2, "w.2.BC", name="changed"))
    assert wait_for_id(late, "w.2.BC") == {2: "changed", 3: "three"}


def test_a_tab_does_not_begin_at_a_token_before_it_is_known_what_that_means(stage: Stage) -> None:
    leader = begin(stage, "w.2.ab")
    leader.wait_asked()
    late = begin(stage)
    assert late.wait_asked()["id"] is None
    late.push(start(), clear("w.0.0"), row(2, "w.1.b", name="two"), row(1, "w.2.ab", name="one"))
    assert wait_for_id(late, "w.2.ab") == {1: "one", 2: "two"}
    leader.push(start("w.2.ab"), row(2, "w.2.aB", name="changed"), live("w.2.aB"))
    for tab, rows in ((leader, {2: "changed"}), (late, {1: "one", 2: "changed"})):
        assert wait_for_id(tab, "w.2.aB") == rows
    late.page.wait_for_function("streams[0].over")


def test_tabs_that_come_before_the_first_answer_share_it(stage: Stage) -> None:
    tabs = [begin(stage) for _ in range(3)]
    leader = tabs[0]
    leader.push(start(), clear("w.0.0"), row(1, "w.1.a", name="one"), live("w.1.a"))
    for tab in tabs:
        assert wait_for_id(tab, "w.1.a") == {1: "one"}
    assert sum(tab.asked for tab in tabs) == 1


def test_a_tab_with_the_token_of_its_page_goes_on_there(stage: Stage, leader: Actor) -> None:
    leader.push(row(1, "w.2.Ab", name="changed"))
    assert wait_for_id(leader, "w.2.Ab") == {1: "changed", 2: "two"}
    late = begin(stage, "w.2.ab")
    assert wait_for_id(late, "w.2.Ab") == {1: "changed"}  # what its page did not show
    assert late.asked == 0


def test_a_state_that_comes_back_is_the_same_state(stage: Stage, leader: Actor) -> None:
    """The id of a window says what one has, not when: an update that is undone has the old one."""
    leader.push(row(1, "w.2.Ab", name="changed"))
    leader.push(row(1, "w.2.ab", name="one"))
    leader.push(row(3, "w.3.abc", name="three"))
    assert wait_for_id(leader, "w.3.abc") == {1: "one", 2: "two", 3: "three"}
    late = begin(stage, "w.2.ab")
    assert wait_for_id(late, "w.3.abc") == {1: "one", 3: "three"}


def test_a_clear_reaches_all_tabs(stage: Stage, leader: Actor) -> None:
    late = begin(stage, "w.2.ab")
    late.page.wait_for_function("source.state.name === 'live'")
    leader.push(clear("w.0.0"), row(7, "w.1.g", name="seven"))
    for tab in (leader, late):
        assert wait_for_id(tab, "w.1.g") == {7: "seven"}
    assert late.asked == 0


def test_the_leader_ends_and_the_next_goes_on_with_what_it_has(stage: Stage, leader: Actor) -> None:
    late = begin(stage, "w.2.ab")
    leader.push(delete(2, "w.1.a"))
    assert wait_for_id(late, "w.1.a") == {}
    leader.page.close()
    assert late.wait_asked()["id"] == "w.1.a"
    late.push(start("w.1.a"), row(3, "w.2.ac", name="three"), live("w.2.ac"))
    assert wait_for_id(late, "w.2.ac") == {3: "three"}
    third = begin(stage)  # which is told by this leader that rows may change
    assert third.wait_asked()["id"] is None


def test_a_delete_makes_way_for_the_same_row_again(stage: Stage, leader: Actor) -> None:
    leader.push(delete(1, "w.1.b"), row(1, "w.2.ab", name="one"), row(3, "w.3.abc", name="three"))
    assert wait_for_id(leader, "w.3.abc") == {1: "one", 2: "two", 3: "three"}
