"""The application for `flask_sse.py`, as in the library's quickstart."""

from gevent import monkey

monkey.patch_all()

import os

from flask import Flask
from flask_sse import sse

app = Flask(__name__)
app.config["REDIS_URL"] = os.environ["REDIS_URL"]
app.register_blueprint(sse, url_prefix="/stream")
