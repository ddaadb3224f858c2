"""sse-starlette, the usual asyncio way: a queue and a task for each stream, under uvicorn."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing

from benchmarks.contenders.base import Contender, HttpPublisher, needs


class SseStarlette(Contender):
    """`sse_starlette_app.py`; a row is posted to it."""

    title = "sse-starlette"

    def start(self) -> None:
        needs("sse_starlette", "uvicorn", "uvloop", "httptools")
        app = "benchmarks.contenders.sse_starlette_app:app"
        options = ["--port", self.port, "--backlog", 4096, "--no-access-log"]
        options += ["--timeout-keep-alive", 3600]  # of the publisher's connection
        child = self.spawn([sys.executable, "-m", "uvicorn", app, *options, "--log-level=warning"])
        self.wait_listening(child, self.port)
        publisher = HttpPublisher(self.port, "/publish")
        self._publisher = self._stack.enter_context(closing(publisher))

    def send(self, texts: Sequence[str]) -> None:
        self._publisher.send(self.data(texts))
