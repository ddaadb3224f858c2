"""Queries under way, each for all who ask the same: few at once, and none for nobody."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import gevent
from gevent.lock import BoundedSemaphore

from poller.runtime import log

QUERIES_AT_ONCE = 2  # per feed: of the worker's few connections the other feeds need some

T = TypeVar("T")
Wanted = Callable[[], bool]  # whether somebody still waits for the answer


class Unwanted(Exception):  # noqa: N818 - no fault: who asked has left
    """Nobody waits for the answer any more."""


@dataclass(eq=False, slots=True)
class _Query:
    """One that is under way. The greenlet is its own: an asker may be killed, and the others still
    get their answer, on a connection that nobody spoilt."""

    askers: list[Wanted] = field(default_factory=list)
    begun: bool = False
    greenlet: gevent.Greenlet[..., Any] = field(init=False)


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


class Queries(Generic[T]):
    """Those of one feed."""

    def __init__(self, feed: str) -> None:
        self._feed = feed
        self._turns = BoundedSemaphore(QUERIES_AT_ONCE)
        self.under_way: dict[Hashable, _Query] = {}

    def ask(self, question: Hashable, wanted: Wanted, read: Callable[[], T]) -> T:
        """The answer to the question; `read()` is not called if it is under way already. Raises
        what that raises, to all who wait for it; Unwanted when that is nobody."""
        query = self.under_way.get(question)
        if query is None:
            query = self.under_way[question] = _Query()
            query.greenlet = gevent.spawn(self._run, question, query, read)
        query.askers.append(wanted)
        try:
            outcome: T | _Failed = query.greenlet.get()
        finally:
            query.askers.remove(wanted)
            if not (query.askers or query.begun):  # who comes and goes must not fill the queue
                del self.under_way[question]
                query.greenlet.kill(block=False)
        if isinstance(outcome, _Failed):
            raise outcome.error.with_traceback(None)  # or it would grow with each who raises it
        return outcome

    def _run(self, question: Hashable, query: _Query, read: Callable[[], T]) -> T | _Failed:
        with self._turns:
            if not query.askers:  # its turn came before the kill did; then it must not begin
                raise gevent.GreenletExit
            query.begun = True
            try:
                if not any(wanted() for wanted in query.askers):
                    return _Failed(Unwanted())
                return read()
            except Exception as error:  # noqa: BLE001 - raised again in those who wait
                log.warning("backfill failed", feed=self._feed, error=type(error).__name__)
                return _Failed(error)
            finally:
                del self.under_way[question]
