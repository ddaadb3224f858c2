"""`gunicorn tests.serving.status_app:app`: orders have ids of a sequence, notes are numbered by
hand, so that not all is promised of them."""

import time

from flask import Flask

from poller import Notifier

BUSY_S = 0.8

app = Flask(__name__)
notifier = Notifier(authorize="public")
notifier.watch("orders", columns=["id", "body", "created_at"])
notifier.watch("notes", columns=["id", "body"])
notifier.init_app(app)


@app.get("/busy")
def busy() -> str:
    """Computes, and lets nobody else run: what a route must not do."""
    until = time.process_time() + BUSY_S
    while time.process_time() < until:
        pass
    return "done"
