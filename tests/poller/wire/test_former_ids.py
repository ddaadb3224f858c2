"""Ids that earlier versions gave: which are good today, and what becomes of the others.

`former/` has them as those versions wrote them. When a version is released, its own are added.
docs/operations.md says the same to operators.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flask import Flask

from poller import Database, Notifier, __version__, testing
from poller.ids.cursor import Cursor
from poller.ids.cursor_token import Parsed
from poller.ids.named import Named
from poller.wire.epoch import NAME_DIGITS, Salt, is_valid
from poller.wire.event_id import format_event_id, parse_last_event_id
from tests.harness import sql

FORMER = Path(__file__).parent / "former"
IN_DIGITS = "!+"  # a form of 0.1 that is not read any more
GOOD = ("0.2.0.dev0", "0.2.0")  # whose ids are gone on from


class Former(NamedTuple):
    """An id, and what it said to the version that gave it."""

    version: str
    id: str
    position: int
    gaps: list[tuple[int, int]]
    mark: int | None


def former() -> Iterator[Any]:
    for path in sorted(FORMER.glob("*.json")):
        kept = json.loads(path.read_text(encoding="utf-8"))
        for one in kept["ids"]:
            gaps = [(first, last) for first, last in one["gaps"]]
            told = Former(kept["version"], one["id"], one["position"], gaps, one.get("mark"))
            yield pytest.param(told, id=f"{kept['version']}: {one['name']}")


each = pytest.mark.parametrize("told", [*former()])


@each
def test_an_id_is_read_as_it_was_meant_or_not_at_all(told: Former) -> None:
    """Never as another set: rows would be lost, or come twice."""
    if IN_DIGITS in told.id:
        with pytest.raises(ValueError, match="not an id"):
            parse_last_event_id(told.id)
        return
    resume = parse_last_event_id(told.id)
    assert resume is not None
    assert resume.cursor == Cursor.of(Parsed(told.position, told.gaps, None))
    assert resume.mark == told.mark


@each
def test_an_epoch_is_of_the_same_history_or_of_none(told: Former) -> None:
    epoch = told.id.partition(".")[0]
    same = "4300add3b3"
    good = is_valid(epoch, told.position, [same], Salt(), lowest=1)
    assert good == (told.version in GOOD)


@pytest.mark.parametrize("told", [one for one in former() if "0.2.0:" in str(one.id)])
def test_ids_of_this_version_are_written_so(told: Former) -> None:
    """Another form needs another version, its file in former/, and a word in docs/operations.md."""
    prefix, _, token = told.id.rpartition(".")
    resume = parse_last_event_id(told.id)
    assert resume is not None
    if told.mark is None:  # of the others the whole set is not known
        assert format_event_id(prefix, Named.of(resume.cursor)) == f"{prefix}.{token}"


def test_each_release_has_left_its_ids() -> None:
    assert __version__.partition(".dev")[0] in {path.stem for path in FORMER.glob("*.json")}


@pytest.fixture(scope="module")
def notes_url(shared_url: str) -> str:
    key = sql.KEY_TYPES[sql.dialect_of(shared_url)]
    sql.execute(shared_url, f"CREATE TABLE notes (id {key}, body varchar(99))")
    for number in range(1, 6):
        sql.execute(shared_url, f"INSERT INTO notes (body) VALUES ('{number}')")
    return shared_url


@pytest.fixture
def app(notes_url: str) -> Flask:
    app, notifier = Flask("test"), Notifier()
    notifier.watch("notes", columns=["body"], authorize="public")
    notifier.init_app(app, database=Database(notes_url))
    return app


@pytest.mark.parametrize(
    ("token", "brings"), [("3", [4, 5]), ("5!1,1", [4]), ("5", []), ("0", [1, 2, 3, 4, 5])]
)
def test_a_client_of_0_2_0_dev0_goes_on_without_noticing(
    token: str, brings: list[int], app: Flask
) -> None:
    """Its history is that of this table, and its time that of the morning before the upgrade."""
    with testing.feed(app, "notes") as feed:
        name = feed.frames()[0].id[:NAME_DIGITS]
        stream = feed.open(f"{name}3lpfbk.{token}")
        frames = stream.frames()
        assert frames[0].json["resumed"] is True
        assert [frame.json["id"] for frame in frames if frame.event == "message"] == brings
        stream.close()


@pytest.mark.parametrize(
    ("event_id", "reason"),
    [
        ("ebcdd0.3", "unknown-history"),
        ("ebcdd0.5!1,1", "unknown-history"),
        ("ebcdd0.120!+8BLrBB", "malformed-id"),
    ],
)
def test_a_client_of_0_1_loads_its_rows_once(event_id: str, reason: str, app: Flask) -> None:
    with testing.feed(app, "notes") as feed:
        stream = feed.open(event_id)
        for _ in range(2):  # passes: it might be of a history that another worker knows already
            feed.poll()
        started, reset, *_ = stream.frames()
        assert (started.json["resumed"], reset.event) == (False, "reset")
        assert reset.json == {"reason": reason}
        stream.close()
