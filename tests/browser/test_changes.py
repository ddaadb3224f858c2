"""<row-cast> over rows that change and go: by key, in the page's order, the reader's place kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.stage import Actor, Stage, delete, frame, live, row, start

pytestmark = pytest.mark.browser

CLEAR = frame("clear", {})
SCRIPT = '<script src="/rowcast.js"></script>'
TEMPLATE = (
    '<template><li><b data-field="name"></b> <i data-field="total"></i>'
    "<button>edit</button></li></template>"
)
HEARD = """<script>
    window.heard = [];
    for (const name of ["row", "delete", "clear", "reset", "state"])
        addEventListener(`rowcast:${name}`, ({ detail: { row, key, known, element, reason } }) =>
            name === "state" || heard.push([name, row?.id ?? key?.id ?? reason ?? null,
                known ?? null, Boolean(element)]));
</script>"""
Open = Callable[..., Actor]


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Open]:
    """opened(html): a page with that, whose stream has been asked for."""
    with ExitStack() as stack:

        def open_it(html: str) -> Actor:
            context = chromium.new_context()
            stack.callback(context.close)
            actor = Stage(context, html).open()
            actor.wait_asked()
            return actor

        yield open_it


def body(attributes: str = "", there: str = "", inside: str = TEMPLATE, more: str = "") -> str:
    element = f'<row-cast src="/stream" target="#list" {attributes}>{inside}</row-cast>'
    return f"<!doctype html>{SCRIPT}{more}<ul id=list>{there}</ul>{element}"


def shows(actor: Actor, *names: str) -> None:
    expect(actor.page.locator("#list b")).to_have_text(list(names))


def test_rows_come_change_and_go(opened: Open) -> None:
    actor = opened(body(more=HEARD))
    actor.push(start("e.0"), row(1, "e.1", name="one"), row(2, "e.2", name="two"), live())
    shows(actor, "two", "one")
    actor.push(row(1, "e.3", name="changed"), delete(2, "e.4"))
    shows(actor, "changed")
    actor.push(delete(7, "e.5"))  # which is not here
    actor.push(row(2, "e.6", name="again"))
    shows(actor, "again", "changed")
    assert actor.page.evaluate("heard") == [
        ["row", 1, False, True],
        ["row", 2, False, True],
        ["row", 1, True, True],
        ["delete", 2, None, True],
        ["delete", 7, None, False],
        ["row", 2, False, True],
    ]


def test_a_row_that_comes_again_as_it_was_before_it_went_is_shown(opened: Open) -> None:
    actor = opened(body())
    actor.push(start(), row(1, name="same"), delete(1), row(1, name="same"))
    shows(actor, "same")


def test_a_listener_may_see_a_row_off_itself(opened: Open) -> None:
    """For example to let it fade. Should the row come again, that is another element."""
    keep = """<script>addEventListener("rowcast:delete", (event) => {
        event.detail.element.className = "going";
        event.preventDefault();
    });</script>"""
    actor = opened(body(more=keep))
    actor.push(start(), row(1, name="one"), delete(1))
    expect(actor.page.locator("#list li.going b")).to_have_text("one")
    actor.push(row(1, name="back"))
    expect(actor.page.locator("#list li:not(.going) b")).to_have_text("back")
    expect(actor.page.locator("#list li.going b")).to_have_text("one")


def test_a_row_that_a_listener_does_not_want_any_more_goes(opened: Open) -> None:
    script = """<script>addEventListener("rowcast:row", (event) => {
        if (event.detail.row.total > 9) event.preventDefault();
    });</script>"""
    actor = opened(body(more=script))
    actor.push(start(), row(1, name="one", total=1), row(2, name="two", total=20))
    shows(actor, "one")
    actor.push(row(1, name="one", total=10), row(2, name="two", total=2))
    shows(actor, "two")


def test_the_server_names_the_key_which_may_be_several_columns(opened: Open) -> None:
    there = '<li data-key="a,1"><b data-field="name">rendered</b></li>'
    actor = opened(body(there=there))
    key = ["room", "number"]

    def seat(room: str, number: int, name: str) -> str:
        return frame("message", {"number": number, "name": name, "room": room})

    actor.push(start(key=key), seat("a", 1, "changed"), seat("a,1", 1, "one"), seat("a", 11, "two"))
    shows(actor, "two", "one", "changed")
    actor.push(frame("delete", {"room": "a,1", "number": 1}))
    shows(actor, "two", "changed")
    actor.push(frame("delete", {"room": "a", "number": 1}))
    shows(actor, "two")


# -- order -------------------------------------------------------------------------------------


def test_rows_are_in_the_order_of_a_column_and_move_when_it_changes(opened: Open) -> None:
    actor = opened(body('order-by="total desc"'))
    actor.push(
        start(),
        *(row(n, name=f"row {n}", total=total) for n, total in enumerate([5, 100, 20, 9])),
    )
    shows(actor, "row 1", "row 2", "row 3", "row 0")
    actor.push(row(0, name="row 0", total=30))
    shows(actor, "row 1", "row 0", "row 2", "row 3")
    actor.push(row(1, name="row 1", total=-4))
    shows(actor, "row 0", "row 2", "row 3", "row 1")


@pytest.mark.parametrize(
    ("values", "in_order"),
    [
        ([10, 9, -1, 0.5], [-1, 0.5, 9, 10]),
        (["10.50", "9.00", "-1.5"], ["-1.5", "9.00", "10.50"]),
        (
            ["9007199254740993", "9007199254740992", "9007199254740994"],
            ["9007199254740992", "9007199254740993", "9007199254740994"],
        ),
        (
            ["2026-11-26T07:00:00.5Z", "2026-11-26T07:00:00Z", "2026-11-26T07:00:00.25Z"],
            ["2026-11-26T07:00:00Z", "2026-11-26T07:00:00.25Z", "2026-11-26T07:00:00.5Z"],
        ),
        (["Zoe", "Ärmel", "adam", "Bob"], ["adam", "Ärmel", "Bob", "Zoe"]),
        ([True, False], [False, True]),
        ([None, 3, None, 1], [1, 3, None, None]),
    ],
    ids=["numbers", "decimals", "bigints", "times", "names", "booleans", "null"],
)
def test_values_are_compared_by_what_they_mean(
    opened: Open, values: list[object], in_order: list[object]
) -> None:
    actor = opened(body('order-by="total"'))
    actor.push(start(), *(row(n, total=value) for n, value in enumerate(values)))
    texts = [
        "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        for value in in_order
    ]
    expect(actor.page.locator("#list i")).to_have_text(texts)


def test_equal_rows_are_in_the_order_of_their_keys_however_they_come(opened: Open) -> None:
    actor = opened(body('order-by="total desc"'))
    actor.push(start(), *(row(n, name=f"{n}", total=1) for n in (9, 11, 10, 2)))
    shows(actor, "11", "10", "9", "2")


def test_several_columns_and_another_order_later(opened: Open) -> None:
    actor = opened(body('order-by="total, name desc"'))
    rows = [(1, "a", 2), (2, "b", 1), (3, "c", 2), (4, "d", 1)]
    actor.push(start(), *(row(n, name=name, total=total) for n, name, total in rows))
    shows(actor, "d", "b", "c", "a")
    actor.page.evaluate("document.querySelector('row-cast').setAttribute('order-by', 'name')")
    shows(actor, "a", "b", "c", "d")


def test_a_function_may_say_the_order(opened: Open) -> None:
    """Set before the script has defined the element, too."""
    script = """<script>addEventListener("DOMContentLoaded", () => {
        const length = ({ name }) => name.length;
        document.querySelector("row-cast").compare = (a, b) => length(a) - length(b);
    }, { once: true, capture: true })</script>"""
    actor = opened(body(more=script))
    actor.push(start(), *(row(n, name="x" * length) for n, length in enumerate([3, 1, 2])))
    shows(actor, "x", "xx", "xxx")
    actor.page.evaluate("""
        const element = document.querySelector("row-cast");
        element.compare = (a, b) => b.name.length - a.name.length;
        element.sort();
    """)
    shows(actor, "xxx", "xx", "x")


def test_rows_that_the_server_rendered_are_part_of_the_order(opened: Open) -> None:
    item = "<li data-key={0} data-total={1}><b data-field=name>row {0}</b><i>€ {1}</i></li>"
    there = "".join(item.format(number, total) for number, total in [(1, 30), (2, 20), (3, 10)])
    actor = opened(body('order-by="total desc"', there=there))
    actor.push(start(), row(4, name="row 4", total=25), row(3, name="row 3", total=40))
    shows(actor, "row 3", "row 1", "row 4", "row 2")


def test_by_the_key_the_server_need_not_render_the_column(opened: Open) -> None:
    item = "<li data-key={0}><b data-field=name>row {0}</b></li>"
    there = "".join(item.format(number) for number in (10, 8, 7))
    actor = opened(body('order-by="id desc"', there=there))
    actor.push(start(), row(9, name="row 9"), row(7, name="changed"))
    shows(actor, "row 10", "row 9", "row 8", "changed")


@pytest.mark.parametrize(
    ("attributes", "names"),
    [('order-by="total desc"', ["c", "b"]), ('order-by="total" append', ["b", "c"])],
)
def test_the_limit_is_at_the_end_where_no_new_rows_are(
    opened: Open, attributes: str, names: list[str]
) -> None:
    actor = opened(body(f'limit="2" {attributes}'))
    actor.push(
        start(), row(1, name="b", total=2), row(2, name="a", total=1), row(3, name="c", total=3)
    )
    shows(actor, *names)


def test_other_things_in_the_list_stay_where_they_are(opened: Open) -> None:
    there = "<li class=head><b>head</b></li><li data-key=1><b data-field=name>one</b></li>"
    actor = opened(body(there=there))
    actor.push(start(), row(2, name="two"))
    shows(actor, "head", "two", "one")
    actor.page.evaluate("document.querySelector('[data-key=\"2\"]').remove()")  # by the page
    actor.push(row(3, name="three"))
    shows(actor, "head", "three", "one")


# -- clear -------------------------------------------------------------------------------------


def test_after_a_clear_what_comes_again_is_the_same_element(opened: Open) -> None:
    actor = opened(body(more=HEARD))
    names = ["three", "two", "one"]
    rows = [row(number, name=name) for number, name in zip((3, 2, 1), names, strict=True)]
    actor.push(start(), CLEAR, *rows, live("w.3"))
    shows(actor, *names)
    actor.page.evaluate("window.kept = document.querySelector('[data-key=\"2\"]')")
    actor.push(CLEAR, row(4, name="four"), row(2, name="new two"))
    shows(actor, "four", "new two")
    assert actor.page.evaluate("kept === document.querySelector('[data-key=\"2\"]')")
    assert ["clear", None, None, False] in actor.page.evaluate("heard")


def test_what_does_not_come_again_goes_when_the_stream_is_live(opened: Open) -> None:
    actor = opened(body())
    actor.push(start(), CLEAR, row(2, name="two"), row(1, name="one"), live("w.2"))
    shows(actor, "two", "one")
    actor.page.evaluate(
        "addEventListener('rowcast:state', ({ detail }) => states.push(detail.name))"
    )
    actor.page.evaluate("window.states = []")
    actor.end()
    actor.wait_asked(2)
    actor.push(start(), CLEAR, live("w.0"))
    shows(actor)


def test_a_window_is_shown_whole_and_in_its_order(opened: Open) -> None:
    """It comes newest first; a page of which each row came first would have it the wrong way."""
    actor = opened(body())
    actor.push(start(), CLEAR, *(row(n, name=f"{n}") for n in range(300, 0, -1)), live("w.300"))
    shows(actor, *(str(n) for n in range(300, 0, -1)))
    actor.push(delete(1), row(301, name="301"))
    shows(actor, *(str(n) for n in range(301, 1, -1)))


def test_a_window_that_is_appended_is_in_its_order_too(opened: Open) -> None:
    actor = opened(body("append"))
    actor.push(start(), CLEAR, *(row(n, name=f"{n}") for n in (3, 2, 1)), live("w.3"))
    shows(actor, "1", "2", "3")
    actor.push(row(4, name="4"))
    shows(actor, "1", "2", "3", "4")


def test_rows_of_before_a_clear_take_no_place_of_the_new(opened: Open) -> None:
    actor = opened(body('limit="3" order-by="id desc"'))
    actor.push(start(), CLEAR, *(row(n, name=f"{n}") for n in (5, 4, 3)), live("w.3"))
    shows(actor, "5", "4", "3")
    actor.push(CLEAR, *(row(n, name=f"{n}") for n in (4, 3, 2)))
    shows(actor, "4", "3", "2")


def test_a_reset_drops_rows_at_once(opened: Open) -> None:
    """Whoever may see less than before must not go on seeing it."""
    actor = opened(body('from="0"', more=HEARD))
    actor.push(start("e.v.0"), row(1, "e.v.1", name="secret"), live())
    shows(actor, "secret")
    actor.push(frame("reset", {"reason": "view-changed"}, "e.w.9"))
    shows(actor)
    assert actor.wait_asked(2)["id"] == "0"
    assert actor.page.evaluate("heard.at(-1)") == ["reset", "view-changed", None, False]
    actor.push(start("e.w.0"), row(2, "e.w.9", name="mine"), live())
    shows(actor, "mine")
