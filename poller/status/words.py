"""Numbers in sentences: with a unit, and a blank that does not break between the two. Pure."""

from __future__ import annotations

from collections.abc import Sequence

BLANK = "\u00a0"
_SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
          "eleven", "twelve")  # fmt: skip
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
TEN_MINUTES_S = 600


def count(number: float) -> str:
    """With commas: ours are counts, and no ids."""
    return f"{round(number):,}"


def some(number: float, singular: str, plural: str = "") -> str:
    """`1 row`, `1,204 rows`."""
    word = singular if round(number) == 1 else plural or f"{singular}s"
    return f"{count(number)}{BLANK}{word}"


def spelt(number: int) -> str:
    """`three`, as a sentence begins."""
    return _SMALL[number] if number < len(_SMALL) else count(number)


def capital(sentence: str) -> str:
    """With its first letter large, the others as they are."""
    return sentence[:1].upper() + sentence[1:]


def seconds(duration: float) -> str:
    """`4 ms`, `0.21 s`, `12 s`, `4 min 12 s`, `38 min`, `2 h 5 min`, `3 days`."""
    if duration < 0.0995:
        return f"{duration * 1000:.{1 if duration < 0.00995 else 0}f}{BLANK}ms"
    if duration < 9.95:
        return f"{duration:.{2 if duration < 0.995 else 1}f}{BLANK}s"
    whole = round(duration)
    if whole < MINUTE_S:
        return f"{whole}{BLANK}s"
    if TEN_MINUTES_S <= whole < HOUR_S:
        return f"{whole // MINUTE_S}{BLANK}min"
    if whole < HOUR_S:
        return _two(whole, MINUTE_S, "min", 1, "s")
    if whole < 2 * DAY_S:
        return _two(whole, HOUR_S, "h", MINUTE_S, "min")
    return f"{whole // DAY_S}{BLANK}days"


def _two(whole: int, large: int, name: str, small: int, small_name: str) -> str:
    rest = whole % large // small
    text = f"{whole // large}{BLANK}{name}"
    return f"{text} {rest}{BLANK}{small_name}" if rest else text


def listed(names: Sequence[str], most: int = 4) -> str:
    """`orders, payments and events`; of many only the first."""
    shown = [*names[:most]]
    if len(names) > most:
        shown.append(f"{count(len(names) - most)} more")
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"
