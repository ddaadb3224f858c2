"""The questions, in the order of the page."""

from benchmarks.case import Case
from benchmarks.cases import burst, connect, one_row, poll, reload, slow, storm

_MODULES = (one_row, burst, slow, connect, storm, reload, poll)
ALL: tuple[Case, ...] = tuple(module.CASE for module in _MODULES)
