"""Numbers as every reader of JSON reads them: what a double cannot hold is a string."""

from __future__ import annotations

import math

MAX_EXACT_INTEGER = 2**53 - 1  # Number.MAX_SAFE_INTEGER


def exact_integer(value: int) -> int | str:
    """Beyond 2^53 - 1, where a JavaScript number begins to round, its digits."""
    return value if -MAX_EXACT_INTEGER <= value <= MAX_EXACT_INTEGER else str(value)


def exact_float(value: float) -> float | str:
    """JSON has no NaN and no infinities: `"NaN"`, `"Infinity"`, `"-Infinity"`, which JavaScript's
    Number(), Python's float() and PostgreSQL read."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
