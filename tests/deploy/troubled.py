"""`gunicorn tests.deploy.troubled:app`: an application of whose feeds each meets another trouble.

Its tables are made by the test: see `test_prometheus.py`.
"""

from flask import Flask, Request

from poller import Notifier

COLUMNS = {
    "late": ["id", "created_at"],
    "held": ["id", "body"],
    "renamed": ["id", "body"],
    "truncated": ["id", "body"],
    "slow": ["id", "body"],
    "broken": ["id", "body", "note"],
}

notifier = Notifier()


def fails(_: Request) -> bool:
    raise RuntimeError("the directory of users is away")


for name, columns in COLUMNS.items():
    notifier.watch(name, key="id", columns=columns, authorize="public")
notifier.watch("late", name="private", columns=["id"], authorize=fails)

app = Flask(__name__)
notifier.init_app(app)
