"""One cut, with a server of its own and all the clients at once."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.clients.browser import Browser
from tests.clients.cuts import CUTS, MAX_STREAMS, Outcome, Trial, outcome
from tests.clients.reader import Reader
from tests.clients.roster import Client
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn

RETRY_MS = 500  # Firefox takes no less
SETTINGS = {
    "ROWCAST_RETRY": str(RETRY_MS),
    "ROWCAST_MAX_STREAMS": str(MAX_STREAMS),
    "ROWCAST_IDLE_INTERVAL": "0.1",
    "ROWCAST_POST_RATE": "",  # the wall's
}
TABLE = "CREATE TABLE posts (id INTEGER PRIMARY KEY AUTOINCREMENT, author TEXT, body TEXT)"


def run_cut(
    name: str, clients: Sequence[Client], browsers: Mapping[str, Browser], folder: Path
) -> dict[Client, Outcome]:
    """What each client has after that cut. `folder` is new, and keeps the logs."""
    url = f"sqlite:///{folder / 'rows.sqlite3'}"
    sql.execute(url, TABLE)
    settings = {"DATABASE_URL": url, **SETTINGS}
    with ExitStack() as stack:
        server = stack.enter_context(Gunicorn(folder, settings, app="tests.clients.shop:app"))
        server.wait_ready()
        readers = [
            stack.enter_context(Reader(client, server.port, folder, browsers)) for client in clients
        ]
        trial = Trial(server, url, list(readers))
        CUTS[name](trial)
        trial.wait_for_last_row()
        return {reader.client: outcome(trial, reader) for reader in readers}
