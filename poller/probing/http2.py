"""Is HTTP/2 spoken there, and how many streams may one connection carry?

It takes the handshake of TLS, in which the protocol is agreed on (ALPN, RFC 7301), and the first
frame that the server sends, its SETTINGS (RFC 9113, section 6.5): no library is needed for that.
Browsers speak HTTP/2 over TLS alone.
"""

from __future__ import annotations

import socket
import ssl
import struct
import time

from poller.probing.address import Address

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
EMPTY_SETTINGS = bytes(3) + b"\x04" + bytes(5)
HEAD_BYTES = 9
SETTINGS = 4
MAX_CONCURRENT_STREAMS = 3
TIMEOUT_S = 10.0
MOST_BYTES = 16_384  # of a frame, as long as nothing else was agreed on


def agreed(address: Address, context: ssl.SSLContext) -> tuple[bool, int | None]:
    """Whether HTTP/2 is agreed on, and how many streams it carries: None if the server names no
    number. `context` offers both protocols. Raises OSError."""
    with (
        socket.create_connection((address.host, address.port), TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=address.host) as secured,
    ):
        if secured.selected_alpn_protocol() != "h2":
            return False, None
        secured.sendall(PREFACE + EMPTY_SETTINGS)
        return True, streams_in(_first_frame(secured))


def streams_in(settings: bytes) -> int | None:
    """The number in the body of a SETTINGS frame: pairs of 2 and 4 bytes."""
    whole = settings[: len(settings) // 6 * 6]
    return dict(struct.iter_unpack(">HI", whole)).get(MAX_CONCURRENT_STREAMS)


def _first_frame(secured: ssl.SSLSocket) -> bytes:
    """The body of the first one, which is always SETTINGS; empty if it is not."""
    until = time.monotonic() + TIMEOUT_S
    head = _bytes(secured, HEAD_BYTES, until)
    length = int.from_bytes(head[:3])
    if len(head) < HEAD_BYTES or head[3] != SETTINGS or length > MOST_BYTES:
        return b""
    return _bytes(secured, length, until)


def _bytes(secured: ssl.SSLSocket, count: int, until: float) -> bytes:
    """So many, or fewer at the end. Raises TimeoutError, however they trickle in."""
    data = b""
    while len(data) < count:
        if (left_s := until - time.monotonic()) <= 0:
            raise TimeoutError
        secured.settimeout(left_s)
        piece = secured.recv(count - len(data))
        if not piece:
            break
        data += piece
    return data
