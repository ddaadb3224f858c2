"""Two apps in one process: a shop, and an office below /office that sees other columns.

Both watch `orders` of DATABASE_URL. They share nothing but the process.
"""

from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from poller import Notifier

public = Notifier()
public.watch("orders", columns=["id", "customer"], authorize="public")

internal = Notifier()
internal.watch("orders", columns=["id", "customer", "total"], authorize="public")


def create_app(name: str, notifier: Notifier) -> Flask:
    app = Flask(name)
    notifier.init_app(app, default_feed="orders")
    return app


app = DispatcherMiddleware(create_app("shop", public), {"/office": create_app("office", internal)})
