"""The services of this process, for the server that runs it: what to start, to bound and to drain.

A server is given a WSGI callable, which may be the application itself or anything wrapped around
it. So each service is registered when it is made, and no server has to look into wrappers.
"""

from __future__ import annotations

from typing import Protocol
from weakref import WeakSet

from poller.access.capacity import Capacity
from poller.runtime.settings import Settings
from poller.serving.moving.stock import Holder
from poller.serving.server import Server


class Served(Holder, Protocol):
    """One application's service: `poller.service.Service`."""

    settings: Settings
    capacity: Capacity

    def start(self, identified: Server | None = None) -> None: ...
    def drain_what_stays(self) -> None: ...
    def drain(self) -> None: ...


_services: WeakSet[Served] = WeakSet()


def register(service: Served) -> None:
    """Let the server know of it, for as long as it lives."""
    _services.add(service)


def services() -> list[Served]:
    """Those of all applications that live in this process."""
    return [*_services]
