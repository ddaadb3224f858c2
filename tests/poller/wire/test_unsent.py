"""What is left to send of a chunk of frames, at whichever byte it stops."""

import random
from collections.abc import Sequence

import pytest

from poller.wire import chunked, notices, sse
from poller.wire.unsent import unsent
from tests.harness.moving import Decoder

RETRY, WAITING = sse.retry_line(2000), notices.waiting("the table has not been read yet")
START = sse.without_id(notices.start("feed", resumed=False))
LIVE = sse.under_id("abcd.1", notices.LIVE)
RESET = sse.under_id("abcd.1", notices.reset(notices.HISTORY_CHANGED))
ROWS = [sse.under_id(f"abcd.{n}", sse.fields("é" * n, event="delete")) for n in range(1, 5)]

CHUNKS: list[Sequence[bytes]] = [
    ROWS,
    [RETRY, sse.under_id("abcd.0", notices.start("feed", resumed=True)), *ROWS, LIVE],
    [RETRY, WAITING],
    [RETRY, START, RESET, LIVE],
    [START, *ROWS[:1]],
    [sse.HEARTBEAT],
    [LIVE],
]


def coded(body: bytes, owed: int | None) -> tuple[bytes, int]:
    """And what is owed after it."""
    if owed is None:
        return body, 0
    return chunked.filled(owed, body), max(0, owed - len(body))


def decoded(data: bytes, owed: int | None) -> bytes:
    """The body, strictly: an HTTP chunk that had begun has its head before."""
    if owed is None:
        return data
    head = b"%x\r\n" % owed if owed else b""
    decoder = Decoder()
    body = decoder.decode(head + data)
    assert decoder.ended
    return body


@pytest.mark.parametrize("owed", [None, 0, 1, 10, 57, 100, 10_000])
@pytest.mark.parametrize("frames", CHUNKS, ids=range(len(CHUNKS)))
def test_the_client_gets_whole_frames_up_to_the_one_with_the_id(
    frames: Sequence[bytes], owed: int | None
) -> None:
    """Then whatever the other process sends, under the same coding."""
    body, after = b"".join(frames), sse.comment("from the other process")
    data, owed_after = coded(body, owed)
    for sent in range(len(data)):
        left = unsent(data, sent, owed, owed_after)
        more, owed_at_last = coded(after, None if owed is None else left.owed)
        filling = sse.HEARTBEAT * -(-owed_at_last // 2)
        end = b""
        if owed is not None:
            end = (chunked.filled(owed_at_last, filling) if filling else b"") + chunked.LAST_CHUNK
        got = decoded(data[:sent] + left.rest + more + end, owed)
        cut_at = got.index(after)
        begun, behind = got[:cut_at], body[cut_at:]
        assert body.startswith(begun)
        assert begun.endswith(b"\n")
        if left.frame_id is None:
            assert begun == body
            assert (left.left_out, left.leaves_live_out) == (0, False)
        else:
            assert behind
            assert begun.endswith(b"\nid: %s\n\n" % left.frame_id.encode())
            assert left.leaves_live_out == (LIVE in behind)
            assert left.left_out == behind.count(b"\n\n") - left.leaves_live_out


def test_no_more_than_the_current_frame_is_sent() -> None:
    body = b"".join(ROWS)
    data, _ = coded(body, 0)
    head = data.index(b"\r\n") + 2
    for sent in range(head + 1, len(data) - 2):
        left = unsent(data, sent, 0, 0)
        at = sent - head
        begins = [len(b"".join(ROWS[:n])) for n in range(len(ROWS) + 1)]
        ends = min(one for one in begins if one >= at)
        assert left.rest.removesuffix(b"\r\n") == body[at:ends]


def test_any_sequence_of_moves_keeps_the_coding_whole() -> None:
    """Each process stops the next somewhere, many times, and each begins with what was left."""
    chance = random.Random(7)
    for _ in range(200):
        decoder, body, owed, wanted = Decoder(), b"", 0, b""
        for _ in range(chance.randint(1, 6)):
            frames = b"".join(chance.choices(ROWS, k=chance.randint(1, 5)))
            data, owed_after = coded(frames, owed)
            left = unsent(data, sent := chance.randint(0, len(data) - 1), owed, owed_after)
            body += decoder.decode(data[:sent] + left.rest)
            ends = [at + 2 for at in range(len(frames)) if frames[at : at + 2] == b"\n\n"]
            wanted += frames[: ends[len(ends) - 1 - left.left_out]]
            owed = left.owed
        assert body == wanted
