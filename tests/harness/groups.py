"""Which tests run in one process when there are several (pytest-xdist).

A group stays together: one for each database server, so that it is started once; one for each file,
so that a wall which its tests share is started once; one for the installed package, so that its
environment is made once. Of the campaigns each test is a group: it takes long and shares nothing.
Long groups begin first, so that the processes end about together.

The scheduler knows the ids of tests only, so a test that names its server nowhere in its id goes
with its file: then that server is started in both processes, and nothing else happens.
"""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

SERVERS = ("postgresql", "mariadb")
PACKAGE = "tests/package/"
# In this order. What is not here is short.
LONG = (
    PACKAGE,
    "tests/campaigns/",
    "tests/proxies/",
    "tests/serving/",
    "tests/browser/",
    "tests/docs/",
    "tests/clients/",
    "tests/test_benchmarks",
    "tests/poller/reading/",
)


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]
    """xdist's own `--dist loadgroup` reads the group from the end of an id, where pytest 9.2 keeps
    what was put there to itself."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def group_of(nodeid: str) -> str:
    file, _, name = nodeid.partition("::")
    for server in SERVERS:
        if server in name:
            return server
    if file.startswith(PACKAGE):
        return PACKAGE
    return nodeid if "campaigns" in file else file


def long_first(items: list[pytest.Item]) -> None:
    """Sorts the tests of each process in the same way."""
    items.sort(key=lambda item: _rank(item.nodeid))


def _rank(nodeid: str) -> tuple[bool, int]:
    places = [place for place, part in enumerate(LONG) if nodeid.startswith(part)]
    return group_of(nodeid) not in SERVERS, min(places, default=len(LONG))
