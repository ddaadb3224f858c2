"""Frames read back, and the stream as JSON lines."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.wire import frames, json_lines, notices, row, sse
from poller.wire.frames import COMMENT, RETRY, ROW, Event
from poller.wire.row import Row

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ROWS = st.lists(st.tuples(st.integers(1, 2**62), TEXT), max_size=5)


def frame_of(row_id: int, text: str) -> bytes:
    body, problem = row.body(Row(row_id, {"id": row_id, "text": text}))
    assert problem is None
    return sse.under_id(f"abcd.{row_id}", body)


@given(ROWS)
def test_rows_are_read_back_as_they_were_written(rows: list[tuple[int, str]]) -> None:
    found = [*frames.events(b"".join(frame_of(*one) for one in rows))]
    assert [(event.kind, event.id) for event in found] == [(ROW, f"abcd.{i}") for i, _ in rows]
    assert [json.loads(event.data)["text"] for event in found] == [text for _, text in rows]


def test_everything_that_a_stream_says_is_read_back() -> None:
    unreadable, _ = row.body(Row(3, None, "it is cursed"))
    said = [
        sse.retry_line(2000),
        notices.waiting("the table has not been read yet"),
        sse.without_id(notices.start("orders", resumed=False)),
        sse.under_id("abcd.1", notices.reset("unknown-history")),
        sse.under_id("abcd.1", notices.LIVE),
        frame_of(2, "two"),
        sse.HEARTBEAT,
        sse.under_id("abcd.k3x9f1.2", notices.POSITION),
        sse.under_id("abcd.3", unreadable),
    ]
    expected = [
        Event(RETRY, b"2000", ""),
        Event(COMMENT, b"waiting: the table has not been read yet", ""),
        Event("start", b'{"feed":"orders","resumed":false}', ""),
        Event("reset", b'{"reason":"unknown-history"}', "abcd.1"),
        Event("live", b"{}", "abcd.1"),
        Event(ROW, b'{"id":2,"text":"two"}', "abcd.2"),
        Event(COMMENT, b"", ""),
        Event("position", b"{}", "abcd.k3x9f1.2"),
        Event("unreadable", b'{"id":3,"reason":"it is cursed"}', "abcd.3"),
    ]
    assert [*frames.events(b"".join(said))] == expected
    assert json_lines.from_frames(b"".join(said)).decode().split("\n") == [
        '{"retry":2000}',
        "",
        '{"start":{"feed":"orders","resumed":false}}',
        '{"reset":"unknown-history","next":"abcd.1"}',
        '{"live":true,"next":"abcd.1"}',
        '{"row":{"id":2,"text":"two"},"next":"abcd.2"}',
        "",
        '{"position":true,"next":"abcd.k3x9f1.2"}',
        '{"unreadable":{"id":3,"reason":"it is cursed"},"next":"abcd.3"}',
        "",
    ]


@given(ROWS)
def test_a_line_is_one_json_object_in_one_line(rows: list[tuple[int, str]]) -> None:
    lines = json_lines.from_frames(b"".join(frame_of(*one) for one in rows)).decode()
    # Some readers split as Python does, also at U+2028 and the like.
    found = [json.loads(line) for line in lines.splitlines()]
    assert [one["row"]["text"] for one in found] == [text for _, text in rows]


@pytest.mark.parametrize("reason", ["history-changed", "ids-restarted"])
def test_the_reason_of_a_reset_is_read_back(reason: str) -> None:
    (event,) = frames.events(sse.without_id(notices.reset(reason)))
    assert notices.reason_of(event.data) == reason
