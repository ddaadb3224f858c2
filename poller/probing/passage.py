"""How the bytes pass: when they come, and whether they are held back or compressed on the way.

A buffer shows in five ways: nothing comes at all; heartbeats come in pairs; a frame stops in the
middle and its rest comes later, where a buffer was full; rows come in lumps, although the times in
them lie apart; the first byte is late. A small piece that comes alone while the stream is open
shows that nothing waits for a buffer to be full.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from poller.probing.finding import Finding, Seen, counted, seconds
from poller.probing.frames import Frame, Lump
from poller.probing.rowtimes import lumps_of_old_rows

PROMPT_S = 2.0  # a first byte that is later is noticed by whoever waits for it
TORN_S = 0.5  # a network takes less between the halves of a frame
SMALL_BYTES = 1024  # no buffer is so small
PAIR = 2
SEND_AT_ONCE = "tell the proxy not to buffer the stream (X-Accel-Buffering: no tells nginx)"


def first_byte(seen: Seen) -> Finding:
    """How long until something is there to read. A head at once, and nothing behind it, may just be
    a server that has nothing to say."""
    first = seen.observed.first
    at_s = first.arrivals[0].at_s if first.arrivals else None
    evidence = f"connected after {seconds(first.connected_s)}, head after {seconds(first.head_s)}"
    if at_s is not None and at_s <= PROMPT_S:
        return Finding("first byte", "ok", f"The first byte came after {seconds(at_s)}.", evidence)
    if first.head_s > PROMPT_S:
        sentence = f"The head of the answer came after {seconds(first.head_s)} only."
        cure = "let the server send a comment line at once, and " + SEND_AT_ONCE
        return Finding("first byte", "attention", sentence, evidence, cure, "buffering")
    when = "did not come" if at_s is None else f"came {seconds(at_s - first.head_s)} later"
    sentence = f"The head came after {seconds(first.head_s)}, the first byte {when}."
    cure = "look while rows come; a comment line at once would show that nothing holds it back"
    return Finding("first byte", "unknown", sentence, evidence, cure)


def buffering(seen: Seen) -> Finding:
    """The strongest sign counts."""
    for sign in SIGNS:
        if evidence := sign(seen):
            sentence = "Something on the way holds the stream back: rows come in lumps."
            return Finding(
                "buffering", "attention", sentence, evidence, SEND_AT_ONCE, problem="buffering"
            )
    if seen.observed.first.end == "open" and (alone := _small_pieces(seen.body.lumps)):
        sentence = "Nothing holds the stream back: a few bytes pass at once."
        smallest = min(lump.size for lump in alone)
        told = "came" if len(alone) == 1 else "came, each alone, the smallest"
        evidence = f"{counted(len(alone), 'small piece')} {told} of {smallest} bytes"
        return Finding("buffering", "ok", sentence, evidence)
    sentence = "Whether something holds the stream back could not be seen: too little came."
    return Finding("buffering", "unknown", sentence, next="look while rows come, or longer")


def compression(seen: Seen) -> Finding:
    """Compressed is not wrong; a compressor that waits for more is."""
    encoding = seen.observed.encoding or seen.observed.first.header("Content-Encoding")
    if encoding in ("", "identity"):
        return Finding(
            "compression", "ok", "It is not compressed, though gzip and br were offered."
        )
    if seen.observed.first.header("Content-Encoding") != encoding:
        sentence = f"It is compressed for browsers ({encoding}), which cannot be read here."
        cure = "make sure that each row is sent on at once, or switch it off for the stream"
        return Finding("compression", "attention", sentence, next=cure, problem="compression")
    if seen.body.line_ends and not any(sign(seen) for sign in SIGNS):
        sentence = f"It is compressed ({encoding}), and each piece can be read when it comes."
        cure = "leave it if it saves you bytes; a compressor takes memory for each stream"
        return Finding("compression", "ok", sentence, next=cure)
    sentence = f"It is compressed ({encoding}): a compressor holds rows back until it has enough."
    cure = "switch compression off for the stream, or send Cache-Control: no-transform"
    return Finding("compression", "attention", sentence, next=cure, problem="compression")


# -- signs of a buffer, each of which says what was seen, or nothing ------------------------------


def _torn(seen: Seen) -> str:
    """A frame in two halves."""
    torn = [frame for frame in seen.body.frames if frame.at_s - frame.began_s > TORN_S]
    if not torn:
        return ""
    longest = max(torn, key=_took_s)
    size = _size_until(seen.body.lumps, longest.began_s)
    return (
        f"{counted(len(torn), 'frame')} came in two parts, {seconds(_took_s(longest))} apart, "
        f"after {size:,} bytes"
    )


def _paired(seen: Seen) -> str:
    """Several heartbeats at once: they are sent apart."""
    for lump in seen.body.lumps:
        said, times = Counter(_kinds(lump.comments)).most_common(1)[0] if lump.comments else ("", 0)
        if times >= PAIR and lump.at_s > PROMPT_S:
            shown = f" ({said})" if said else ""
            return f"{times} heartbeats{shown} came together, after {seconds(lump.at_s)}"
    return ""


def _old_rows(seen: Seen) -> str:
    """Rows that waited for each other: twice, for one transaction may bring several at once."""
    lumps = lumps_of_old_rows(seen.body.lumps, seen.observed.first.header("Date"))
    if len(lumps) < PAIR:
        return ""
    longest = max(lumps, key=lambda one: one.spread_s)
    return (
        f"{counted(len(lumps), 'lump')} of rows; by {longest.name} those of one were made "
        f"over {seconds(longest.spread_s)}"
    )


def _never(seen: Seen) -> str:
    """Of ours is known that it says something at once."""
    first = seen.observed.first
    late_s = first.arrivals[0].at_s if first.arrivals else first.end_s
    if not seen.is_ours or late_s <= PROMPT_S:
        return ""
    return f"Rowcast sends its first event at once, and it came after {seconds(late_s)}"


SIGNS: Sequence[Callable[[Seen], str]] = (_torn, _paired, _old_rows, _never)


def _small_pieces(lumps: Sequence[Lump]) -> list[Lump]:
    return [lump for lump in lumps if lump.size <= SMALL_BYTES]


def _kinds(comments: Sequence[str]) -> list[str]:
    """Comments without their times: `ping - 2026-11-26 …` is one of many."""
    return [comment.partition(" ")[0] for comment in comments]


def _took_s(frame: Frame) -> float:
    return frame.at_s - frame.began_s


def _size_until(lumps: Sequence[Lump], at_s: float) -> int:
    return sum(lump.size for lump in lumps if lump.at_s <= at_s)
