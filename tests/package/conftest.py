"""An environment with the package installed from a copy of the repository, once a session."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.harness import sql
from tests.package.helpers import PROJECT, Environment, Server

TABLE = "CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, customer TEXT, total INTEGER)"
LEFT_OUT = (".venv", ".git", "node_modules", "__pycache__", ".*_cache", ".hypothesis")


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, as somebody has it who has run the wall from it."""
    copy = tmp_path_factory.mktemp("checkout") / "rowcast"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
    (copy / "instance").mkdir(exist_ok=True)
    (copy / "instance" / "rowcast.db").touch()
    return copy


@pytest.fixture(scope="session")
def installed(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A new environment with `rowcast[postgresql]`, and what the tests need beside it."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    environment = Environment(folder / "bin")
    environment.run(
        "pip",
        "install",
        "--quiet",
        f"{checkout}[postgresql]",
        "pytest",
        "waitress",
        "Flask-SQLAlchemy",
    )
    return environment


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with nothing of ours but a database that has the table `orders`."""
    folder = tmp_path / "shop"
    folder.mkdir()
    sql.execute(f"sqlite:///{folder / 'shop.db'}", TABLE)
    return folder


@pytest.fixture
def order(shop: Path) -> Callable[[str], None]:
    """order(customer): commits a row, as another program would."""

    def insert(customer: str) -> None:
        url = f"sqlite:///{shop / 'shop.db'}"
        sql.execute(url, "INSERT INTO orders (customer, total) VALUES (%s, 5)", [customer])

    return insert


@pytest.fixture
def serve(installed: Environment, shop: Path) -> Iterator[Callable[..., Server]]:
    """serve(program, *arguments, workers=…, **env): a running server in the shop's folder.

    `{port}` in an argument is the server's.
    """
    with ExitStack() as stack:

        def start(program: str, *arguments: str, workers: int = 0, **env: Any) -> Server:
            command = [installed.path(program), *arguments]
            return stack.enter_context(Server(shop, command, env, workers))

        yield start


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a shell has that never saw Rowcast."""
    for name in os.environ:
        if name.startswith("ROWCAST_") or name in ("DATABASE_URL", "PROMETHEUS_MULTIPROC_DIR"):
            monkeypatch.delenv(name)
