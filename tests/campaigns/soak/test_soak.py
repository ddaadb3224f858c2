"""A short soak: nothing stays of a thousand streams. `make soak` is the long form."""

import random
from pathlib import Path

import pytest

from tests.campaigns.soak.slope import slope
from tests.campaigns.soak.soak import Plan, run

# So many streams that one object of each would be more than the caches may hold.
SHORT = {"seconds": 20.0, "connects_per_s": 100.0, "sample_every_s": 0.2}


@pytest.mark.serving
@pytest.mark.load
def test_nothing_stays_of_streams_that_ended_and_no_row_is_lost(tmp_path: Path) -> None:
    """Memory's slope says nothing after seconds: objects, greenlets and descriptors do. The other
    path has `make soak SOAK_PATH=generator`."""
    report = run(Plan(**SHORT, fanout=True), tmp_path, lambda _: None)
    told = "\n".join(report.lines())
    assert report.broken(judge_slope=False) == [], told
    assert report.connects > SHORT["seconds"] * SHORT["connects_per_s"] / 2, told
    assert report.rows > 0, told


@pytest.mark.parametrize("grows", [0.0, 1.0, -2.5])
def test_slope_is_found_in_noise_with_outliers(grows: float) -> None:
    chosen = random.Random(3)
    points = [(n / 100, 60 + grows * n / 100 + chosen.gauss(0, 0.05)) for n in range(200)]
    points[50], points[180] = (0.5, 200.0), (1.8, 0.0)
    found = slope(points)
    assert found.low < grows < found.high
    assert found.value == pytest.approx(grows, abs=0.1)
