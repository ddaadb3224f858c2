"""Colours of an accent of one's own: text in it can be read, whatever it is."""

import re
from itertools import product

import pytest

from tests.docs.pages import PROJECT
from wall.theme import DARK, LEAST_CONTRAST, LIGHT, Scheme, _rgb, contrast, css

STEPS = ("00", "40", "80", "bf", "ff")
ACCENTS = ["#" + "".join(parts) for parts in product(STEPS, repeat=3)]
SHEETS = [("base.css", LIGHT), ("dark.css", DARK)]


def values(text: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): ?(#[0-9a-f]{6})", text))


@pytest.mark.parametrize(("name", "scheme"), SHEETS)
def test_the_grounds_are_those_of_the_sheet(name: str, scheme: Scheme) -> None:
    sheet = values((PROJECT / "static" / name).read_text(encoding="utf-8"))
    assert (sheet["page"], sheet["card"]) == (scheme.page, scheme.card)


@pytest.mark.parametrize(("name", "scheme"), SHEETS)
def test_every_accent_can_be_read_and_read_on(name: str, scheme: Scheme) -> None:
    sheet = values((PROJECT / "static" / name).read_text(encoding="utf-8"))
    for accent in ACCENTS:
        own = values(css(accent, scheme).replace(":#", ": #"))
        pairs = [(own["accent"], ground) for ground in (scheme.page, scheme.card, own["fresh"])]
        pairs += [(own["on-accent"], own["accent"])]
        pairs += [(sheet[ink], own["fresh"]) for ink in ("ink", "soft")]
        for ink, ground in pairs:
            assert contrast(_rgb(ink), _rgb(ground)) >= LEAST_CONTRAST, (accent, ink, ground)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast(_rgb("#767676"), _rgb("#ffffff")) == pytest.approx(4.54, abs=0.01)


def test_an_accent_that_can_be_read_stays_as_it_is() -> None:
    assert "--accent:#17457a;" in css("#17457a", LIGHT)
    assert "--accent:#ffd24a;" in css("#ffd24a", DARK)
