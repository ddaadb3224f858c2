"""SVG plots with matplotlib: the same bytes for the same figures, so that a change is a change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.case import Plot

INCHES = (7.0, 3.6)


def draw(plot: Plot, path: Path) -> None:
    """Lines over the axis of streams, or bars where there is one point each."""
    mpl.use("svg")
    from matplotlib import pyplot as plt

    settings: Any = {
        "svg.hashsalt": plot.file,
        "font.size": 9,
        "axes.grid": True,
        "grid.alpha": 0.3,
    }
    with plt.rc_context(settings):
        figure, axes = plt.subplots(figsize=INCHES, layout="constrained")
        labels = {name.replace("*", "").replace("`", ""): at for name, at in plot.lines.items()}
        if all(len(points) == 1 for points in labels.values()):
            bars = axes.barh(list(labels), [points[0][1] for points in labels.values()])
            axes.bar_label(bars, fmt=" %.3g")
            axes.margins(x=0.1)
            axes.invert_yaxis()
            axes.set_xlabel(plot.y)
        else:
            for name, points in labels.items():
                axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
            axes.set_xlabel(plot.x)
            axes.set_ylabel(plot.y)
            axes.set_xscale("log")
            axes.set_yscale("log" if plot.log else "linear")
            if not plot.log:
                axes.set_ylim(bottom=0)
            axes.xaxis.set_major_formatter("{x:,.0f}")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.legend()
        axes.set_title(plot.title)
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)
