"""The slope of noisy samples: Theil and Sen's, which a few outliers do not move.

Pure. Samples that follow each other closely are not independent, which would make the uncertainty
look far too small: so the medians of a few stretches are compared, not the samples.
"""

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import NamedTuple

STRETCHES = 12
NORMAL_95 = 1.96  # standard deviations on either side

Point = tuple[float, float]


class Slope(NamedTuple):
    """Units of the samples per unit of time; `low` and `high` hold it with 95 %."""

    value: float
    low: float
    high: float


def slope(points: Sequence[Point]) -> Slope:
    """Of (time, value) in the order of time. Needs two points for each stretch."""
    assert len(points) >= 2 * STRETCHES, f"{len(points)} samples say nothing"
    stretches = [_middle(_stretch(points, number)) for number in range(STRETCHES)]
    slopes = sorted((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(stretches, 2))
    # The distribution of Kendall's score without a trend: P. K. Sen, JASA 63 (1968), p. 1384.
    n = STRETCHES
    spread = NORMAL_95 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low = max(0, math.floor((len(slopes) - spread) / 2) - 1)
    high = min(len(slopes) - 1, math.ceil((len(slopes) + spread) / 2))
    return Slope(median(slopes), slopes[low], slopes[high])


def _stretch(points: Sequence[Point], number: int) -> Sequence[Point]:
    size = len(points) / STRETCHES
    return points[round(number * size) : round((number + 1) * size)]


def _middle(points: Sequence[Point]) -> Point:
    return median(x for x, _ in points), median(y for _, y in points)
