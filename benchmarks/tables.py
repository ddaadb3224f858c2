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
    "flask-sse": "flask-sse, Valkey",
}


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """With the first column to the left and the others to the right."""
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (heads, rule, *rows))


def title(figures: Figures) -> str:
    return TITLES[figures["contender"]]


def measured(rows: list[Figures]) -> list[Figures]:
    return [row for row in rows if "missing" not in row and "failed" not in row]


def left_out(rows: list[Figures]) -> str:
    """A line for each that could not be had, and for each that failed."""
    lines = [f"- {title(row)} left out: {row['missing']}" for row in rows if "missing" in row]
    lines += [f"- {title(row)} **failed**: {row['failed']}" for row in rows if "failed" in row]
    return "\n" + "\n".join(lines) + "\n" if lines else ""


def ratio(value: float, base: float | None) -> str:
    """How many times the base; nothing where there is none."""
    return f"{value / base:.2f} ×" if base else "–"


def number(value: float) -> str:
    """Three digits that count."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
