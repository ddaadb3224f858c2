"""Plain connections that say what a test wants, for clients that are none."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

READ_BYTES = 65_536


@contextmanager
def connections(
    port: int, count: int, says: bytes = b"", source: str = "127.0.0.1"
) -> Iterator[list[socket.socket]]:
    """So many at once to 127.0.0.1, each having said this, and reading with a short timeout."""
    with ExitStack() as stack:
        opened = []
        for _ in range(count):
            one = stack.enter_context(
                socket.create_connection(("127.0.0.1", port), 30, (source, 0))
            )
            one.settimeout(0.001)
            with suppress(ConnectionError):
                one.sendall(says)
            opened.append(one)
        yield opened


def answers(
    clients: list[socket.socket], timeout_s: float, drip: bytes = b"", drip_interval_s: float = 0.2
) -> list[bytes]:
    """What each got until the server ended the connection; meanwhile each goes on to drip.

    AssertionError where one is still open after `timeout_s`.
    """
    got = dict.fromkeys(clients, b"")
    still_open, end_s = set(clients), time.monotonic() + timeout_s
    while still_open:
        left = f"{len(still_open)} of {len(clients)} still open after {timeout_s} s"
        assert time.monotonic() < end_s, left
        round_ends_s = time.monotonic() + drip_interval_s
        for one in [*still_open]:
            try:
                one.sendall(drip)
                data = one.recv(READ_BYTES)
            except TimeoutError:
                continue
            except ConnectionError:
                data = b""
            got[one] += data
            if not data:
                still_open.discard(one)
        time.sleep(max(0.0, round_ends_s - time.monotonic()))
    return [got[one] for one in clients]
