"""Markdown tables of figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.case import Figures

TITLES = {
    "fanout": "**Rowcast**",
    "generator": "Rowcast, generator",
    "floor": "`send()` loop (floor)",
    "nchan": "nchan",
    "sse-starlette": "sse-starlette",
}


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """The first column is aligned left, the others right."""
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (heads, rule, *rows))


def title(figures: Figures) -> str:
    """Of the contender, or the database, that a row of figures is about."""
    name: str = figures["contender"]
    return TITLES.get(name, name)


def measured(rows: list[Figures]) -> list[Figures]:
    return [row for row in rows if "missing" not in row and "failed" not in row]


def left_out(rows: list[Figures]) -> str:
    """A line for each contender that this machine lacks, and for each that failed."""
    lines = [f"- {title(row)} left out: {row['missing']}" for row in rows if "missing" in row]
    lines += [f"- {title(row)} **failed**: {row['failed']}" for row in rows if "failed" in row]
    return "\n" + "\n".join(lines) + "\n" if lines else ""


def ratio(value: float, base: float | None) -> str:
    """How many times the base; a dash where there is none."""
    return f"{value / base:.2f} ×" if base else "–"


def figure(value: float | None, unit: str = "") -> str:
    """Three significant digits; a dash for what was not measured."""
    if value is None:
        return "–"
    return f"{number(value)} {unit}".rstrip()


def number(value: float) -> str:
    """Three significant digits."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
