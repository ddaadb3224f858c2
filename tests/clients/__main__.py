"""`make clients`: every client through every cut; writes docs/clients.md.

Exit status 1 where something else was seen than the roster says.
"""

import datetime as dt
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.clients.browser import CHROMIUM, FIREFOX, Browser
from tests.clients.cuts import CUTS
from tests.clients.document import PAGE, Run, page, runtimes
from tests.clients.matrix import differs, run_cuts
from tests.clients.roster import CLIENTS


def main() -> int:
    outcomes, surprises = {}, []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rowcast-clients-")))
        browsers = {kind.name: stack.enter_context(Browser(kind)) for kind in (CHROMIUM, FIREFOX)}
        versions = runtimes(browsers)
        for number, cut in enumerate(CUTS, start=1):
            start_s = time.monotonic()
            (own := folder / str(number)).mkdir()
            outcomes[cut] = seen = run_cuts([cut], CLIENTS, browsers, own)
            found = [differs([cut], client, one) for client, one in seen.items()]
            found = [f"{cut}: {text}" for text in found if text]
            took_s = time.monotonic() - start_s
            say(f"{cut}: {len(seen)} clients, {took_s:.0f} s", *found)
            surprises += found
    if surprises:
        say(f"{len(surprises)} differ from tests/clients/roster.py; {PAGE.name} is left as it was")
        return 1
    PAGE.write_text(page(Run(date, versions, outcomes)), encoding="utf-8")
    say(f"as the roster says; wrote {PAGE}")
    return 0


def say(*lines: str) -> None:
    print("\n".join(lines), flush=True)  # noqa: T201 - what it is for


if __name__ == "__main__":
    sys.exit(main())
