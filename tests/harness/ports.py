"""TCP ports for the servers of the tests: no two test processes on a machine are given the same.

A server that is restarted comes back to its port, so the port must stay free while the server is
down. The ports here lie below those that Linux gives to clients (32768 and above), and each process
takes them from a block that it locks until it ends.
"""

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from functools import cache
from itertools import cycle
from pathlib import Path

FIRST_PORT, END_PORT = 15_000, 32_000
BLOCK_PORTS = 1_000  # more than one process asks for
LOCKS = Path(tempfile.gettempdir()) / "rowcast-test-ports"


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens, and that no other test process is given."""
    return next(port for port in _own_ports() if _is_free(port))


@cache
def _own_ports() -> Iterator[int]:
    """The ports of this process's block, one after the other, again and again."""
    for block in range(FIRST_PORT, END_PORT, BLOCK_PORTS):
        if _lock(LOCKS / f"{block}.lock"):
            return cycle(range(block, block + BLOCK_PORTS))
    raise AssertionError(f"all blocks of ports are locked: who holds {LOCKS}?")


def _lock(path: Path) -> bool:
    """Whether this process now holds the lock; it does until it ends."""
    path.parent.mkdir(exist_ok=True)
    held = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
