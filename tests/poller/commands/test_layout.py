"""Text in columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.commands.layout import GAP, NARROWEST, fitted, padded, safe, width


@pytest.mark.parametrize(
    ("text", "columns"),
    [("ab", 2), ("日本", 4), ("é", 1), ("e\u0301", 1), ("🎉", 2), ("", 0), ("a\u200db", 2)],
)
def test_the_width_is_that_on_a_terminal(text: str, columns: int) -> None:
    assert width(text) == columns


def test_what_a_terminal_obeys_is_escaped() -> None:
    assert safe("a\x1b[31m\nb\x9b\u202ec\u2028") == r"a\x1b[31m\nb\x9b\u202ec\u2028"


@given(st.text(max_size=30), st.integers(1, 20), st.booleans())
def test_a_cell_has_its_width(text: str, columns: int, right: bool) -> None:
    assert width(padded(safe(text), columns, right=right)) == columns


def test_what_is_too_long_is_folded() -> None:
    assert padded("Ada Lovelace", 5) == "Ada …"
    assert padded("日本語", 4) == "日… "
    assert padded("7", 3, right=True) == "  7"


@given(st.lists(st.integers(1, 200), min_size=1, max_size=9), st.integers(20, 200))
def test_columns_fit_or_are_as_narrow_as_they_get(widths: list[int], columns: int) -> None:
    fit = fitted(widths, columns)
    total = sum(fit) + len(GAP) * (len(fit) - 1)
    assert total <= columns or max(fit) <= max(NARROWEST, *(min(widths), NARROWEST))
    assert all(
        now == before or NARROWEST <= now < before for now, before in zip(fit, widths, strict=True)
    )
