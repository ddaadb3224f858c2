"""rowcast.js reads the format as the WHATWG's HTML standard, section 9.2.6, has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import Wall

pytestmark = pytest.mark.browser

RUN = """async ([bytes, size]) => {
    const { rowcast: { EventParser } } = await import("/rowcast.mjs");
    const events = [], retries = [];
    const parser = new EventParser({
        onEvent: (event) => events.push([event.type, event.data, parser.lastEventId]),
        onRetry: (ms) => retries.push(ms),
    });
    const decoder = new TextDecoder();
    for (let at = 0; at < bytes.length; at += size)
        parser.push(decoder.decode(new Uint8Array(bytes.slice(at, at + size)), { stream: true }));
    return { events, retries, id: parser.lastEventId };
}"""


@pytest.fixture(scope="module")
def any_page(chromium: Browser, wall: Wall) -> Iterator[Page]:
    """One for all tests here: the parser keeps nothing between them."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(wall.blank)
    yield page
    context.close()


def parse(page: Page, raw: bytes) -> Any:
    """What comes out, checked to be the same however the bytes are cut."""
    results = [page.evaluate(RUN, [list(raw), size]) for size in (1, 2, 3, 1000)]
    assert all(result == results[0] for result in results)
    return results[0]


@pytest.mark.parametrize(
    ("raw", "events"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [["message", "YHOO\n+2\n10", ""]]),
        (
            b": test stream\n\ndata: 1st event\nid: 1\n\ndata:2nd\nid\n\ndata:  3rd event\n\n",
            [
                ["message", "1st event", "1"],
                ["message", "2nd", ""],
                ["message", " 3rd event", ""],
            ],
        ),
        (b"data\n\ndata\ndata\n\ndata:", [["message", "", ""], ["message", "\n", ""]]),
        (b"data:test\n\ndata: test\n\n", [["message", "test", ""]] * 2),
        (b"event: add\ndata: 73857293\n\n", [["add", "73857293", ""]]),
        (b"\xef\xbb\xbfdata: bom\n\n", [["message", "bom", ""]]),
        (b"data: a\r\ndata: b\r\n\r\n", [["message", "a\nb", ""]]),
        (b"data: a\rdata: b\r\r", [["message", "a\nb", ""]]),
        (b"data: a\r\n\ndata: b\n\r\n", [["message", "a", ""], ["message", "b", ""]]),
        ("data: ü☕👍\u2028\x0b\x85\n\n".encode(), [["message", "ü☕👍\u2028\x0b\x85", ""]]),
        (b"event: only\n\ndata: x\n\n", [["message", "x", ""]]),
        (b"Data: x\nfoo: bar\ndata: y\n\n", [["message", "y", ""]]),
        (b"id: 5\n\ndata: x\n\n", [["message", "x", "5"]]),
        (b"id: 5\n\nid: a\0b\ndata: x\n\n", [["message", "x", "5"]]),
        (b"data: unfinished\nid: 9", []),
    ],
)
def test_events_come_out_as_the_standard_says(
    any_page: Page, raw: bytes, events: list[list[str]]
) -> None:
    assert parse(any_page, raw)["events"] == events


def test_an_id_counts_only_when_its_block_is_finished(any_page: Page) -> None:
    assert parse(any_page, b"id: 1\n\nid: 2\n")["id"] == "1"


def test_only_digits_are_a_retry_time(any_page: Page) -> None:
    assert parse(any_page, b"retry: 2000\nretry: 1.5\nretry: -3\nretry:\nretry: 7\n\n")[
        "retries"
    ] == [
        2000,
        7,
    ]
