"""What an application grants, as it may write it."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from poller.access import granted


@pytest.mark.parametrize(
    ("said", "values"),
    [
        (None, {}),
        ({}, {}),
        ({"room": 7}, {"room": [7]}),
        ({"room": None, "author": "ann"}, {"room": [None], "author": ["ann"]}),
        ({"room": (7, None)}, {"room": [7, None]}),
        ({"room": []}, {"room": []}),
        ({"room": frozenset([7])}, {"room": [7]}),
    ],
)
def test_one_value_or_any_of_several(
    said: dict[str, object] | None, values: dict[str, list[object]]
) -> None:
    assert granted.values_of(said) == values


@pytest.mark.parametrize(
    ("tag", "text"), [(None, ""), (7, "7"), ("7", "7"), (UUID(int=7), str(UUID(int=7)))]
)
def test_a_tag_is_compared_as_text(tag: object, text: str) -> None:
    assert granted.tag_of(tag) == text


@pytest.mark.parametrize("tag", ["", "x" * 256, True, 1.5, b"x", ["x"]])
def test_what_is_no_tag(tag: object) -> None:
    with pytest.raises(ValueError, match="tag"):
        granted.tag_of(tag)


def test_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granted, "now", lambda: 1_800_000_000.0)
    assert granted.seconds_left(None) == math.inf
    assert granted.seconds_left(1_800_000_060) == 60
    assert granted.seconds_left(1_799_999_999.5) == -0.5
    moment = datetime.fromtimestamp(1_800_000_060, UTC)
    assert granted.seconds_left(moment) == 60
    assert granted.seconds_left(moment.astimezone(timezone(timedelta(hours=9)))) == 60
    for wrong in (True, "1800000060", math.nan, moment.replace(tzinfo=None), moment.date()):
        with pytest.raises(ValueError, match="until"):
            granted.seconds_left(wrong)
