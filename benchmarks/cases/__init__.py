"""The questions, in the order of the page."""

from benchmarks.case import Case
from benchmarks.cases import (
    burst,
    connect,
    empty_poll,
    latency,
    one_row,
    poll,
    reload,
    slow,
    storm,
)

_MODULES = (one_row, latency, burst, slow, connect, storm, reload, empty_poll, poll)
ALL: tuple[Case, ...] = tuple(module.CASE for module in _MODULES)
