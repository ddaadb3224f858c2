"""The server of `rowcast watch`, from the first poll to Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Callable

import gevent
from gevent.event import Event
from gevent.pywsgi import WSGIServer

from poller.runtime import log
from poller.serving.server import PYWSGI
from poller.watching.app import make_app
from poller.watching.gate import Gate
from poller.watching.tables import Tables

LOOPBACK = "127.0.0.1"
ENDED_BY = (signal.SIGINT, signal.SIGTERM)
STOP_S = 1.0  # for answers that are under way


def listener(port: int) -> WSGIServer:
    """A server that listens, on loopback alone, and answers nothing yet; `port` 0 is any that is
    free. Raises OSError."""
    server: WSGIServer = WSGIServer((LOOPBACK, port), log=None, error_log=None)
    server.init_socket()
    return server


def serve(server: WSGIServer, tables: Tables, said: Callable[[str], object]) -> None:
    """Serve the page until a signal ends it. `said(address)` is called when it can be opened."""
    log.configure(tables.settings.log_level, tables.settings.log_format)
    port = int(server.server_port or 0)
    gate = Gate(port)
    server.application = make_app(tables, gate)
    over = Event()
    handlers = [gevent.signal_handler(number, over.set) for number in ENDED_BY]
    try:
        server.start()
        tables.service.start(PYWSGI)
        said(f"http://{LOOPBACK}:{port}/?token={gate.token}")
        over.wait()
    finally:
        tables.close()
        server.stop(timeout=STOP_S)
        for handler in handlers:
            handler.cancel()
