"""`gunicorn tests.serving.moving_app:app`: a feed of each kind, for streams that move: by id with a
filter, by version, and by window."""

from flask import Flask

from poller import Notifier

notifier = Notifier(authorize="public")
notifier.watch("posts", columns=["id", "author", "body"], filters=["author"])
notifier.watch("orders", columns=["id", "total"], version="version", deleted="deleted_at")
notifier.watch("items", columns=["x"], window=5, order_by="sort", window_interval_s=0.1)
app = Flask(__name__)
notifier.init_app(app)
