"""The application that the clients read: one table, whose stream can be ended for good."""

from flask import Flask

from poller import Notifier

notifier = Notifier()
notifier.watch("posts", columns=["id", "author", "body"], authorize="public")
app = Flask(__name__)
notifier.init_app(app, default_feed="posts")


@app.post("/close")
def close() -> str:
    """Streams end, and whoever asks again gets 204."""
    notifier.close("posts")
    return "closed"
