"""The floor: what the kernel takes for a send, from a bare loop in Python."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from contextlib import closing

from benchmarks.contenders.base import PUBLISH_S, Contender
from tests.harness.ports import free_port


class Floor(Contender):
    """`floor_server.py` in a process of its own; a row is a line on its control socket."""

    title = "send() loop (floor)"

    def start(self) -> None:
        control = free_port()
        command = [sys.executable, "-m", "benchmarks.contenders.floor_server", self.port, control]
        child = self.spawn(command)
        self.wait_listening(child, control)
        link = socket.create_connection(("127.0.0.1", control), timeout=PUBLISH_S)
        self._control = self._stack.enter_context(closing(link))

    def send(self, texts: Sequence[str]) -> None:
        self._control.sendall("".join(f"{row}\n" for row in self.data(texts)).encode())
