"""Push servers that are fed from a PostgreSQL table, the ways that people do it in twenty lines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contenders.base import Contender, needs
from benchmarks.contenders.nchan import Nchan
from tests.harness import sql

EVERY_S = 0.1  # as often as Rowcast polls by default
POSTS = (
    "CREATE TABLE posts (id bigserial PRIMARY KEY, author text, body text, "
    "created_at timestamptz NOT NULL DEFAULT now())"
)
FUNCTION = (
    "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "PERFORM pg_notify('posts', {}); RETURN NULL; END $$"
)
TRIGGER = "CREATE TRIGGER told AFTER INSERT ON posts FOR EACH {} EXECUTE FUNCTION tell()"
TELL_EACH_ROW = (FUNCTION.format("row_to_json(NEW)::text"), TRIGGER.format("ROW"))
# For Rowcast: that there is something, and not what.
TELL = (FUNCTION.format("'posts'"), TRIGGER.format("STATEMENT"))


class Fed(Contender):
    """Rows are inserted into `posts` of the database at `url`, which is empty at first."""

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        self.database_url = url

    def prepare(self, *statements: str) -> None:
        for statement in (POSTS, *statements):
            sql.execute(self.database_url, statement)
        self._connection = self._stack.enter_context(sql.connect(self.database_url))

    def send(self, texts: Sequence[str]) -> None:
        """All in one transaction."""
        insert = "INSERT INTO posts (author, body) VALUES ('bench', %s)"
        with self._connection.cursor() as cursor:
            cursor.executemany(insert, [(text,) for text in texts])
        self._connection.commit()


class PolledNchan(Fed, Nchan):
    """nchan beside a script that polls the table and posts what is new."""

    title = "nchan, fed by a script that polls"

    def start(self) -> None:
        self.prepare()
        Nchan.start(self)
        script = Path(__file__).with_name("table_poller.py")
        self.spawn([sys.executable, script, self.database_url, self.port, EVERY_S])


class Notified(Fed):
    """An application that listens to what a trigger tells."""

    title = "LISTEN/NOTIFY in twenty lines"

    def start(self) -> None:
        needs("sse_starlette", "uvicorn", "uvloop", "httptools")
        self.prepare(*TELL_EACH_ROW)
        app = "benchmarks.contenders.notify_app:app"
        options = ["--port", self.port, "--backlog", 4096, "--no-access-log", "--log-level=warning"]
        command = [sys.executable, "-m", "uvicorn", app, *options]
        self.wait_listening(self.spawn(command, {"DATABASE_URL": self.database_url}), self.port)
