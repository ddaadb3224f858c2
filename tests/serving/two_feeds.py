"""`gunicorn tests.serving.two_feeds:app`: an application that streams two tables."""

from flask import Flask

from poller import Notifier

notifier = Notifier()
notifier.watch("orders")
notifier.watch("invoices")
app = Flask(__name__)
notifier.init_app(app)
