"""`gunicorn tests.serving.canary_app:app`: a table of which two columns may be seen.

It is watched thrice: as it is listed, as it was found, and with a column that is not there.
"""

import os
from pathlib import Path

from flask import Flask, render_template_string

from poller import Notifier

PAGE = (
    "<body>{{ rowcast.source('listed') }} {{ rowcast.token('found') }} {{ rowcast.script_url() }}"
)

notifier = Notifier(authorize="public")
notifier.watch("accounts", name="listed", columns=["name"])
notifier.watch("accounts", name="found", columns="*")
notifier.watch("accounts", name="absent", columns=["name", "canary_colum"])

app = Flask(__name__, instance_path=str(Path(os.environ["FOLDER"]) / "instance"))
notifier.init_app(app, default_feed="listed", metrics="public", health="public")


@app.get("/")
def page() -> str:
    return render_template_string(PAGE)
