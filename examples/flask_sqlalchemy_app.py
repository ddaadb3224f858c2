"""Flask-SQLAlchemy: its model is watched, its engine makes the connections.

The page at / shows the newest orders, and its stream goes on exactly where they end. A form posts
new ones. `print_receipt` runs in the server for each new order, whoever inserted it.
"""

import os
from typing import Any

from flask import Flask, redirect, render_template_string, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.wrappers import Response

from poller import Notifier


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]
    total: Mapped[int]


PAGE = """
<!doctype html>
<title>Orders</title>
<form method="post"><input name="customer" required><button>Order</button></form>
<ul data-stream="{{ rowcast.source('orders', orders) }}">
  {% for order in orders %}<li>{{ order.customer }}</li>{% endfor %}
</ul>
<script>
  const list = document.querySelector("ul");
  const source = new EventSource(list.dataset.stream);
  source.onmessage = (event) => {
    const item = document.createElement("li");
    item.textContent = JSON.parse(event.data).customer;
    list.prepend(item);
  };
  source.addEventListener("reset", () => location.reload());
</script>
"""

db = SQLAlchemy(model_class=Base)
notifier = Notifier()
notifier.watch(Order, columns=["id", "customer", "total"], authorize="public")


@notifier.on_row("orders")
def print_receipt(order: dict[str, Any]) -> None:
    print(f"receipt for {order['customer']}", flush=True)


def create_app() -> Flask:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
    db.init_app(app)
    with app.app_context():
        db.create_all()
        notifier.init_app(app, database=db.engine)

    @app.get("/")
    def index() -> str:
        newest = db.select(Order).order_by(Order.id.desc()).limit(50)
        return render_template_string(PAGE, orders=db.session.scalars(newest).all())

    @app.post("/")
    def add() -> Response:
        db.session.add(Order(customer=request.form["customer"], total=1))
        db.session.commit()
        notifier.wake("orders")
        return redirect("/", 303)

    return app
