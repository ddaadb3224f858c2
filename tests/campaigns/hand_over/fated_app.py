"""The wall's new posts, served by workers that die at a chosen point of a hand-over.

A file in the folder FATE is the wish: its name is the point. The first worker that comes there
takes the file away, and is gone.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from poller.serving.moving import protocol
from poller.serving.moving.protocol import Heard, Link, Message
from tests.harness.inserts import create_app

FATE = Path(os.environ["FATE"])


def at(point: str) -> None:
    try:
        (FATE / point).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _fated() -> None:
    say, hear = Link.say, Link.hear

    def fated_say(self: Link, message: Message, *more: Any) -> None:
        at(f"before say {type(message).__name__}")
        say(self, message, *more)
        at(f"after say {type(message).__name__}")

    def fated_hear(self: Link, *within_s: Any) -> Heard:
        heard = hear(self, *within_s)
        at(f"after hear {type(heard.message).__name__}")
        return heard

    protocol.Link.say = fated_say  # type: ignore[method-assign, assignment]
    protocol.Link.hear = fated_hear  # type: ignore[method-assign, assignment]


_fated()
app = create_app()
