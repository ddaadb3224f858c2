"""Numbers in sentences."""

import pytest

from poller.status import words


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (0.0004, "0.4 ms"), (0.0021, "2.1 ms"), (0.0995, "0.10 s"), (0.09, "90 ms"),
        (0.21, "0.21 s"),
        (0.9951, "1.0 s"), (2.14, "2.1 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min"),
        (252, "4 min 12 s"), (2280, "38 min"), (7500, "2 h 5 min"), (7200, "2 h"),
        (3 * 86_400, "3 days"),
    ],
)  # fmt: skip
def test_durations(duration: float, text: str) -> None:
    assert words.seconds(duration).replace("\u00a0", " ") == text


def test_counts_and_lists() -> None:
    assert words.some(1, "row") == "1\u00a0row"
    assert words.some(1204, "row") == "1,204\u00a0rows"
    assert words.some(2, "client was", "clients were") == "2\u00a0clients were"
    assert words.listed([]) == ""
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed([*"abcdef"]) == "a, b, c, d and 2 more"
    assert words.capital("orders has Ids") == "Orders has Ids"
