"""For tests in this process: let its greenlets run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import gevent

from poller.serving import server

PATIENCE_S = 30.0
STEP_S = 0.001


def until(fact: Callable[[], object], what: str) -> None:
    """Let greenlets run until it is so; `what` is said if that takes too long."""
    with gevent.Timeout(PATIENCE_S, AssertionError(f"not within {PATIENCE_S} s: {what}")):
        while not fact():
            gevent.sleep(STEP_S)


@contextmanager
def unpatched() -> Iterator[None]:
    """Inside, feeds start in this process, though it is not patched for gevent.

    It has one thread, so they run whenever a test waits by gevent's own calls.
    """
    with mock.patch.object(server, "check"):
        yield
