"""Listens to a PostgreSQL channel (`ROWCAST_LISTEN`): each NOTIFY leads to a poll at once.

What cannot be heard is found by the next poll at its interval: while the connection is lost, it is
made again with a growing pause, and the log says so once. As soon as it is back everything is
polled, for what was told meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent

from poller.hints.shared import Shared
from poller.reading.channel import Channel, Deaf
from poller.runtime import log

DEAF_S = 300.0  # then it is tried again, as after the pooler was set up otherwise
LOST = "the connection is lost; the log says why"
_READABLE = 1  # the loop's flag for a watcher of input


class Listener(Shared):
    """That of one database. `hint(payload)` is called once for all that were told with the same
    payload at about the same time, and with "" after it has begun to listen. The server is asked
    every `check_s` seconds whether it is still there: a cut cable tells nothing."""

    def __init__(self, channel: Channel, hint: Callable[[str], object], check_s: float) -> None:
        super().__init__()
        self._channel = channel
        self._hint = hint
        self._check_s = check_s
        self._watcher: Any = None
        self._check_at = 0.0
        self._heard_before = False
        self._deaf = ""

    def status(self) -> dict[str, object]:
        """Whether it listens, and if not, why: for operators."""
        problem = LOST if self.problem else self._deaf
        listening = self._channel.is_open and not problem
        return {"channel": self._channel.name, "listening": listening, "problem": problem}

    @property
    def lacking(self) -> str:
        problem = self.status()["problem"]
        return f"LISTEN {self._channel.name}: {problem}" if problem else ""

    def once(self) -> float:
        """Hint at what was heard. Returns the seconds until the server is asked whether it is still
        there."""
        try:
            payloads = self._heard() if self._channel.is_open else self._begin()
        except Deaf as reason:
            self._close()
            if str(reason) != self._deaf:
                self._deaf = str(reason)
                log.warning("listen impossible", channel=self._channel.name, reason=self._deaf)
            return DEAF_S
        for payload in dict.fromkeys(payloads):
            self._hint(payload)
        if not self._watcher.active:
            self._watcher.start(self.wake)
        return max(0.0, self._check_at - time.monotonic())

    def _begin(self) -> list[str]:
        self._channel.open()
        self._watcher = gevent.get_hub().loop.io(self._channel.descriptor, _READABLE)
        self._check_at = time.monotonic() + self._check_s
        self._deaf = ""
        if not self._heard_before:
            self._heard_before = True
            if not self._failures:
                log.info("listening", channel=self._channel.name)
        return [""]

    def _heard(self) -> list[str]:
        payloads = self._channel.heard()
        if time.monotonic() >= self._check_at:
            self._channel.check()
            self._check_at = time.monotonic() + self._check_s
            payloads += self._channel.heard()
        return payloads

    def wake(self) -> None:
        """There is something to read; the loop would be told again and again until it is read."""
        if self._watcher is not None:
            self._watcher.stop()
        super().wake()

    def stop(self) -> None:
        super().stop()
        self._close()

    def _close(self) -> None:
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
        self._channel.close()

    def _on_failure(self, error: Exception) -> None:
        self._close()
        if not self._failures:
            told = " ".join(str(error).split())
            log.warning("listen lost", channel=self._channel.name, error=told)

    def _on_recovery(self) -> None:
        log.info("listening again", channel=self._channel.name, failures=self._failures)
