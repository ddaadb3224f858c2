"""Counters begin at 0: an alert sees no increase of what was not there before."""

import re

from poller.runtime import metrics
from poller.wire import notices
from tests.docs.pages import PROJECT

FEED = "counted-from-zero"
# Besides the reasons of a reset: names of events, and what is no text.
NO_REASONS = {notices.START_EVENT, notices.LIVE_EVENT, notices.RESET_EVENT, notices.POSITION_EVENT}


def test_every_counter_of_a_feed_is_there_before_anything_is_counted() -> None:
    metrics.count_from_zero(FEED)
    told = metrics.expose([FEED])[0].decode()
    for counter, kinds in metrics.KINDS.items():
        for kind in kinds:
            label = counter._labelnames[1]
            assert f'{counter._name}_total{{feed="{FEED}",{label}="{kind}"}} 0.0' in told


def test_the_reasons_of_a_reset_are_those_of_the_wire() -> None:
    said = {text for name, text in vars(notices).items() if name.isupper() and type(text) is str}
    assert set(metrics.KINDS[metrics.resets]) == said - NO_REASONS


def test_the_reasons_of_refusals_are_those_of_the_docs() -> None:
    page = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    for counter in (metrics.rejections, metrics.refused):
        (line,) = re.findall(rf"^\| `{counter._name}_total` \|.*$", page, re.MULTILINE)
        named = set(re.findall(r"`([a-z-]+)`", line)) - {"reason", "authorize"}
        assert set(metrics.KINDS[counter]) == named
