"""docs/clients.md tells of the clients, the cuts and the versions that the matrix has now."""

import re

import pytest

from tests.clients.cuts import CUTS
from tests.clients.document import PAGE, Run, page, pinned
from tests.clients.roster import CLIENTS
from tests.clients.trial import Outcome

WELL = Outcome(wanted=30, received=30, doubled=0, foreign=0, resets=1, stayed_away=True, problem="")


@pytest.fixture(scope="module")
def written() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_page_is_what_its_figures_make_of_the_roster(written: str) -> None:
    """All but the columns that a run fills: so a client, a note or its code cannot be stale."""
    told = re.search(r"on (\d{4}-\d\d-\d\d), .*?\nwith (.*?)\.\n`make test`", written, re.DOTALL)
    assert told
    versions = dict(part.split(" ") for part in told[2].split(", "))
    again = page(Run(told[1], versions, {cut: dict.fromkeys(CLIENTS, WELL) for cut in CUTS}))
    assert _without_figures(written) == _without_figures(again)


def test_every_client_and_its_pinned_version_has_a_row(written: str) -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in written.splitlines()]
    shown = [(row[0].replace("`", ""), row[1], row[2]) for row in rows if len(row) == 8][2:]
    assert [one[:2] for one in shown] == [(client.name, client.runtime) for client in CLIENTS]
    for client, (_, _, version) in zip(CLIENTS, shown, strict=True):
        assert version == pinned(client) or not client.package


def test_the_page_admits_what_the_roster_does(written: str) -> None:
    for client in CLIENTS:
        for cut in CUTS:
            row = next(
                line
                for line in written.splitlines()
                if line.replace("`", "").startswith(f"| {client.name} | {client.runtime} |")
            )
            assert bool(re.search(rf"\d {cut}", row)) == (cut in client.cannot)


def _without_figures(text: str) -> str:
    return re.sub(r"\| [\d,]+ of [\d,]+ \| [^|]* \| [^|]* \|", "| figures |", text)
