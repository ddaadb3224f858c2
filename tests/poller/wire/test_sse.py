"""The wire format, by the examples of WHATWG HTML section 9.2 and by hostile text.

What we write is read back by a reader of the standard's own steps, so that a frame means what was
put in.
"""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.ids.cursor import Cursor
from poller.ids.named import Named
from poller.wire import event_id, sse
from tests.harness.sse import Event, Parser

FIELD_TEXT = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def parse_stream(sent: bytes) -> Parser:
    parser = Parser()
    parser.feed(b":\n" + sent)  # after a line, so that a BOM in the text is not the stream's
    return parser


def dispatched(lines: bytes) -> Event:
    """The one event that a reader of the standard makes of them."""
    (event,) = parse_stream(sse.without_id(lines)).events
    return event


def test_an_event_is_a_line_for_each_field_its_id_last_and_a_blank_line() -> None:
    lines = sse.fields("hi", event="add")
    assert lines == b"event: add\ndata: hi\n"
    assert sse.under_id("3f2a.7", lines) == b"event: add\ndata: hi\nid: 3f2a.7\n\n"
    assert sse.without_id(lines) == b"event: add\ndata: hi\n\n"


def test_the_stock_example_has_a_data_line_for_each_line() -> None:
    assert sse.fields("YHOO\n+2\n10") == b"data: YHOO\ndata: +2\ndata: 10\n"


def test_an_empty_line_and_a_last_empty_line_are_kept() -> None:
    assert sse.fields("") == b"data: \n"
    assert sse.fields("a\n\nb\n") == b"data: a\ndata: \ndata: b\ndata: \n"


def test_a_leading_space_survives_since_only_one_after_the_colon_goes() -> None:
    assert dispatched(sse.fields(" test")).data == " test"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_each_of_the_three_line_ends_splits(end: str) -> None:
    assert sse.fields(f"a{end}b") == b"data: a\ndata: b\n"


@pytest.mark.parametrize(
    "char", ["\v", "\f", "\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\u2028", "\u2029"]
)
def test_no_other_character_splits(char: str) -> None:
    assert sse.fields(f"a{char}b") == f"data: a{char}b\n".encode()


@given(TEXT)
def test_any_text_arrives_with_its_line_ends_as_lf(text: str) -> None:
    expected = text.replace("\r\n", "\n").replace("\r", "\n")
    assert dispatched(sse.fields(text)).data == expected


@given(FIELD_TEXT.filter(bool), FIELD_TEXT)
def test_any_field_text_arrives_as_it_is(event: str, event_id: str) -> None:
    got = parse_stream(sse.under_id(event_id, sse.fields("x", event=event))).events[0]
    assert (got.type, got.last_event_id) == (event, event_id)


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\0b", "\n", "x\r\ndata: forged"])
def test_a_line_end_or_nul_in_a_field_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="must not contain"):
        sse.fields("x", event=bad)
    with pytest.raises(ValueError, match="must not contain"):
        sse.under_id(bad, b"data: x\n")


def test_a_frame_cut_anywhere_gives_no_client_its_id_before_its_data() -> None:
    """Some clients take an id when its line arrives, and hand out what they have at the end."""
    whole = sse.under_id("3f2a.7", sse.fields("hi", event="add"))
    for end in range(len(whole)):
        assert b"id: 3f2a.7\n" not in whole[:end] or b"data: hi\n" in whole[:end]


def test_retry_is_ascii_digits_not_negative_and_dispatches_nothing() -> None:
    assert sse.retry_line(2000) == b"retry: 2000\n"
    assert parse_stream(sse.retry_line(0)).retry == 0
    with pytest.raises(ValueError, match="negative"):
        sse.retry_line(-1)


@pytest.mark.parametrize("sent", [sse.HEARTBEAT, sse.comment("waiting"), sse.retry_line(1)])
def test_what_is_no_event_has_no_blank_line(sent: bytes) -> None:
    """At which some clients dispatch an empty message."""
    assert sent.count(b"\n") == 1
    assert parse_stream(sent + sse.without_id(sse.fields("x"))).events[0].data == "x"


@pytest.mark.parametrize("text", ["a\ndata: forged", "a\r\nid: 9", "a\rb"])
def test_a_comment_is_one_line_whatever_is_in_it(text: str) -> None:
    stream = parse_stream(sse.comment(text) + b"\n")
    assert (stream.events, stream.last_event_id, stream.comments) == ([], "", 2)


def test_a_last_event_id_is_from_now_or_the_beginning_or_a_cursor() -> None:
    assert event_id.parse_last_event_id(None) is None
    assert event_id.parse_last_event_id("") is None
    assert event_id.parse_last_event_id("0") == event_id.Resume(None, Cursor())
    cursor = Cursor.at(120, [(6, 6)])
    for view, said in (("", ""), ("k3x9f1", "k3x9f1."), ("123456", "123456.")):
        resume = event_id.parse_last_event_id(f"3f2a.{said}120!114,1")
        assert resume == event_id.Resume("3f2a", cursor, view=view)
        assert event_id.prefix("3f2a", view) == f"3f2a.{said}".rstrip(".")


@pytest.mark.parametrize(
    "text",
    [
        "reload",
        "1",
        "00",
        "3f2a",
        "3f2a.",
        ".5",
        "3F2A.5",
        "3f2a.5.6",
        "3f2a.٣",
        " 0",
        "0 ",
        "3f2a.-1",
        "3f2a.5\n",
        "3f2a.5\0",
        "\xc3\xa9.5",
        "a" * 17 + ".5",
        "3f2a." + "9" * 4301,
        "3f2a.5" + " " * 5000,
    ],
)
def test_anything_else_raises_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        event_id.parse_last_event_id(text)


@given(st.text(alphabet=st.characters(max_codepoint=255)))
def test_a_hostile_header_never_does_more_than_raise_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        event_id.parse_last_event_id(text)


def test_the_longest_token_fits_into_a_header_that_is_taken() -> None:
    rows = [(number * 1_000_003,) * 2 for number in range(1, 3000)]
    text = event_id.format_event_id("0123456789abcdef", Named.of(Cursor().retire(rows)))
    assert len(text) <= event_id.MAX_CHARS
    assert event_id.parse_last_event_id(text) is not None
