"""What a test must not leave behind: greenlets, threads, open connections of this process."""

import gc
import itertools
import os
import socket
import stat
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakSet

import gevent
import psutil

SETTLE_TIMEOUT_S = 30.0
STEP_S = 0.02
ROUNDS_BEFORE_COLLECTION = 5  # most need none, and one costs a third of a second


@dataclass(frozen=True)
class Census:
    """What is alive now, by identity, so that an older leak is not blamed on a later test."""

    greenlets: frozenset[int]
    threads: frozenset[int]
    connections: frozenset[int]


class LeakCheck:
    """Knows every gevent greenlet started since it was made; no scan of the heap needed."""

    def __init__(self) -> None:
        self._greenlets: WeakSet[gevent.Greenlet[..., Any]] = WeakSet()
        gevent.Greenlet.add_spawn_callback(self._greenlets.add)

    def census(self) -> Census:
        return Census(
            frozenset(id(one) for one in self._live_greenlets()),
            frozenset(id(one) for one in _own_threads()),
            frozenset(one.fd for one in _connections()),
        )

    def left_since(self, before: Census) -> list[str]:
        """Descriptions of what is new and does not go away within a bounded wait; [] is well."""
        end_s = time.monotonic() + SETTLE_TIMEOUT_S
        rounds = itertools.count(1)
        while left := self._new_since(before):
            if time.monotonic() > end_s:
                break
            gevent.sleep(STEP_S)  # lets those run that are about to end
            if next(rounds) % ROUNDS_BEFORE_COLLECTION == 0:
                gc.collect()
        return left

    def _new_since(self, before: Census) -> list[str]:
        live, threads = self._live_greenlets(), _own_threads()
        greenlets = [repr(one) for one in live if id(one) not in before.greenlets]
        running = [repr(one) for one in threads if id(one) not in before.threads]
        opened = [one for one in _connections() if one.fd not in before.connections]
        return greenlets + running + [f"connection {one.laddr} → {one.raddr}" for one in opened]

    def _live_greenlets(self) -> list["gevent.Greenlet[..., Any]"]:
        return [one for one in list(self._greenlets) if not one.dead]


def _own_threads() -> list[threading.Thread]:
    """Without gevent's pool workers, which it keeps for the next call."""
    return [one for one in threading.enumerate() if not isinstance(one, threading._DummyThread)]


def _connections() -> list[Any]:
    """psutil reads the machine's table of connections, which may be long: only where it must."""
    if not any(map(_is_of_internet, Path("/dev/fd").iterdir())):
        return []
    return [one for one in psutil.Process().net_connections("tcp") if one.status == "ESTABLISHED"]


def _is_of_internet(descriptor: Path) -> bool:
    """Whether it is a socket by which another machine could be reached."""
    try:
        number = int(descriptor.name)
        if not stat.S_ISSOCK(os.fstat(number).st_mode):
            return False
        with socket.socket(fileno=os.dup(number)) as one:
            return one.family in (socket.AF_INET, socket.AF_INET6)
    except OSError:  # closed meanwhile, as the one by which the folder was listed
        return False
