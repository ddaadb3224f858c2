"""One request for a stream, and each piece of the answer with its time.

The standard library's client is enough: it hands over what has come (`read1`), tells the end from a
cut, and adds nothing of its own to the request. A client that hides pieces and compression, as most
do, would hide what is looked for.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from poller.probing.address import Address
from poller.probing.observed import Answer, Arrival, End

CONNECT_S = 10.0
MOST_BYTES = 16 << 20  # of one answer: a look is no download
PIECE_BYTES = 65_536
OVERTIME_S = 0.5  # until a server is left that sends a head, or a chunk's, for ever

Enough = Callable[[Sequence[Arrival]], bool]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of `address`, and for how long the answer is looked at. `enough` may end that
    before, when it has seen what it wants."""

    address: Address
    seconds: float
    headers: Mapping[str, str]
    method: str = "GET"
    enough: Enough = lambda _: False


class Exchange:
    """One at a time. `context` is for https alone."""

    def __init__(self, request: Request, context: ssl.SSLContext | None) -> None:
        self._request = request
        self._began_at = time.monotonic()
        self._arrivals: list[Arrival] = []
        self._socket: socket.socket | None = None
        self._hung_up = False
        address = request.address
        if address.scheme == "https":
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                address.host, address.port, timeout=CONNECT_S, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(
                address.host, address.port, timeout=CONNECT_S
            )

    def run(self) -> Answer:
        """Ctrl-C ends the look, not the program: what came until then is told."""
        try:
            return self._run()
        finally:
            self._connection.close()

    def _run(self) -> Answer:
        try:
            self._connection.connect()
        except OSError as error:  # TLS and names that cannot be found are such errors, too
            return Answer(problem=why(error), end_s=self._now())
        self._socket = self._connection.sock  # which the connection lets go of before the end
        overtime = threading.Timer(self._left_s() + OVERTIME_S, self._hang_up)
        overtime.daemon = True
        overtime.start()
        try:
            return self._answer(connected_s=self._now())
        finally:
            overtime.cancel()

    def _answer(self, connected_s: float) -> Answer:
        try:
            self._ask()
            response = self._connection.getresponse()
        except (TimeoutError, KeyboardInterrupt):
            return Answer(connected_s=connected_s, end_s=self._now())
        except (OSError, http.client.HTTPException) as error:
            end_s = self._now()
            if self._hung_up:
                return Answer(connected_s=connected_s, end_s=end_s)
            return Answer(connected_s=connected_s, end="cut", problem=why(error), end_s=end_s)
        head_s = self._now()
        if self._hung_up:  # half a head was read as a whole one
            return Answer(connected_s=connected_s, end_s=head_s)
        end = self._read(response)
        return Answer(
            connected_s=connected_s,
            head_s=head_s,
            http="1.0" if response.version == 10 else "1.1",
            status=response.status,
            headers=response.getheaders(),
            arrivals=self._arrivals,
            end=end,
            end_s=self._now(),
        )

    def _ask(self) -> None:
        request, connection = self._request, self._connection
        self._wait_at_most_what_is_left()
        own_host = any(name.lower() == "host" for name in request.headers)
        connection.putrequest(
            request.method,
            request.address.target,
            skip_host=own_host,
            skip_accept_encoding=True,
        )
        for name, value in request.headers.items():
            connection.putheader(name, value)
        connection.endheaders()

    def _read(self, response: http.client.HTTPResponse) -> End:
        bytes_read = 0
        while bytes_read < MOST_BYTES and not self._request.enough(self._arrivals):
            try:
                self._wait_at_most_what_is_left()
                data = response.read1(PIECE_BYTES)
            except (TimeoutError, KeyboardInterrupt):
                return "open"
            except (OSError, http.client.HTTPException):
                return "open" if self._hung_up else "cut"
            if not data:
                if self._hung_up:
                    return "open"
                return "cut" if response.length else "whole"
            bytes_read += len(data)
            self._arrivals.append(Arrival(self._now(), data))
        return "open"

    def _wait_at_most_what_is_left(self) -> None:
        """Raises TimeoutError when nothing is."""
        left_s = self._left_s()
        if left_s <= 0:
            raise TimeoutError
        if self._socket is not None:
            self._socket.settimeout(left_s)

    def _hang_up(self) -> None:
        """In a thread: each byte that comes lets the client wait for the next one as long again."""
        self._hung_up = True
        if self._socket is not None:
            with suppress(OSError):  # of TLS, too, whose own way would take its state away
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _left_s(self) -> float:
        return self._request.seconds - self._now()

    def _now(self) -> float:
        return time.monotonic() - self._began_at


def context_of(*, insecure: bool, protocols: Sequence[str] = ("http/1.1",)) -> ssl.SSLContext:
    """For https: the protocols that are offered, the best first."""
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([*protocols])
    return context


def why(error: Exception) -> str:
    """In the system's words, on one line."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(said.split())
