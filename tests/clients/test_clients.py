"""Clients that nobody here wrote, through cuts of every kind: nothing lost, nothing twice.

This is the fast core; `make clients` runs every client through every cut.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clients.browser import CHROMIUM, FIREFOX, Browser
from tests.clients.matrix import differs, run_cuts
from tests.clients.roster import CLIENTS
from tests.conftest import EXERCISED
from tests.harness.process import PartMissing

pytestmark = pytest.mark.clients

# Cuts that leave their clients live come one after the other, on one server: it is quicker.
CUT_OFF = ["between frames", "inside a frame", "before the blank line"]
RESTARTED = ["killed", "drained"]
ENDED = ["reset", "closed"]


@pytest.fixture(scope="module")
def browsers() -> Iterator[dict[str, Browser]]:
    """Those that this machine has. What it lacks is named in the session's last line."""
    with ExitStack() as stack:
        running = {}
        for kind in (CHROMIUM, FIREFOX):
            try:
                running[kind.name] = stack.enter_context(Browser(kind))
            except PartMissing as reason:
                EXERCISED.missing[kind.name] = str(reason)
            else:
                EXERCISED.use(kind.name, running[kind.name].version)
        yield running


@pytest.mark.parametrize(
    "cuts",
    [CUT_OFF, ["before the first row"], ["chunks cut anew"], RESTARTED, ENDED],
    ids=["cut off", "before the first row", "chunks cut anew", "restarted", "ended"],
)
def test_every_row_arrives_once(
    cuts: Sequence[str], browsers: dict[str, Browser], node: Path, tmp_path: Path
) -> None:
    here = {"Python", "Node", *browsers}
    chosen = [client for client in CLIENTS if client.core and client.runtime in here]
    seen = run_cuts(cuts, chosen, browsers, tmp_path)
    wrong = [differs(cuts, client, outcome) for client, outcome in seen.items()]
    assert not any(wrong), "\n".join(filter(None, wrong))
