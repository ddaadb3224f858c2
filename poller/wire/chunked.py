"""HTTP/1.1's chunked transfer coding (RFC 9112, section 7.1), for streams on sockets of ours.

Without it an HTTP/1.1 client cannot tell the end of a stream from a cut, and urllib3 waits until
its buffer is full. Pure.
"""

from __future__ import annotations

LAST_CHUNK = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """`data`, which is not empty, as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)
