"""The stream as text: what clients read differently, or not at all."""

from __future__ import annotations

from poller.probing.finding import Finding, Seen

NAMES = {b"\n": "LF", b"\r\n": "CRLF", b"\r": "CR"}


def text(seen: Seen) -> Finding:
    """UTF-8, ends of lines, names of fields."""
    body = seen.body
    ends = ", ".join(sorted(NAMES[one] for one in body.line_ends))
    if body.invalid:
        sentence = (
            f"There are bytes that are no UTF-8 (0x{body.invalid.hex()}): they are shown as �."
        )
        return _bad(sentence, "encode the stream as UTF-8")
    if body.bom:
        sentence = "It begins with a byte order mark, which many clients take for text."
        return _bad(sentence, "send no byte order mark")
    if body.unknown:
        named = ", ".join(sorted({ascii(name)[1:-1][:30] for name in body.unknown})[:3])
        sentence = (
            f"There are lines that no client knows ({named}): a text with a line break in it?"
        )
        return _bad(sentence, "begin each line of a text with data:")
    if len(body.line_ends) > 1:
        return _bad(f"Lines end in {ends}, mixed.", "end each line with LF")
    if body.line_ends == {b"\r"}:
        return _bad("Lines end in CR, which some clients wait behind.", "end each line with LF")
    if not body.line_ends:
        return Finding("text", "unknown", "No line came.")
    return Finding("text", "ok", f"It is UTF-8, and its lines end in {ends}.")


def _bad(sentence: str, cure: str) -> Finding:
    return Finding("text", "attention", sentence, next=cure)
