"""The notifier's log lines: a constant event and its values, on the standard logger `rowcast`.

The vocabulary is here and nowhere else: `info("poll recovered", feed="orders", failures=3)`. An
application that configures `logging` gets these lines through its own handlers. If it does not,
`configure()` writes them to standard error. A line that cannot be written is dropped: a full disk
or a closed pipe must not end what the line is about.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
import time
from typing import Any

LOGGER = logging.getLogger("rowcast")
# All that some reader of logs takes for the end of a line, and what commands a terminal.
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
MAX_TEXT = 2_000  # characters of one value; a driver's error brings its whole statement along
_our_level = logging.NOTSET  # what `configure()` set last
EVENT, VALUES = "rowcast_event", "rowcast_values"  # attributes of our records


def debug(event: str, **values: object) -> None:
    _write(logging.DEBUG, event, values)


def info(event: str, **values: object) -> None:
    _write(logging.INFO, event, values)


def warning(event: str, **values: object) -> None:
    _write(logging.WARNING, event, values)


def error(event: str, exc_info: BaseException | None = None, **values: object) -> None:
    _write(logging.ERROR, event, values, exc_info)


def configure(level: str, line_format: str) -> None:
    """Set the level, and write to standard error, each unless the application has set its own.

    `level` is one of `debug`, `info`, `warning`, `error`; `line_format` is `text` or `json`.
    """
    global _our_level  # noqa: PLW0603
    if LOGGER.level == _our_level:
        LOGGER.setLevel(level.upper())
        _our_level = LOGGER.level
    formatter = JsonLines() if line_format == "json" else TextLines()
    for handler in LOGGER.handlers:
        if isinstance(handler, _StandardError):
            handler.setFormatter(formatter)
            return
    if not LOGGER.hasHandlers():
        handler = _StandardError()
        handler.setFormatter(formatter)
        LOGGER.addHandler(handler)


def on_one_line(record: logging.LogRecord) -> bool:
    """A filter for other people's loggers, which write a request's path as it came: a line feed or
    an escape in a value must not look like a line of its own."""
    if isinstance(record.args, tuple):
        record.args = tuple(map(_escaped, record.args))
    return True


def _escaped(value: object) -> object:
    if not isinstance(value, str | BaseException):
        return value
    return CONTROLS.sub(lambda found: ascii(found[0])[1:-1], str(value))


class TextLines(logging.Formatter):
    """`2026-01-31T12:00:00Z WARNING rowcast[4711] reset feed='orders' reason='…'`"""

    converter = time.gmtime  # type: ignore[assignment]  # its stub takes no default

    def __init__(self) -> None:
        line = "%(asctime)sZ %(levelname)s rowcast[%(process)d] %(message)s"
        super().__init__(line, datefmt="%Y-%m-%dT%H:%M:%S")


class JsonLines(logging.Formatter):
    """One object a line: `timestamp`, `level`, `pid`, `event` and the event's own values."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}Z",
            "level": record.levelname.lower(),
            "pid": record.process,
            "event": getattr(record, EVENT, None) or record.getMessage(),
            **getattr(record, VALUES, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _StandardError(logging.StreamHandler[Any]):
    """Whatever `sys.stderr` is when a line is written; silent about lines that it cannot write."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stderr

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Dropped: see the top of this file."""


def _write(
    level: int, event: str, values: dict[str, object], exc_info: BaseException | None = None
) -> None:
    if LOGGER.isEnabledFor(level):
        with contextlib.suppress(Exception):
            values = {name: _shortened(value) for name, value in values.items()}
            # repr() escapes control characters, so that no value can forge a line.
            shown = "".join(f" {name}={value!r}" for name, value in values.items())
            LOGGER.log(
                level, "%s%s", event, shown, exc_info=exc_info, extra={EVENT: event, VALUES: values}
            )


def _shortened(value: object) -> object:
    """Without its middle if it is a long text: the ends tell the error and what it is about."""
    if not isinstance(value, str) or len(value) <= MAX_TEXT:
        return value
    half = MAX_TEXT // 2
    return f"{value[:half]} … {value[-half:]}"
