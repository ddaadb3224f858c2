"""What fits into a limit of open files."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.access.capacity import MOST_PAGES, RESERVED_DESCRIPTORS, Capacity
from poller.runtime.settings import MAX_STREAMS, Settings, SettingsError
from tests.harness.logged import logged

PROJECT = Path(__file__).parents[3]
DOCS = PROJECT / "docs" / "settings.md"
ANN, BEN = "198.51.100.1", "198.51.100.2"


# -- open files ---------------------------------------------------------------------------------


@given(st.integers(1, 2_000_000), st.none() | st.integers(1, MAX_STREAMS))
def test_streams_pages_and_the_reserve_never_exceed_the_limit(
    open_files: int, configured: int | None
) -> None:
    room = Capacity.within(open_files, configured)
    assert room.streams >= 1
    assert room.pages >= 1
    assert room.streams <= (configured or MAX_STREAMS)
    assert room.pages <= MOST_PAGES
    if open_files >= RESERVED_DESCRIPTORS + 2:
        assert room.streams + room.pages + RESERVED_DESCRIPTORS <= open_files


@given(st.integers(1, 2_000_000), st.integers(1, MAX_STREAMS))
def test_the_servers_connections_suffice_for_whatever_is_configured(
    open_files: int, configured: int
) -> None:
    """gunicorn's are reckoned without the setting, which an application may give in code."""
    connections, room = Capacity.within(open_files), Capacity.within(open_files, configured)
    assert room.streams + room.pages <= connections.streams + connections.pages


def test_what_the_docs_say_fits_into_a_limit_does() -> None:
    cells = r"\| ([\d,]+)(?: and more)? \| ([\d,]+) \| ([\d,]+) \|"
    rows = [[int(n.replace(",", "")) for n in row] for row in re.findall(cells, DOCS.read_text())]
    assert [limit for limit, _, _ in rows] == [256, 1024, 4096, 20_000, 21_100]
    for limit, streams, pages in rows:
        room = Capacity.within(limit)
        assert (room.streams, room.pages) == (streams, pages)
    assert Capacity.within(21_099).streams < MAX_STREAMS
    assert Capacity.within(1_000_000).streams == MAX_STREAMS


def test_the_log_says_how_many_fit_and_how_to_get_more() -> None:
    with logged() as said:
        Capacity.within(1024).announce()
        Capacity.within(1024, 500).announce()
        Capacity.within(1024, 5_000).announce()
    few, enough, fewer = said
    assert (few["level"], few["streams"], few["wanted"]) == ("warning", 740, 20_000)
    assert "LimitNOFILE=21100" in few["what_to_do"]
    assert (enough["level"], enough["streams"]) == ("info", 500)
    assert (fewer["level"], fewer["wanted"]) == ("warning", 5_000)
    advised = int(re.findall(r"LimitNOFILE=(\d+)", fewer["what_to_do"])[0])
    assert Capacity.within(advised).streams >= 5_000


def test_the_limit_is_raised_as_far_as_it_may_be() -> None:
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1024));"
        "from poller.access.capacity import Capacity;"
        "print(Capacity.of_this_process().streams)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=PROJECT
    )
    assert int(ended.stdout) == Capacity.within(1024).streams


def test_more_than_a_worker_may_hold_is_an_error() -> None:
    with pytest.raises(SettingsError, match=r"ROWCAST_MAX_STREAMS='20001': .* equal to 20000"):
        Settings.from_env({"ROWCAST_MAX_STREAMS": "20001"})
