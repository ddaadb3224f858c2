"""The decorators by which an application has its functions called with the rows of a feed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from poller.handlers import RowHandler
from poller.watch import Watch

Handler = TypeVar("Handler", bound=RowHandler)


class Decorators:
    """Those of a notifier, which knows its feeds by their names."""

    def _watch(self, name: str) -> Watch:
        """Raises KeyError if no such feed is watched."""
        raise NotImplementedError

    def on_row(self, name: str) -> Callable[[Handler], Handler]:
        """A decorator: call the function with each new row of the feed `name`, as a dict.

            @notifier.on_row("orders")
            def print_receipt(order):
                ...

        It is called in every process that polls, so with four workers four times: for what has to
        happen once, use a queue or a lock. Rows come after they are in the log, one after the
        other, as their stream shows them, inside the application's context; rows that were
        committed before the process began to poll do not. What the function raises is logged and
        ends nothing. While it waits, streams go on.

        Raises KeyError if no such feed is watched, ValueError if its rows may change: there nobody
        knows whether a row is new.
        """
        watch = self._watch(name)
        if watch.rows_change:
            raise ValueError(
                f"rows of {name} may change, so nobody knows which are new: use on_change"
            )
        return _adds_to(watch.handlers)

    def on_change(self, name: str) -> Callable[[Handler], Handler]:
        """A decorator: call the function with each row of the feed `name` that is inserted or
        changed, as it is then. Otherwise as `on_row()`, for a feed whose rows may change.

        Raises KeyError if no such feed is watched, ValueError if it is one of new rows.
        """
        return _adds_to(self._of_changes(name).handlers)

    def on_delete(self, name: str) -> Callable[[Handler], Handler]:
        """A decorator: call the function with the key of each row of the feed `name` that is gone,
        as a dict. Otherwise as `on_change()`.
        """
        return _adds_to(self._of_changes(name).on_delete)

    def _of_changes(self, name: str) -> Watch:
        watch = self._watch(name)
        if not watch.rows_change:
            raise ValueError(
                f"{name} is a feed of new rows, which do not change: use on_row, or watch it with "
                "version= or window="
            )
        return watch


def _adds_to(handlers: list[RowHandler]) -> Callable[[Handler], Handler]:
    def add(function: Handler) -> Handler:
        handlers.append(function)
        return function

    return add
