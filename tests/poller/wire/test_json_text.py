"""JSON of a database, embedded as it is."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.wire.json_text import MAX_DEPTH, embeddable

MEMBERS = (
    st.none()
    | st.booleans()
    | st.text()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
)
DOCUMENTS = st.recursive(
    MEMBERS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


def as_received(value: object) -> object:
    """What becomes of a document: integers that a double cannot hold are strings."""
    if isinstance(value, dict):
        return {key: as_received(one) for key, one in value.items()}
    if isinstance(value, list):
        return [as_received(one) for one in value]
    big = isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53
    return str(value) if big else value


@given(DOCUMENTS, st.sampled_from([None, 1]), st.booleans())
def test_a_reader_that_knows_only_doubles_reads_the_document(
    document: object, indent: int | None, ascii_only: bool
) -> None:
    embedded = embeddable(json.dumps(document, indent=indent, ensure_ascii=ascii_only))
    assert embedded is not None
    assert "\n" not in embedded
    assert json.loads(embedded) == as_received(document)


@given(st.decimals(allow_nan=False, allow_infinity=False), st.integers(-400, 400))
def test_no_number_is_changed(number: Decimal, exponent: int) -> None:
    """Whoever reads doubles gets the number itself, or its text."""
    text = f"{abs(number):f}e{exponent}"
    embedded = embeddable(f"[{text}]")
    assert embedded is not None
    (read,) = json.loads(embedded)
    assert read == text or Decimal(repr(read)) == Decimal(text)


@pytest.mark.parametrize(
    ("text", "embedded"),
    [
        ("1.10", "1.10"),
        ('{"a":1,"a":2}', '{"a":1,"a":2}'),
        ("1e400", '"1e400"'),
        ("-1E400", '"-1E400"'),
        ("1e-400", '"1e-400"'),
        ("0e-400", "0e-400"),
        ("-0.0", "-0.0"),
        ("5e-324", "5e-324"),
        ("1e-99999999999999999999999", '"1e-99999999999999999999999"'),
        ("9007199254740991", "9007199254740991"),
        ("[-9007199254740992]", '["-9007199254740992"]'),
        ("1" * 5000, '"' + "1" * 5000 + '"'),
        ("0.1234567890123456789", '"0.1234567890123456789"'),
        ('"9007199254740993 1e400"', '"9007199254740993 1e400"'),
        (
            '{"9007199254740993": "\\\\\\"", "b": 9007199254740993}',
            '{"9007199254740993": "\\\\\\"", "b": "9007199254740993"}',
        ),
        ('"\\ud83c\\udf89"', '"\\ud83c\\udf89"'),
        ('"\\\\ud800"', '"\\\\ud800"'),
        ('"\\ud800"', None),
        ('["a", {"\\udc00\\ud800": 1}]', None),
        ("[" * MAX_DEPTH + "]" * MAX_DEPTH, "[" * MAX_DEPTH + "]" * MAX_DEPTH),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), None),
        ('"' + "[" * 100 + '"', '"' + "[" * 100 + '"'),
        (f"[{','.join(['[]'] * 100)}]", f"[{','.join(['[]'] * 100)}]"),
    ],
)
def test_what_a_reader_would_change_is_a_string_and_the_rest_as_it_is(
    text: str, embedded: str | None
) -> None:
    assert embeddable(text) == embedded
