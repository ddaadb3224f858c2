"""The log: one vocabulary, in text and in JSON, through an application's handlers or our own."""

from __future__ import annotations

import ast
import io
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import poller
from poller.runtime import log
from tests.harness.logged import logged

POLLER = Path(poller.__file__).parent
ABOUT_NO_FEED = {"started", "streams refused"} | {
    "room for streams",
    "room for fewer streams than wanted",
    "an address has all that it may have",
    "a failure could not be told",
    "a message of a worker failed",
    "a worker cannot be reached",
    "a worker takes no messages",
    "a hand-over was broken off",
    "a worker of another user is refused",
    "another worker is lost",
    "hand-over failed",
    "streams handed over",
    "streams taken",
    "workers cannot hand over streams",
    "file not watched",
    "file watched",
    "listen impossible",
    "listen lost",
    "listening",
    "listening again",
    "workers cannot reach each other",
    "an operator's token is guessed at",
    "no history for the status page",
    "history for the status page again",
    "status failed",
    "status recovered",
    "clients come through a proxy that is not configured, and count as one",
}
LEVELS = ("debug", "info", "warning", "error")
LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ "
    r"(?P<level>[A-Z]+) rowcast\[(?P<pid>\d+)\] (?P<rest>.*)"
)


@pytest.fixture(autouse=True)
def as_at_start(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process that has configured nothing."""
    before = log.LOGGER.handlers[:], log.LOGGER.level
    monkeypatch.setattr(log, "_our_level", logging.NOTSET)
    monkeypatch.setattr(log.LOGGER, "propagate", False)
    log.LOGGER.handlers[:] = []
    log.LOGGER.setLevel(logging.NOTSET)
    yield
    log.LOGGER.handlers[:], level = before
    log.LOGGER.setLevel(level)


def configure(level: str, line_format: str) -> None:
    """As in a process without pytest, whose handlers stand on a logger that does not propagate."""
    ours = [one for one in log.LOGGER.handlers if isinstance(one, log._StandardError)]
    log.LOGGER.handlers[:] = ours
    log.configure(level, line_format)


Written = Callable[[], str]


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Written:
    """written(): all of standard error so far."""
    parts: list[str] = []

    def read() -> str:
        parts.append(capsys.readouterr().err)
        return "".join(parts)

    return read


def test_a_text_line_has_time_level_pid_event_and_values(written: Written) -> None:
    configure("info", "text")
    log.warning("poll failed", feed="orders", failures=3)
    found = LINE.fullmatch(written().rstrip("\n"))
    assert found
    assert (found["level"], found["pid"]) == ("WARNING", str(os.getpid()))
    assert found["rest"] == "poll failed feed='orders' failures=3"


def test_a_json_line_has_the_same(written: Written) -> None:
    configure("info", "json")
    log.warning("poll failed", feed="orders", failures=3, path=Path("/x"))
    line = json.loads(written())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line.pop("timestamp"))
    assert line == {
        "level": "warning",
        "pid": os.getpid(),
        "event": "poll failed",
        "feed": "orders",
        "failures": 3,
        "path": "/x",
    }


@pytest.mark.parametrize("line_format", ["text", "json"])
def test_no_value_forges_a_line(written: Written, line_format: str) -> None:
    configure("info", line_format)
    forged = "x\n2026-01-31T12:00:00Z ERROR rowcast[1] poll failed\r\x1b[31m\u2028"
    log.info("reset", feed="orders", reason=forged)
    assert written().count("\n") == 1
    assert written().isascii()
    assert "\x1b" not in written()


def test_a_traceback_goes_along(written: Written) -> None:
    configure("info", "json")
    log.error("stream failed", exc_info=ValueError("two\nlines"), feed="orders")
    assert "ValueError: two\nlines" in json.loads(written())["traceback"]


@pytest.mark.parametrize(
    ("level", "seen"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)]
)
def test_the_level_is_kept(written: Written, level: str, seen: int) -> None:
    configure(level, "text")
    for write in (log.debug, log.info, log.warning, log.error):
        write("an event", feed="orders")
    assert written().count("\n") == seen


def test_a_second_application_changes_level_and_format_and_adds_no_handler(
    written: Written,
) -> None:
    configure("error", "text")
    configure("info", "json")
    log.info("an event")
    assert json.loads(written())["event"] == "an event"


def test_an_applications_own_handler_gets_the_lines_and_they_are_not_duplicated(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = io.StringIO()
    handler = logging.StreamHandler(theirs)
    handler.setFormatter(logging.Formatter("%(name)s|%(levelname)s|%(message)s"))
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    monkeypatch.setattr(log.LOGGER, "propagate", True)
    configure("info", "json")
    log.info("poll recovered", feed="orders", failures=3)
    assert theirs.getvalue() == "rowcast|INFO|poll recovered feed='orders' failures=3\n"
    assert written() == ""


def test_an_applications_own_level_stays(written: Written) -> None:
    log.LOGGER.setLevel(logging.ERROR)
    configure("debug", "text")
    log.warning("reset")
    assert written() == ""


def test_lines_of_the_wall_fit_in(written: Written) -> None:
    configure("info", "json")
    logging.getLogger("rowcast.wall").error("request failed id=%s path=%r", "5f", "/\n")
    configure("info", "text")
    logging.getLogger("rowcast.wall").error("request failed id=%s path=%r", "5f", "/\n")
    as_json, as_text = written().splitlines()
    assert json.loads(as_json)["event"] == "request failed id=5f path='/\\n'"
    assert json.loads(as_json)["level"] == "error"
    found = LINE.fullmatch(as_text)
    assert found
    assert found["rest"] == "request failed id=5f path='/\\n'"


@pytest.mark.parametrize("broken", [io.StringIO(), None], ids=["closed", "none"])
def test_a_line_that_cannot_be_written_is_dropped(
    monkeypatch: pytest.MonkeyPatch, broken: io.StringIO | None
) -> None:
    if broken is not None:
        broken.close()
    monkeypatch.setattr(sys, "stderr", broken)
    configure("info", "text")
    log.info("an event")


def test_a_value_that_cannot_be_shown_is_no_fault_of_its_subject() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError

    with logged() as lines:
        log.info("an event", value=Shy())
    assert lines == []


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every line that poller/ writes."""
    for path in POLLER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            of, level = node.func.value, node.func.attr
            if isinstance(of, ast.Name) and of.id == "log" and level in LEVELS:
                yield f"{path.name}:{node.lineno}", node


def test_every_line_is_a_constant_and_names_its_feed() -> None:
    told = set()
    for where, call in calls():
        (event,) = call.args
        assert isinstance(event, ast.Constant), f"{where}: not a constant"
        names = {keyword.arg for keyword in call.keywords}
        assert "table" not in names, f"{where}: a feed is named feed="
        if event.value not in ABOUT_NO_FEED:
            assert "feed" in names, f"{where}: which feed?"
        told.add(event.value)
    assert told >= ABOUT_NO_FEED


def test_lines_about_one_stream_are_for_debugging() -> None:
    levels = {
        call.func.attr  # type: ignore[attr-defined]
        for _, call in calls()
        if isinstance(call.args[0], ast.Constant)
        and call.args[0].value in ("stream opened", "stream closed")
    }
    assert levels == {"debug"}


def test_a_statement_of_a_megabyte_is_not_written_out() -> None:
    """The gaps of a poll are in its statement, which is part of its error."""
    with logged() as lines:
        log.error("poll failed", feed="posts", detail="no such table: SELECT " + "1 OR " * 9_999)
    (line,) = lines
    assert len(str(line)) < 2 * log.MAX_TEXT
    assert "no such table" in str(line)
