"""Tokens: what a client holds, as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.window.token import EMPTY, MODULUS, Token, epoch_of, parse, weight

EPOCH = epoch_of("orders", ["id"])
WEIGHTS = st.integers(0, MODULUS - 1)


@given(st.integers(0, 10_000), WEIGHTS)
def test_a_token_is_read_back(rows: int, digest: int) -> None:
    text = f"{EPOCH}.{Token(rows, digest)}"
    assert parse(text, EPOCH) == Token(rows, digest)
    assert len(text) <= len(EPOCH) + 18


@given(st.lists(WEIGHTS))
def test_rows_that_come_and_go_leave_nothing(weights: list[int]) -> None:
    held = EMPTY
    for one in weights:
        held = held.with_row(one)
    for one in reversed(weights):
        held = held.without_row(one)
    assert held == EMPTY


def test_the_beginning_holds_nothing() -> None:
    assert parse("0", EPOCH) == EMPTY


@pytest.mark.parametrize("text", ["", "x", "3f2a.120", "3f2a.1", f"{EPOCH}.1.short", "a" * 2000,
    f"{EPOCH}.-1.AAAAAAAAAAA", f"{EPOCH}.٣.AAAAAAAAAAA", f"{EPOCH}.1.AAAAAAAAAA!"])  # fmt: skip
def test_what_is_no_id_of_a_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an id"):
        parse(text, EPOCH)


def test_another_feed_key_or_form_has_another_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    others = {
        epoch_of("posts", ["id"]),
        epoch_of("orders", ["uuid"]),
        epoch_of("orders", ["a", "b"]),
    }
    monkeypatch.setattr("poller.window.token.FORM", "2")
    others.add(epoch_of("orders", ["id"]))
    assert len(others) == 4
    assert EPOCH not in others
    assert parse(f"{others.pop()}.0.AAAAAAAAAAA", EPOCH) is None


def test_a_row_under_another_key_or_with_other_lines_weighs_otherwise() -> None:
    assert (
        len({weight(b"a", b"b"), weight(b"b", b"a"), weight(b"a", b"c"), weight(b"a\nb", b"")}) == 4
    )
