"""`gunicorn …oracle.served_app:app`: the wall with a feed of new posts, as a test wants it.

The environment says what is planted: `MUTANT` names a mistake, `OBSERVED_IN` the folder for the
journals of the workers. `/stop-and-start?pause=S` stops the polling of the worker that answers, for
S seconds. gunicorn.conf.py has patched the standard library before this is imported.
"""

import os
from pathlib import Path

import gevent
from flask import Flask, request

from poller.web.current import service_of
from tests.campaigns.oracle import observer
from tests.campaigns.oracle.mutants import MUTANTS, VARIABLE
from tests.harness.inserts import create_app


def stop_and_start() -> str:
    """Polling stops and goes on; who answers says who it was."""
    service = service_of(app)
    service.stop()
    gevent.sleep(float(request.args["pause"]))
    service.start()
    return str(os.getpid())


def served() -> Flask:
    if mutant := os.environ.get(VARIABLE):
        MUTANTS[mutant].plant()
    if folder := os.environ.get(observer.VARIABLE):
        observer.Observer(Path(folder)).plant()
    made = create_app()
    made.add_url_rule("/stop-and-start", view_func=stop_and_start)
    return made


app = served()
