"""Colours of a wall that has its own accent. Pure.

The operator names one colour. Text in it, and text on it, has to be read by everybody, so it is
moved towards black (in the light) or white (in the dark) until it contrasts 4.5:1 with each ground
that it meets, which is what WCAG 2.2 asks for (1.4.3). The tints are mixed from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

LEAST_CONTRAST = 4.5
STEP = 0.02

RGB = tuple[float, float, float]  # 0 to 255


class Scheme(NamedTuple):
    """What of static/base.css and static/dark.css an accent meets; a test holds them together."""

    page: str
    card: str
    towards: RGB
    fresh: float  # so much of the accent is in the card of a post that has just come
    on_accent: tuple[str, str]  # the first if it can be read on the accent


LIGHT = Scheme("#f4f3ee", "#ffffff", (0, 0, 0), 0.12, ("#ffffff", "#101413"))
DARK = Scheme("#121617", "#1a2022", (255, 255, 255), 0.13, ("#0d1411", "#ffffff"))


def css(accent: str, scheme: Scheme) -> str:
    """The rules that take the accent `#rrggbb` into a sheet."""
    tint, colour = _readable(_rgb(accent), scheme)
    on_accent = max(scheme.on_accent, key=lambda one: contrast(_rgb(one), colour))
    values = {"accent": _hex(colour), "on-accent": on_accent, "fresh": _hex(tint)}
    return ":root{" + "".join(f"--{name}:{value};" for name, value in values.items()) + "}\n"


def _readable(accent: RGB, scheme: Scheme) -> tuple[RGB, RGB]:
    """The tint, and the accent that can be read on it, on the page and on a card."""
    tint = accent
    for colour in _towards(accent, scheme.towards):
        tint = _mix(_rgb(scheme.card), colour, scheme.fresh)
        grounds = (_rgb(scheme.page), _rgb(scheme.card), tint)
        if min(contrast(colour, ground) for ground in grounds) >= LEAST_CONTRAST:
            return tint, colour
    return tint, scheme.towards


def _towards(colour: RGB, end: RGB) -> Iterator[RGB]:
    for step in range(round(1 / STEP) + 1):
        yield _mix(colour, end, step * STEP)


def contrast(one: RGB, other: RGB) -> float:
    """By WCAG: 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: RGB) -> float:
    red, green, blue = (_linear(part / 255) for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)


def _mix(one: RGB, other: RGB, share: float) -> RGB:
    """With so much of the other. Whole steps, so that what is tested is what is written."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _rgb(text: str) -> RGB:
    red, green, blue = (int(text[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue


def _hex(colour: RGB) -> str:
    return "#" + "".join(f"{round(part):02x}" for part in colour)
