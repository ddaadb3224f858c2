"""The application behind the recipes: orders, which change, and the recipes' own pages."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from flask import Flask, Response, render_template_string, send_from_directory
from sqlalchemy import Column, Integer, MetaData, String, Table, select

from poller import Notifier

PAGES = Path(os.environ["RECIPES"])
NEWEST = "SELECT customer, total FROM orders WHERE deleted_at IS NULL ORDER BY id DESC LIMIT 50"
LIST = """
<ul>{% for customer, total in orders %}<li>{{ customer }}: {{ total }}</li>{% endfor %}</ul>
"""

ORDERS = Table(
    "orders",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("customer", String),
    Column("total", Integer),
    Column("deleted_at", String),
)
OPEN = select(ORDERS.c.id, ORDERS.c.customer, ORDERS.c.total).where(ORDERS.c.deleted_at.is_(None))

notifier = Notifier()
notifier.watch(
    "orders",
    columns=["id", "customer", "total"],
    version="version",
    deleted="deleted_at",
    authorize="public",
)
notifier.watch(
    OPEN.order_by(ORDERS.c.total.desc().nulls_last()),
    name="largest",
    key="id",
    window=200,
    authorize="public",
)
app = Flask(__name__, static_folder=PAGES / "static")
notifier.init_app(app)


@app.get("/<name>.html")
def page(name: str) -> Response:
    return send_from_directory(PAGES, f"{name}.html")


@app.get("/orders")
def orders() -> str:
    path = os.environ["DATABASE_URL"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute(NEWEST)
        return render_template_string(LIST, orders=rows.fetchall())
