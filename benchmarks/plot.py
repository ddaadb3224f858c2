"""Small SVG plots, written by hand: the same text for the same figures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 340
LEFT, RIGHT, TOP, BOTTOM = 60, 470, 40, 290
COLOURS = ("#1f77b4", "#7fb2d9", "#555555", "#2ca02c", "#d62728")
BAR, BAR_LEFT = 36, 160


@dataclass(frozen=True)
class Plot:
    """Lines over logarithmic axes; bars where each line has one point only. Values are positive."""

    file: str
    title: str
    x: str
    y: str
    lines: dict[str, list[tuple[float, float]]]


def svg(plot: Plot) -> str:
    bars = all(len(points) == 1 for points in plot.lines.values())
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
    )
    parts = [_text(WIDTH / 2, 22, plot.title, "middle"), *(_bars(plot) if bars else _lines(plot))]
    return "\n".join([head, *parts, "</svg>\n"])


def _bars(plot: Plot) -> Iterator[str]:
    values = {name: points[0][1] for name, points in plot.lines.items()}
    scale = (WIDTH - BAR_LEFT - 80) / max(values.values())
    for row, (name, value) in enumerate(values.items()):
        y, colour = TOP + row * (BAR + 12), COLOURS[row % len(COLOURS)]
        width = value * scale
        yield f'<rect x="{BAR_LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>'
        yield _text(BAR_LEFT - 8, y + BAR / 2 + 4, name, "end")
        yield _text(BAR_LEFT + width + 6, y + BAR / 2 + 4, f"{value:.3g} {plot.y}")


def _lines(plot: Plot) -> Iterator[str]:
    points = [point for line in plot.lines.values() for point in line]
    xs, ys = sorted({x for x, _ in points}), [y for _, y in points]
    decades = range(math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys))) + 1)

    def at(x: float, y: float) -> tuple[float, float]:
        across = math.log(x / xs[0]) / (math.log(xs[-1] / xs[0]) or 1)
        up = (math.log10(y) - decades[0]) / (len(decades) - 1 or 1)
        return LEFT + across * (RIGHT - LEFT), BOTTOM - up * (BOTTOM - TOP)

    for decade in decades:
        y = at(xs[0], 10.0**decade)[1]
        yield f'<path d="M{LEFT} {y:.1f}H{RIGHT}" stroke="#ddd"/>'
        yield _text(LEFT - 6, y + 4, f"{10.0**decade:g}", "end")
    for x in xs:
        yield _text(at(x, ys[0])[0], BOTTOM + 18, f"{x:,.0f}", "middle")
    yield _text((LEFT + RIGHT) / 2, HEIGHT - 12, plot.x, "middle")
    yield _text(8, TOP - 12, plot.y)
    for row, (name, line) in enumerate(plot.lines.items()):
        colour = COLOURS[row % len(COLOURS)]
        path = "L".join("{:.1f} {:.1f}".format(*at(*point)) for point in line)
        yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        y = TOP + 8 + 20 * row
        yield f'<path d="M{RIGHT + 12} {y}h16" stroke="{colour}" stroke-width="3"/>'
        yield _text(RIGHT + 32, y + 4, name)


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    plain = escape(text.replace("*", "").replace("`", ""))
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{plain}</text>'
