"""`gunicorn tests.serving.windows_app:app`: the newest rows of a table with a text key."""

import os

from flask import Flask

from poller import Notifier

notifier = Notifier(authorize="public")
notifier.watch(
    "items",
    columns=["x"],
    window=int(os.environ["WINDOW"]),
    order_by="sort",
    window_interval_s=float(os.environ["WINDOW_INTERVAL"]),
)
app = Flask(__name__)
notifier.init_app(app)
