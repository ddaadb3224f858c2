"""Clients that nobody here wrote, through every cut: nothing lost, nothing twice.

This is the fast core; `make clients` runs all of them.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clients.browser import CHROMIUM, FIREFOX, Browser
from tests.clients.cuts import CUTS
from tests.clients.matrix import run_cut
from tests.clients.roster import CLIENTS
from tests.conftest import EXERCISED
from tests.harness.process import PartMissing

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def browsers() -> Iterator[dict[str, Browser]]:
    """Those that this machine has."""
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


@pytest.mark.parametrize("cut", CUTS)
def test_every_row_arrives_once_through(
    cut: str, browsers: dict[str, Browser], node: Path, tmp_path: Path
) -> None:
    chosen = [client for client in CLIENTS if client.core]
    outcomes = run_cut(cut, chosen, browsers, tmp_path)
    for client, seen in outcomes.items():
        assert seen.well, f"{client.title}: {seen}\n{seen.problem}"
