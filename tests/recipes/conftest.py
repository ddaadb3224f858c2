"""One server with a page for each recipe, made of the blocks in README and docs."""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import EXERCISED
from tests.docs.pages import BLOCKS
from tests.harness.gunicorn import Gunicorn

PACKAGES = Path(__file__).parent / "node_modules"
TABLE = """
CREATE TABLE orders_version (last INTEGER NOT NULL);
INSERT INTO orders_version VALUES (0);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    customer TEXT,
    total INTEGER,
    deleted_at TEXT,
    version INTEGER NOT NULL UNIQUE DEFAULT 0
);
CREATE TRIGGER orders_insert AFTER INSERT ON orders
BEGIN
  UPDATE orders_version SET last = last + 1;
  UPDATE orders SET version = (SELECT last FROM orders_version) WHERE id = NEW.id;
END;
CREATE TRIGGER orders_update AFTER UPDATE ON orders WHEN NEW.version IS OLD.version
BEGIN
  UPDATE orders_version SET last = last + 1;
  UPDATE orders SET version = (SELECT last FROM orders_version) WHERE id = NEW.id;
END;
"""
HEAD = '<!doctype html>\n<meta charset="utf-8">\n<link rel="icon" href="data:,">\n'
BUNDLED = '<div id="root"></div>\n<script type="module" src="/static/{}.js"></script>\n'
SCRIPTS = {
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "htmx4.min.js": "htmx4/dist/htmx.min.js",
    "alpine.min.js": "alpinejs/dist/cdn.min.js",
}
BUNDLE = ["--bundle", "--minify", "--format=esm", "--jsx=automatic", "--external:/rowcast.mjs"]
BUILD_TIMEOUT_S = 60


class Shop:
    """The server, and who writes into its table from the side."""

    def __init__(self, server: Gunicorn, database: Path) -> None:
        self.server = server
        self._database = database
        self.orders: list[list[str]] = []  # customer and total, the newest first

    def insert(self, *customers: str) -> None:
        for customer in customers:
            self._execute("INSERT INTO orders (customer, total) VALUES (?, 7)", customer)
            self.orders.insert(0, [customer, "7"])

    def change(self, customer: str, total: int) -> None:
        self._execute("UPDATE orders SET total = ? WHERE customer = ?", total, customer)
        for order in self.orders:
            order[1] = str(total) if order[0] == customer else order[1]

    def remove(self, customer: str) -> None:
        gone = "UPDATE orders SET deleted_at = CURRENT_TIMESTAMP WHERE customer = ?"
        self._execute(gone, customer)
        self.orders = [order for order in self.orders if order[0] != customer]

    def begin_again(self, customer: str) -> None:
        """Another table with the same name, and no moment without one."""
        create(self._database, "DROP TABLE orders; DROP TABLE orders_version;")
        self.orders = []
        self.insert(customer)

    def _execute(self, statement: str, *parameters: object) -> None:
        with closing(sqlite3.connect(self._database)) as database, database:
            database.execute(statement, parameters)


def create(database: Path, first: str = "") -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(f"BEGIN; {first} {TABLE} COMMIT;")


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder of npm packages, filled by `make test`."""
    if not PACKAGES.is_dir() or shutil.which("node") is None:
        EXERCISED.skip("Node", "npm install was not run in tests/recipes (make test does it)")
    return PACKAGES


@pytest.fixture(scope="module")
def shop(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("recipes")
    write_pages(folder / "pages", packages)
    database = folder / "shop.sqlite3"
    create(database)
    env = {
        "DATABASE_URL": f"sqlite:///{database}",
        "RECIPES": str(folder / "pages"),
        "ROWCAST_IDLE_INTERVAL": "0.1",
        "ROWCAST_POST_RATE": "",  # the wall's
    }
    with Gunicorn(folder, env, app="tests.recipes.shop:app") as server:
        yield Shop(server.wait_ready(), database)


def recipes() -> Mapping[str, tuple[str, str]]:
    """name → (language, text), from all pages."""
    pages = [block for block in BLOCKS if block.language in {"html", "jsx"}]
    found = [block for block in pages if "recipe" in block.options]
    named = {one.options["recipe"]: (one.language, one.text) for one in found}
    assert len(named) == len(found), "two recipes have one name"
    return named


def write_pages(folder: Path, packages: Path) -> None:
    static = folder / "static"
    static.mkdir(parents=True)
    for name, path in SCRIPTS.items():
        shutil.copyfile(packages / path, static / name)
    for name, (language, text) in recipes().items():
        page = text
        if language == "jsx":
            bundle(name, text, static, packages)
            page = BUNDLED.format(name)
        (folder / f"{name}.html").write_text(HEAD + page, encoding="utf-8")
    newer = (folder / "htmx.html").read_text(encoding="utf-8").replace("htmx.min", "htmx4.min")
    (folder / "htmx4.html").write_text(newer, encoding="utf-8")


def bundle(name: str, text: str, static: Path, packages: Path) -> None:
    """As a user's bundler does it."""
    source = static.parent / f"{name}.jsx"
    source.write_text(text, encoding="utf-8")
    subprocess.run(
        [packages / ".bin" / "esbuild", source, *BUNDLE, f"--outfile={static / f'{name}.js'}"],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "NODE_PATH": str(packages)},
        check=True,
        capture_output=True,
        timeout=BUILD_TIMEOUT_S,
    )
