"""`gunicorn tests.serving.many_feeds:app`: streams the tables that `FEEDS` names."""

import os

from flask import Flask

from poller import Notifier

notifier = Notifier()
for table in os.environ["FEEDS"].split():
    notifier.watch(table)
app = Flask(__name__)
notifier.init_app(app)
