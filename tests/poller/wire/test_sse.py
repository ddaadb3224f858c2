"""The wire format, by the examples of WHATWG HTML section 9.2 and by hostile text.

What we write is read back by a reader of the standard's own steps, so that a frame means what was
put in.
"""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.ids.cursor import Cursor
from poller.wire import event_id, sse
from tests.harness.sse import Parser

FIELD_TEXT = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def parse_stream(sent: bytes) -> Parser:
    parser = Parser()
    parser.feed(b":\n" + sent)  # after a line, so that a BOM in the text is not the stream's
    return parser


def test_an_event_is_its_fields_a_line_each_and_a_blank_line() -> None:
    assert sse.frame("hi", event_id="3f2a.7") == b"id: 3f2a.7\ndata: hi\n\n"
    assert sse.frame("hi", event="add") == b"event: add\ndata: hi\n\n"


def test_the_stock_example_has_a_data_line_for_each_line() -> None:
    assert sse.frame("YHOO\n+2\n10") == b"data: YHOO\ndata: +2\ndata: 10\n\n"


def test_an_empty_line_and_a_last_empty_line_are_kept() -> None:
    assert sse.frame("") == b"data: \n\n"
    assert sse.frame("a\n\nb\n") == b"data: a\ndata: \ndata: b\ndata: \n\n"


def test_a_leading_space_survives_since_only_one_after_the_colon_goes() -> None:
    assert parse_stream(sse.frame(" test")).events[0].data == " test"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_each_of_the_three_line_ends_splits(end: str) -> None:
    assert sse.frame(f"a{end}b") == b"data: a\ndata: b\n\n"


@pytest.mark.parametrize(
    "char", ["\v", "\f", "\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\u2028", "\u2029"]
)
def test_no_other_character_splits(char: str) -> None:
    assert sse.frame(f"a{char}b") == f"data: a{char}b\n\n".encode()


@given(TEXT)
def test_any_text_arrives_with_its_line_ends_as_lf(text: str) -> None:
    expected = text.replace("\r\n", "\n").replace("\r", "\n")
    assert parse_stream(sse.frame(text)).events[0].data == expected


@given(FIELD_TEXT.filter(bool), FIELD_TEXT)
def test_any_field_text_arrives_as_it_is(event: str, event_id: str) -> None:
    got = parse_stream(sse.frame("x", event_id=event_id, event=event)).events[0]
    assert (got.type, got.last_event_id) == (event, event_id)


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\0b", "\n", "x\r\ndata: forged"])
def test_a_line_end_or_nul_in_a_field_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="must not contain"):
        sse.frame("x", event_id=bad)
    with pytest.raises(ValueError, match="must not contain"):
        sse.frame("x", event=bad)
    with pytest.raises(ValueError, match="must not contain"):
        sse.id_frame(bad)


def test_an_id_only_frame_dispatches_nothing_and_is_taken() -> None:
    stream = parse_stream(sse.id_frame("3f2a.7"))
    assert stream.events == []
    assert stream.last_event_id == "3f2a.7"


def test_retry_is_ascii_digits_and_not_negative() -> None:
    assert sse.retry_frame(2000) == b"retry: 2000\n\n"
    assert parse_stream(sse.retry_frame(0)).retry == 0
    with pytest.raises(ValueError, match="negative"):
        sse.retry_frame(-1)


def test_a_heartbeat_is_a_comment_without_a_blank_line() -> None:
    assert sse.HEARTBEAT == b":\n"
    assert parse_stream(sse.HEARTBEAT + sse.frame("x")).events[0].data == "x"


def test_a_last_event_id_is_from_now_or_the_beginning_or_a_cursor() -> None:
    assert event_id.parse_last_event_id(None) is None
    assert event_id.parse_last_event_id("") is None
    assert event_id.parse_last_event_id("0") == event_id.Resume(None, Cursor())
    assert event_id.parse_last_event_id("3f2a.120!114,1") == event_id.Resume(
        "3f2a", Cursor.at(120, [(6, 6)])
    )


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
    cursor = Cursor()
    for number in range(1, 3000):
        cursor = cursor.add(number * 1_000_003)
    text = event_id.format_event_id("0123456789abcdef", cursor)
    assert len(text) <= event_id.MAX_CHARS
    assert event_id.parse_last_event_id(text) is not None
