"""What rowcast.js says of its connection is what happens to it, in Chromium and in Firefox."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clients.browser import CHROMIUM, FIREFOX, Browser, Kind
from tests.clients.matrix import SETTINGS, TABLE
from tests.clients.reader import Reader
from tests.clients.roster import CLIENTS
from tests.clients.stops import Stop
from tests.clients.trial import Trial, outcome
from tests.conftest import EXERCISED
from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.http import request
from tests.harness.process import PartMissing

pytestmark = pytest.mark.clients

THERE = {"catching-up", "live"}


@pytest.fixture(params=[CHROMIUM, FIREFOX], ids=lambda kind: kind.name)
def trial(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Trial]:
    """A server, and a page with rowcast.js behind a proxy."""
    kind: Kind = request.param
    url = f"sqlite:///{tmp_path / 'rows.sqlite3'}"
    sql.execute(url, TABLE)
    ours = ("rowcast.js", kind.name)
    (client,) = [one for one in CLIENTS if (one.name, one.runtime) == ours]
    with ExitStack() as stack:
        try:
            browser = stack.enter_context(Browser(kind))
        except PartMissing as reason:
            EXERCISED.skip(kind.name, str(reason))
        settings = {"DATABASE_URL": url, **SETTINGS}
        server = Gunicorn(tmp_path, settings, app="tests.clients.shop:app")
        stack.enter_context(server).wait_ready()
        reader = Reader(client, server.port, tmp_path, {kind.name: browser})
        yield Trial(server, url, [stack.enter_context(reader)])


def test_states_are_told_truly(trial: Trial) -> None:
    (reader,) = trial.readers
    reader.proxy.hold()
    trial.open()
    trial.wait("a request", lambda one: one.proxy.requests and one.states)
    assert reader.states == ["connecting"]

    trial.stop_at(Stop("start"))
    reader.proxy.let_in()
    trial.wait_stopped()
    trial.wait("the first event", lambda one: len(one.states) > 1)
    assert reader.states == ["connecting", "catching-up"]

    reader.proxy.pass_rest()
    trial.wait("all events", lambda one: one.states[-1] == "live")
    trial.insert(10)
    trial.wait_for_last_row()
    assert reader.states == ["connecting", "catching-up", "live"]

    reader.proxy.refuse()
    trial.insert(10)
    trial.wait("some attempts", lambda one: one.states[3:].count("connecting") > 2)
    assert not THERE & set(reader.states[3:])

    reader.proxy.accept()
    trial.wait_for_last_row()
    trial.wait("all events", lambda one: one.states[-1] == "live")
    assert reader.states[-3:] == ["connecting", "catching-up", "live"]

    trial.insert(10)
    trial.wait_for_last_row()
    request(f"{trial.server.url}/close", "POST")
    trial.wait("the end", lambda one: one.closed)
    seen = outcome(trial, reader)
    assert (seen.received, seen.doubled, seen.foreign, trial.problems) == (30, 0, 0, {})
