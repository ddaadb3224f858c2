"""One app, two databases: `orders` of DATABASE_URL at /stream/orders, `readings` of ARCHIVE_URL at
/archive/stream/readings. Each notifier has its own settings, /readyz and limits.
"""

import os

from flask import Flask

from poller import Notifier

shop = Notifier()
shop.watch("orders", columns=["id", "customer", "total"], authorize="public")

archive = Notifier("archive")
archive.watch("readings", columns=["id", "celsius"], authorize="public", poll_interval_s=5)

app = Flask(__name__)
shop.init_app(app)
archive.init_app(app, database=os.environ["ARCHIVE_URL"], url_prefix="/archive")
