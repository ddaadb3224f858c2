"""The shortest app: the table `orders` of DATABASE_URL as a stream at /stream/orders.

CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, customer TEXT, total INTEGER)
"""

from flask import Flask

from poller import Notifier

notifier = Notifier()
notifier.watch("orders", columns=["id", "customer", "total"], authorize="public")

app = Flask(__name__)
app.config.from_prefixed_env()  # FLASK_DATABASE_URL and the like; or DATABASE_URL
notifier.init_app(app)
