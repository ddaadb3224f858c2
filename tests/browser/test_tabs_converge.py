"""Random tabs over a random feed: all come to the same rows. converge.js has the rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.stage import Stage

pytestmark = pytest.mark.browser

PROGRAM = Path(__file__).with_name("converge.js").read_text(encoding="utf-8")
SEEDS = 6
DONE_MS = 100_000


@pytest.mark.parametrize("kind", ["window", "version"])
def test_tabs_converge(kind: str, chromium: Browser) -> None:
    """All seeds at once, since they mostly wait."""
    context = chromium.new_context()
    page = Stage(context, '<!doctype html><script src="/rowcast.js"></script>').open().page
    page.set_default_timeout(DONE_MS)
    page.add_script_tag(content=PROGRAM)
    wrong = page.evaluate(
        "async ([kind, seeds]) => {"
        " const runs = Array.from({ length: seeds }, (_, seed) => converge(kind, seed));"
        " return Promise.all(runs); }",
        [kind, SEEDS],
    )
    assert wrong == [[]] * SEEDS
    context.close()
