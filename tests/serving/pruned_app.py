"""`gunicorn tests.serving.pruned_app:app`: the wall's table as a feed of each kind."""

from flask import Flask

from poller import Notifier

notifier = Notifier(authorize="public")
columns = ["author", "body"]
notifier.watch("posts", name="new", columns=columns)
notifier.watch("posts", name="changes", columns=columns, version="version", deleted="deleted_at")
notifier.watch(
    "posts", name="newest", columns=columns, window=200, order_by="id", window_interval_s=0.2
)
app = Flask(__name__)
notifier.init_app(app)
