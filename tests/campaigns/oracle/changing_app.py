"""`gunicorn tests.campaigns.oracle.changing_app:app`: a table whose rows change, by version.

`MUTANT` names a mistake that is planted: see `changing_mutants()`.
"""

import os

import gevent
from flask import Flask, request

from poller import Notifier
from poller.delivery.changes_log import ChangesLog
from poller.delivery.resuming import Resuming
from poller.web.current import service_of
from tests.campaigns.oracle.mutants import VARIABLE

COLUMNS = ["id", "body", "version"]


def replaced_states_stay() -> None:
    """The ring sends what was replaced, also to whoever had a newer state from another worker."""
    ChangesLog._supersede = lambda *_: None  # type: ignore[method-assign]
    Resuming._is_read_for = lambda *_: True  # type: ignore[method-assign]


MUTANTS = {"replaced_states_stay": replaced_states_stay}


def stop_and_start() -> str:
    service = service_of(app)
    service.stop()
    gevent.sleep(float(request.args["pause"]))
    service.start()
    return str(os.getpid())


def served() -> Flask:
    if mutant := os.environ.get(VARIABLE):
        MUTANTS[mutant]()
    made, notifier = Flask(__name__), Notifier(authorize="public")
    notifier.watch("orders", columns=COLUMNS, version="version", deleted="deleted_at")
    notifier.init_app(made, default_feed="orders")
    made.add_url_rule("/stop-and-start", view_func=stop_and_start)
    return made


app = served()
