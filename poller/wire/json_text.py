"""JSON that a database holds, embedded in a row's JSON as it is: no parser between.

A parser would round numbers, drop duplicated keys and stop at deep nesting. So the text goes out as
it is, but for what a reader of the row would stumble over:

- a number that a double cannot hold becomes a string of its digits, as a column's integers do;
- text that many readers refuse (nested too deeply, or with half a surrogate pair) goes out whole,
  as a string.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal

from poller.wire.numbers import MAX_EXACT_INTEGER

# .NET's reader stops at 64 levels unless told otherwise; the row is one of them.
MAX_DEPTH = 60
MAX_EXACT_DIGITS = len(str(MAX_EXACT_INTEGER))

_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_STRINGS = re.compile(_STRING, re.DOTALL)
_STRINGS_AND_NUMBERS = re.compile(rf"{_STRING}|-?[0-9][0-9.]*(?:[eE][+-]?[0-9]+)?", re.DOTALL)
_STRINGS_AND_BRACKETS = re.compile(rf"{_STRING}|[\[\]{{}}]", re.DOTALL)
# If none of these is found, which is nearly always, nothing has to be looked at more closely.
_LONG_NUMBER = re.compile(r"[0-9.]{16}|[0-9][eE]")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_LINE_ENDS = str.maketrans("\r\n", "  ")


class JsonText(str):
    """A value of a JSON column, as text."""

    __slots__ = ()


def embeddable(text: str) -> str | None:
    """The same JSON as one line that any reader reads as it is, None if there is none."""
    if _is_deep(text) or _has_half_a_pair(text):
        return None
    if _LONG_NUMBER.search(text):
        text = _STRINGS_AND_NUMBERS.sub(_exact, text)
    return text.translate(_LINE_ENDS)  # they are between tokens: a string has them escaped


def _exact(token: re.Match[str]) -> str:
    text = token[0]
    return text if text.startswith('"') or _is_exact(text) else f'"{text}"'


def _is_exact(number: str) -> bool:
    """Whether a reader that knows only doubles reads just this number."""
    if number.lstrip("-").isdecimal():
        digits = number.lstrip("-")
        return len(digits) <= MAX_EXACT_DIGITS and int(digits) <= MAX_EXACT_INTEGER
    read = float(number)
    if read in (float("inf"), float("-inf")):
        return False
    if read == 0:
        return not re.split("[eE]", number)[0].strip("-0.")
    return Decimal(number) == Decimal(repr(read))


def _is_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _STRINGS_AND_BRACKETS.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif token[0] in "]}":
            depth -= 1
    return False


def _has_half_a_pair(text: str) -> bool:
    """Whether a string in it escapes half a surrogate pair, which is no character."""
    return bool(_SURROGATE.search(text)) and not all(
        _is_text(token[0]) for token in _STRINGS.finditer(text)
    )


def _is_text(string: str) -> bool:
    try:
        json.loads(string).encode()
    except UnicodeEncodeError:
        return False
    return True
