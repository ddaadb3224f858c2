"""`gunicorn tests.serving.many_feeds:app`: streams the tables that `FEEDS` names, of
each the columns that `SHOWN` names."""

import os

from flask import Flask

from poller import Notifier

notifier = Notifier(authorize="public")
for table in os.environ["FEEDS"].split():
    notifier.watch(table, columns=os.environ["SHOWN"].split())
app = Flask(__name__)
notifier.init_app(app)
