"""The thread beside the hub in which SQLite's calls run, and the wait for its locks out here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import gevent
from gevent.threadpool import ThreadPool
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

T = TypeVar("T")

THREADS = 1  # see session.py
RETRY_WAIT_S = (0.005, 0.025)


class Thread:
    """Begins with the first call."""

    def __init__(self) -> None:
        self._threads: ThreadPool | None = None

    def run(
        self, work: Callable[[], T], is_locked: Callable[[BaseException], bool], for_s: float
    ) -> T:
        """Tries until the lock is free or the time is over. A try that runs is never abandoned:
        its thread would go on, and commit what its caller was told had failed."""
        try:
            return self._once(work)
        except Exception as error:
            if not is_locked(error):
                raise
        tries = Retrying(
            retry=retry_if_exception(is_locked),
            wait=wait_random(*RETRY_WAIT_S),
            stop=stop_after_delay(for_s),
            sleep=gevent.sleep,
            reraise=True,
        )
        found: T = tries(self._once, work)
        return found

    def _once(self, work: Callable[[], T]) -> T:
        if self._threads is None:
            self._threads = ThreadPool(THREADS)
        found: T = _value(self._threads.apply(_outcome, (work,)))
        return found

    def end(self) -> None:
        """The next call begins another."""
        if threads := self.forget():
            threads.kill()

    def forget(self) -> Any:
        """As in a process that was just forked, which has none of its parent's threads."""
        threads, self._threads = self._threads, None
        return threads


def _outcome(run: Callable[[], T]) -> tuple[T | None, Exception | None]:
    """What `run` returns or raises. gevent would print a traceback for what leaves its thread."""
    try:
        return run(), None
    except Exception as error:  # noqa: BLE001 - raised again in the calling greenlet
        return None, error


def _value(outcome: tuple[Any, Exception | None]) -> Any:
    value, error = outcome
    if error is not None:
        raise error
    return value
