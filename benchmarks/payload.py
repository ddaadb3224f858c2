"""The row that every contender delivers: a body of 200 bytes that holds the time it was sent.

The time is the machine's monotonic clock, which all processes share. The body ends with a byte that
occurs nowhere else in a stream. A reader counts rows by counting that byte, whatever stands around
it and however the bytes were cut on the way.
"""

from __future__ import annotations

import re
import time

BODY_BYTES = 200
MARKER = b"~"  # the last byte of each body
TIME = re.compile(rb"(\d{20}) ")  # nothing else in a stream has so many digits
NUMBER = re.compile(rb"\d{20} (\d{8}) ")  # of the row


def body(number: int) -> str:
    """The body of row `number`, sent now."""
    head = f"{time.monotonic_ns():020d} {number:08d} "
    return head.ljust(BODY_BYTES - 1, "x") + MARKER.decode()


def data(number: int, text: str) -> str:
    """What a contender without a table sends: the JSON that Rowcast makes of the row."""
    created = "2026-01-01T00:00:00.000Z"
    return f'{{"id":{number},"author":"bench","body":"{text}","created_at":"{created}"}}'
