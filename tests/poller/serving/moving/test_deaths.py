"""Either side of a hand-over dies or stands still at every point: no client has two writers.

That is the argument of `protocol.py`, tried out with two processes for each case.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.harness.gunicorn import PROJECT
from tests.poller.serving.moving.deaths import STREAMS, cases

BOUND_S = 110.0


def seen(*arguments: str) -> dict[str, dict[str, Any]]:
    command = [sys.executable, "-m", "tests.poller.serving.moving.deaths", *arguments]
    told = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=BOUND_S
    )
    return {one["case"]: one for one in json.loads(told.stdout)}


@pytest.fixture(scope="module")
def all_seen() -> dict[str, dict[str, Any]]:
    return seen()


@pytest.mark.parametrize("case", [*cases()])
def test_every_stream_has_one_writer_or_ends(
    case: str, all_seen: dict[str, dict[str, Any]]
) -> None:
    one = all_seen[case]
    assert one["reached"], one
    assert not one["problems"], one
    assert (one["doubled"], one["lost"], one["cut"]) == (0, 0, 0), one
    assert one["ended"] + one["served"] == STREAMS, one


@pytest.mark.parametrize("case", ["stop giver after say Batch", "stop taker after hear Batch"])
def test_who_only_stood_still_costs_no_stream(
    case: str, all_seen: dict[str, dict[str, Any]]
) -> None:
    assert all_seen[case]["ended"] == 0


@pytest.mark.parametrize("case", ["kill taker after hear Batch", "kill taker before say Got"])
def test_a_taker_that_dies_before_go_costs_no_stream(
    case: str, all_seen: dict[str, dict[str, Any]]
) -> None:
    assert all_seen[case]["ended"] == 0


def test_two_messages_would_be_two_writers() -> None:
    """The mutant in which `got` is the switch: the test above notices it."""
    cases = ["kill taker after adopt 3", "kill taker before say Got", "stop taker before say Got"]
    told = seen("--two-messages", *cases)
    assert [told[case]["doubled"] > 0 for case in cases] == [True] * len(cases), told
