"""The wheel in a new environment, serving the README's first program to a reader."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.docs.pages import PROJECT, blocks
from tests.harness import sql
from tests.harness.sse import Stream
from tests.package.helpers import Environment, Server

README = PROJECT / "README.md"
BOUND_S = 60.0


def new_environment(folder: Path, *packages: str) -> Environment:
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    environment = Environment(folder / "bin")
    environment.run("pip", "install", "--quiet", *packages)
    return environment


def first_program() -> tuple[str, str, str]:
    """Its module, its text, and the SQL of its table: as the README has them."""
    program = next(one for one in blocks(README) if "file" in one.options)
    table = next(one for one in blocks(README) if one.text.startswith("$ sqlite3"))
    return program.options["file"].removesuffix(".py"), program.text, table.text.split('"')[1]


def smoke(environment: Environment, said: str, folder: Path) -> None:
    """Raises AssertionError with what went wrong."""
    assert environment.run("rowcast", "--version").stdout == f"rowcast, version {said}\n"
    assert "No broken requirements" in environment.run("pip", "check").stdout
    module, program, table = first_program()
    shop = folder / "shop"
    shop.mkdir()
    (shop / f"{module}.py").write_text(program, encoding="utf-8")
    database = f"sqlite:///{shop / 'shop.db'}"
    sql.execute(database, table)
    environment.run("rowcast", "doctor", "shop.db", "orders", folder=shop)
    gunicorn = [environment.path("gunicorn"), "-k", "poller.Worker", "-b", "127.0.0.1:{port}"]
    with Server(shop, [*gunicorn, f"{module}:app"], {}, workers=1) as server:
        _reads_a_row(f"{server.url}/stream/orders", database)
        looked = environment.run_any("rowcast", "probe", f"{server.url}/stream/orders")
        assert looked.returncode == 0, looked.stdout + looked.stderr


def _reads_a_row(url: str, database: str) -> None:
    with Stream(url) as stream:
        stream.wait_for(lambda it: it.of_type("live"), BOUND_S, "live")
        sql.execute(database, "INSERT INTO orders (customer, total) VALUES ('Ada', 30)")
        stream.wait_for_rows(1, BOUND_S)
        assert stream.rows == [{"id": 1, "customer": "Ada", "total": 30}]
