"""Values that are told apart by type."""

import enum
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from poller.wire.exact import FALSE, NO_VALUE, TRUE, exact, text_of

UUID_TEXT = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"


class Colour(enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    SMALL = 1


def test_equal_in_python_is_not_enough() -> None:
    alike = [exact(1), exact(True), exact("1"), exact(None), exact(""), exact(0), exact(False)]
    assert len({*alike}) == len({*map(text_of, alike)}) == len(alike)
    assert NO_VALUE not in {*alike, TRUE, FALSE}


def test_what_an_application_has_is_what_its_rows_show() -> None:
    assert exact(UUID(UUID_TEXT)) == exact(UUID_TEXT) == UUID_TEXT
    assert exact(Colour.RED) == "red"
    assert exact(Size.SMALL) == 1
    assert type(exact(Size.SMALL)) is int


@pytest.mark.parametrize("value", [1.0, Decimal(1), b"1", date(2026, 1, 1), ["1"], object()])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match=f"of type {type(value).__name__}"):
        exact(value)
