"""A view as a value: who asks the same has the same."""

import subprocess
import sys

import pytest

from poller.delivery.view import ALL, MAX_KEYS, TAG_CHARS, View
from poller.wire.exact import TRUE


def test_the_order_in_which_something_is_asked_makes_no_difference() -> None:
    one = View.of({"room": [8, 7, 7], "author": ["ann", None]}, ["text", "id"])
    other = View.of({"author": [None, "ann"], "room": [7, 8]}, ["id", "text", "id"])
    assert one == other
    assert (hash(one), one.tag) == (hash(other), other.tag)
    assert one.columns == ("author", "room")
    assert set(one.keys) == {("ann", 7), ("ann", 8), (None, 7), (None, 8)}
    assert one.filter == {"author": (None, "ann"), "room": (7, 8)}
    assert one.shown == ("id", "text")


def test_what_differs_has_another_tag() -> None:
    views = [
        ALL,
        View.of({}, ["id"]),
        View.of({}, []),
        View.of({"room": [1]}),
        View.of({"room": [True]}),
        View.of({"room": ["1"]}),
        View.of({"room": [None]}),
        View.of({"room": ["null"]}),
        View.of({"room": [1, 2]}),
        View.of({"room": [1]}, ["id"]),
        View.of({"rooms": [1]}),
        View.of({"a": ["b"], "c": ["d"]}),
        View.of({"a": ["b", "c"], "d": ["d"]}),
    ]
    assert len({view.tag for view in views}) == len(set(views)) == len(views)
    assert all(len(view.tag) == TAG_CHARS for view in views[1:])


def test_all_rows_with_all_columns_need_no_tag() -> None:
    assert ALL == View.of({}) == View.of({}, None)
    assert (ALL.tag, ALL.columns, list(ALL.keys)) == ("", (), [()])


def test_a_truth_value_is_no_number() -> None:
    assert list(View.of({"done": [True]}).keys) == [(TRUE,)]
    assert View.of({"done": [TRUE]}) == View.of({"done": [True]})


def test_a_tag_is_the_same_in_every_process() -> None:
    code = "from poller.delivery.view import View; print(View.of({'r': [7, 'ä', None]}).tag)"
    command = [sys.executable, "-c", code]
    tags = {
        subprocess.run(
            command, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert tags == {View.of({"r": [7, "ä", None]}).tag.encode() + b"\n"}


def test_what_makes_no_view_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="room: there is no value"):
        View.of({"room": []})
    with pytest.raises(ValueError, match="of type float"):
        View.of({"room": [1.0]})  # type: ignore[list-item]
    half = range(MAX_KEYS // 2)
    assert len([*View.of({"a": half, "b": [1, 2]}).keys]) == MAX_KEYS
    with pytest.raises(ValueError, match="96 combinations of values are too many: 64 at most"):
        View.of({"a": half, "b": [1, 2, 3]})
