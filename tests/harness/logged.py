"""The notifier's log lines, as dictionaries: `with logged() as lines`."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from poller.runtime import log


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        event, values = getattr(record, log.EVENT), getattr(record, log.VALUES)
        self.lines.append({"event": event, "level": record.levelname.lower(), **values})


@contextmanager
def logged() -> Iterator[list[dict[str, Any]]]:
    handler, level = _Lines(), log.LOGGER.level
    log.LOGGER.addHandler(handler)
    log.LOGGER.setLevel(logging.DEBUG)
    try:
        yield handler.lines
    finally:
        log.LOGGER.removeHandler(handler)
        log.LOGGER.setLevel(level)
