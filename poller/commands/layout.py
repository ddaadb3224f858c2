"""Text in columns, for a terminal: what is wide, what has to be escaped, what is folded."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence

GAP = "  "  # between columns
NARROWEST = 8  # characters that are left of a column, however narrow the terminal
# What commands a terminal, turns its text round or ends a line.
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def safe(text: str) -> str:
    """On one line, and without what a terminal would obey."""
    return CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def width(text: str) -> int:
    """Of safe text, in a terminal's columns."""
    if text.isascii():
        return len(text)
    return sum(map(_width, text))


def padded(text: str, columns: int, *, right: bool = False) -> str:
    """Filled with blanks, or folded with an ellipsis."""
    text = _folded(text, columns)
    blanks = " " * (columns - width(text))
    return blanks + text if right else text + blanks


def fitted(widths: Sequence[int], columns: int) -> list[int]:
    """The same widths, or the widest of them cut down so that all fit into so many columns."""
    fit = [*widths]
    room = columns - len(GAP) * (len(fit) - 1)
    while sum(fit) > room and max(fit) > NARROWEST:
        widest = fit.index(max(fit))
        second = max([one for one in fit if one < fit[widest]], default=0)
        fit[widest] = max(NARROWEST, second, fit[widest] - (sum(fit) - room))
    return fit


def coloured() -> bool | None:
    """Whether colours are wanted; None: if it is a terminal. See https://no-color.org."""
    return False if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" else None


def _folded(text: str, columns: int) -> str:
    if width(text) <= columns:
        return text
    kept, taken = "", 0
    for char in text:
        taken += _width(char)
        if taken > columns - 1:
            break
        kept += char
    return f"{kept}…"


def _width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
