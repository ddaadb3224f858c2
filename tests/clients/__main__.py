"""`make clients`: every client through every cut; writes docs/clients.md.

Exit status 1 where something else was seen than the roster says. Where the machine lacks a part,
its clients are left out, and the page stays as it was.
"""

import datetime as dt
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.clients.browser import KINDS, Browser
from tests.clients.cuts import CUTS
from tests.clients.document import PAGE, Run, page, runtimes
from tests.clients.matrix import differs, run_cuts
from tests.clients.roster import CLIENTS, Client
from tests.clients.trial import Outcome


def main() -> int:
    outcomes: dict[str, dict[Client, Outcome]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rowcast-clients-")))
        browsers = {kind.name: stack.enter_context(Browser(kind)) for kind in KINDS if kind.program}
        versions = runtimes(browsers)
        clients = [client for client in CLIENTS if client.runtime in versions]
        surprises = []
        for number, cut in enumerate(CUTS, start=1):
            (own := folder / str(number)).mkdir()
            start_s = time.monotonic()
            outcomes[cut] = run_cuts([cut], clients, browsers, own)
            found = _surprises(cut, outcomes[cut])
            say(f"{cut}: {len(clients)} clients, {time.monotonic() - start_s:.0f} s", *found)
            surprises += found
    return _conclude(Run(dt.datetime.now(dt.UTC).date().isoformat(), versions, outcomes), surprises)


def _surprises(cut: str, outcomes: Mapping[Client, Outcome]) -> list[str]:
    found = (differs([cut], client, seen) for client, seen in outcomes.items())
    return [f"{cut}: {text}" for text in found if text]


def _conclude(run: Run, surprises: Sequence[str]) -> int:
    left_out = [client.title for client in CLIENTS if client.runtime not in run.runtimes]
    if surprises:
        say(f"{len(surprises)} differ from tests/clients/roster.py; {PAGE.name} stays as it was")
    elif left_out:
        say(f"left out: {'; '.join(left_out)}", f"{PAGE.name} stays as it was")
    else:
        PAGE.write_text(page(run), encoding="utf-8")
        say(f"as the roster says; wrote {PAGE}")
    return 1 if surprises else 0


def say(*lines: str) -> None:
    print("\n".join(lines), flush=True)  # noqa: T201 - what it is for


if __name__ == "__main__":
    sys.exit(main())
