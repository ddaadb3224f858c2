"""Who is woken by the log: streams that wait for something, each by an event of its own."""

from __future__ import annotations

from collections.abc import Iterable

from gevent.event import Event

from poller.delivery.view_index import OpenView


class Listeners:
    """Those of one log. A stream with a greenlet of its own listens to its view: or all would be
    woken at each poll, for rows that nearly none of them gets."""

    def __init__(self) -> None:
        self._listeners: set[Event] = set()
        self.listened_to: set[OpenView] = set()
        self._awaiting_pass: set[Event] = set()

    def attach(self, listener: Event, opened: OpenView | None = None) -> None:
        """`listener` is set whenever there may be something new, in this view or in any."""
        if opened is None:
            self._listeners.add(listener)
        else:
            opened.listeners.add(listener)
            self.listened_to.add(opened)

    def detach(self, listener: Event, opened: OpenView | None = None) -> None:
        self._awaiting_pass.discard(listener)
        if opened is None:
            self._listeners.discard(listener)
            return
        opened.listeners.discard(listener)
        if not opened.listeners:
            self.listened_to.discard(opened)

    def await_pass(self, listener: Event) -> None:
        """Set `listener` after the next complete pass, whatever it brings."""
        self._awaiting_pass.add(listener)

    def notify(self) -> None:
        """Wake all."""
        self.notify_of(self.listened_to)

    def notify_of(self, views: Iterable[OpenView]) -> None:
        """Wake those who listen to one of these views, or to all."""
        for listener in self._listeners:
            listener.set()
        for opened in views:
            for listener in opened.listeners:
                listener.set()

    def notify_of_pass(self) -> None:
        """Wake those who await one."""
        while self._awaiting_pass:
            self._awaiting_pass.pop().set()
