"""Cuts on a server of their own, with all the clients at once."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.clients.browser import Browser
from tests.clients.cuts import CUTS, MAX_STREAMS
from tests.clients.reader import Reader
from tests.clients.roster import Client
from tests.clients.trial import Outcome, Trial, outcome
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


def run_cuts(
    cuts: Sequence[str], clients: Sequence[Client], browsers: Mapping[str, Browser], folder: Path
) -> dict[Client, Outcome]:
    """What each client has after these cuts in turn. `folder` is new, and keeps the logs."""
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
        for cut in cuts:
            CUTS[cut](trial)
            trial.wait_for_last_row()
        return {reader.client: outcome(trial, reader) for reader in readers}


def differs(cuts: Sequence[str], client: Client, seen: Outcome) -> str:
    """What was seen that is not what the roster says; empty if nothing."""
    if client.cannot.keys() & set(cuts):
        return f"{client.title} can do it after all" if seen.well else ""
    if not seen.well:
        return f"{client.title}: {seen}"
    if "reset" in cuts and seen.resets != 1:
        return f"{client.title} was told of {seen.resets} resets"
    if "closed" in cuts and seen.stayed_away == client.keeps_asking:
        return f"{client.title} stayed away after 204: {seen.stayed_away}"
    return ""
