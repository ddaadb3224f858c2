"""`gunicorn tests.serving.hints_app:app`: rows that only a hint brings, for nothing is polled again
within an hour: one feed by its ids, one by window."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import Connection, text

from poller import Database, Notifier, Settings

HOUR_S = 3600.0
INSERT = text("INSERT INTO orders (item) VALUES (:item)")
notifier = Notifier(authorize="public")
notifier.watch("orders", columns=["id", "item"])
notifier.watch("orders", name="newest", columns=["item"], window=100, order_by="id")
app = Flask(__name__)
settings = Settings.from_env().with_changes(
    poll_interval_s=HOUR_S, idle_interval_s=HOUR_S, window_interval_s=HOUR_S
)
database = Database(settings.database_url, query_timeout_s=settings.query_timeout_s)
notifier.init_app(app, database=database, settings=settings)


def insert(item: str, *, told: str | None) -> None:
    def work(connection: Connection) -> None:
        connection.execute(INSERT, {"item": item})
        if told is not None:
            notifier.notify(connection, told)

    database.write(work)


@app.post("/silent/<item>")
def insert_silently(item: str) -> str:
    """As another program does it."""
    insert(item, told=None)
    return item


@app.post("/notify/<item>")
def insert_and_notify(item: str) -> str:
    """As the wall does it: those who listen are told when it commits."""
    insert(item, told="orders")
    return item


@app.post("/wake/<item>/<int:times>")
def insert_and_wake(item: str, times: int) -> str:
    """Rows in one worker, each with a hint."""
    for number in range(times):
        insert(f"{item} {number}", told=None)
        notifier.wake()
    return item
