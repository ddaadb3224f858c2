"""What happens to people's text before it is kept."""

import re
import sys
import unicodedata
from collections.abc import Callable
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wall.text import (
    MOST_LINE_FEEDS,
    MOST_MARKS,
    UnstorableTextError,
    clean_line,
    clean_text,
    is_blank,
)

BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@pytest.mark.parametrize("bad", ["a\0b", "\ud800", "x\udfffy"])
def test_nul_and_lone_surrogates_are_refused(bad: str) -> None:
    with pytest.raises(UnstorableTextError):
        clean_text(bad)
    with pytest.raises(UnstorableTextError):
        clean_line(bad)


def test_bidi_overrides_and_isolates_are_removed() -> None:
    assert clean_text(f"abc{BIDI}def") == "abcdef"


def test_the_marks_that_keyboards_type_stay() -> None:
    assert clean_text("\u05d0\u200f! a\u200e") == "\u05d0\u200f! a\u200e"


def test_control_characters_are_removed_but_line_feed_and_tab() -> None:
    assert clean_text("a\x07\x1b[31m\x7f\x9b\tb\nc") == "a[31m\tb\nc"


def test_every_kind_of_line_end_becomes_a_line_feed() -> None:
    assert clean_text("a\r\nb\rc\u2028d\u2029e\x85f\vg") == "a\nb\nc\nd\ne\nf\ng"


def test_text_is_composed() -> None:
    assert clean_text("e\u0301") == "\u00e9"


def test_marks_on_one_character_are_capped() -> None:
    cleaned = clean_text("Z" + "\u0335\u0489" * 200 + "algo")
    assert cleaned.endswith("algo")
    assert len(cleaned) == len("Zalgo") + MOST_MARKS


def test_devanagari_hebrew_and_family_emoji_come_through() -> None:
    for text in ("हिन्दी में लिखा", "בְּרֵאשִׁ֖ית", "👨‍👩‍👧‍👦 🏳️‍🌈", "Tiếng Việt"):
        assert clean_text(text) == unicodedata.normalize("NFC", text)


def test_empty_lines_in_a_row_are_capped_and_blank_edges_go() -> None:
    assert clean_text("\n\n  a\n" + " \n" * 100 + "b  \n\n") == "  a" + "\n" * MOST_LINE_FEEDS + "b"


def test_a_name_is_one_line() -> None:
    assert clean_line(" Ada \n\t Lovelace ") == "Ada Lovelace"


@pytest.mark.parametrize(
    "blank", ["", " \n\t", "\u200b\u2060\ufeff", "\u3164\u2800", "\u0301", "\ufe0f"]
)
def test_what_cannot_be_seen_is_blank(blank: str) -> None:
    assert is_blank(blank)


@pytest.mark.parametrize("seen", [".", "0", "é", "👍", "中", "∞", "مرحبا"])
def test_what_can_be_seen_is_not(seen: str) -> None:
    assert not is_blank(seen)


@given(STORABLE)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = clean_text(text)
    assert clean_text(once) == once
    assert clean_line(clean_line(text)) == clean_line(text)


@given(STORABLE)
def test_clean_text_has_no_control_characters(text: str) -> None:
    controls = [c for c in clean_text(text) if unicodedata.category(c) == "Cc" and c not in "\n\t"]
    assert not controls
    assert not set(BIDI) & set(clean_text(text))


# -- a small request is no long work ------------------------------------------------------------


@pytest.mark.parametrize("clean", [clean_line, clean_text])
def test_no_more_marks_are_sorted_than_stay(
    clean: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sorting takes the square of their number: 30,000 took seconds, with the worker blocked."""
    sorted_at_once: list[int] = []
    normalize = unicodedata.normalize

    def noted(form: Literal["NFC"], text: str) -> str:
        runs = re.findall("[\u0301\u0316]+", text)
        sorted_at_once.extend(map(len, runs))
        return normalize(form, text)

    monkeypatch.setattr("wall.text.unicodedata.normalize", noted)
    assert len(clean("a" + "\u0301\u0316" * 15_000)) <= 1 + MOST_MARKS
    assert max(sorted_at_once) <= MOST_MARKS


def test_whatever_is_sorted_counts_as_a_mark() -> None:
    unmarked = (
        char
        for char in map(chr, range(sys.maxunicode + 1))
        if unicodedata.combining(char) and not unicodedata.category(char).startswith("M")
    )
    assert not list(unmarked)


# -- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unseen",
    "\u00ad\u034f\u061c\u115f\u1160\u180b\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062"
    "\u2063\u2064\u206a\u2800\u3164\ufe00\ufe0f\ufeff\uffa0\ufff9\U000e0001\U000e0041\U000e0100",
    ids=ascii,
)
def test_nothing_unseen_makes_another_name_of_the_same(unseen: str) -> None:
    for name in (f"{unseen}Ada", f"A{unseen}da", f"Ada{unseen}", f"A{unseen * 3}da"):
        assert clean_line(name) == "Ada"


@pytest.mark.parametrize(
    "name",
    ["علی\u200cرضا", "क्\u200dष", "👩\u200d🚀", "❤\ufe0f", "🏳\ufe0f\u200d🌈", "Nguyễn", "יעל"],
)
def test_a_name_keeps_what_its_writing_needs(name: str) -> None:
    assert clean_line(name) == unicodedata.normalize("NFC", name)
