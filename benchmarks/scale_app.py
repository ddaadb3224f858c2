"""An application of SCALE_FEEDS feeds, for `scale.py`."""

import os

from flask import Flask

from poller import Notifier

notifier = Notifier()
for number in range(int(os.environ["SCALE_FEEDS"])):
    notifier.watch(f"t{number}", columns=["id", "body"], authorize="public")

app = Flask(__name__)
notifier.init_app(app)
