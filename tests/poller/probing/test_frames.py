"""The body read as an event stream, cut anywhere."""

from __future__ import annotations

import zlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poller.probing import frames
from poller.probing.frames import Body, body_of
from poller.probing.observed import Arrival

LINES = st.sampled_from(
    [
        b"data: a",
        b"data",
        b"id: 1",
        b"id",
        b"event: x",
        b": hi",
        b"",
        b"",
        b"retry: 5",
        b"?",
        b"\xff",
    ]
)
TEXTS = st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"]))).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


def read(*pieces: bytes) -> Body:
    return body_of([Arrival(float(at_s), piece) for at_s, piece in enumerate(pieces)])


@settings(deadline=None)
@given(TEXTS, st.lists(st.integers(0, 60), max_size=4))
def test_where_it_is_cut_changes_nothing_but_times(text: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(text)]
    cut = read(*(text[a:b] for a, b in pairwise(edges)))
    whole = read(text)
    assert [(one.event, one.data, one.id) for one in cut.frames] == [
        (one.event, one.data, one.id) for one in whole.frames
    ]
    for name in ("comments", "retries", "line_ends", "bom", "invalid", "unknown", "rest"):
        assert getattr(cut, name) == getattr(whole, name), name


def test_a_frame_knows_when_it_began_and_when_it_was_whole() -> None:
    (one, two, three) = read(b"data: 1\n\nda", b"ta: 2\n\n", b"data: 3\n\n").frames
    assert (one.began_s, one.at_s) == (0, 0)
    assert (two.began_s, two.at_s) == (0, 1)
    assert (three.began_s, three.at_s) == (2, 2)


def test_a_heartbeat_or_a_retry_line_begins_no_frame() -> None:
    """They may stand alone for long, with no blank line behind them."""
    (frame,) = read(b"retry: 5\n", b":\n", b"data: 1\n\n").frames
    assert (frame.began_s, frame.at_s) == (2, 2)


def test_what_is_not_ended_is_kept() -> None:
    assert read(b"data: 1\n\nid: 2\nda").rest == b"id: 2\nda"
    assert read(b"data: 1\n\nretry: 5\n").rest == b""


def test_several_lines_of_data_are_one() -> None:
    (frame,) = read(b"data: 1\ndata\ndata:2\n\n").frames
    assert frame.data == "1\n\n2"


def test_pieces_that_come_together_are_one_lump() -> None:
    at = (0.0, 0.01, 0.03, 1.0)
    lumps = body_of([Arrival(at_s, b"data: 1\n\n") for at_s in at]).lumps
    assert [(lump.at_s, len(lump.frames), lump.size) for lump in lumps] == [(0, 3, 27), (1, 1, 9)]


def test_what_is_compressed_is_read_as_far_as_it_was_sent() -> None:
    packer = zlib.compressobj(wbits=31)
    sent = packer.compress(b"data: 1\n\n") + packer.flush(zlib.Z_SYNC_FLUSH)
    kept_back = packer.compress(b"data: 2\n\n")
    body = body_of([Arrival(0, sent), Arrival(1, kept_back)], "gzip")
    assert [frame.data for frame in body.frames] == ["1"]


def test_what_cannot_be_unpacked_is_told() -> None:
    body = body_of([Arrival(0, b"?")], "br")
    assert body.encoded == "br"
    assert not body.frames


def test_a_small_body_is_not_unpacked_to_a_thousand_times_its_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frames, "MOST_BYTES", 1_000)
    packer = zlib.compressobj(wbits=31)
    bomb = packer.compress(b": " + bytes(1_000_000)) + packer.flush(zlib.Z_SYNC_FLUSH)
    body = body_of([Arrival(0, bomb), Arrival(1, bomb)], "gzip")
    assert sum(lump.size for lump in body.lumps) == 1_000


def test_what_only_makes_a_line_longer_is_not_read_from_its_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that never ends a line would keep a look busy for hours."""
    searched: list[int] = []

    class Counted:
        def search(self, data: bytes) -> object:
            searched.append(len(data))
            return plain.search(data)

        def finditer(self, data: bytes) -> object:
            searched.append(len(data))
            return plain.finditer(data)

    plain = frames._LINE_END
    monkeypatch.setattr(frames, "_LINE_END", Counted())
    pieces = 1_000
    body = read(b"data", *[b"x" * 100] * pieces, b"\n\n")
    assert body.unknown == ["data" + "x" * 100 * pieces]
    assert sum(searched) < 3 * 100 * pieces
