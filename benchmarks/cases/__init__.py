"""The questions, in the order of the document."""

from benchmarks.case import Case
from benchmarks.cases import (
    burst,
    fence,
    heartbeat,
    hub,
    one_row,
    pages,
    poll,
    queries,
    slow,
    storm,
)

ALL: tuple[Case, ...] = tuple(
    module.CASE
    for module in (one_row, burst, heartbeat, hub, slow, pages, storm, queries, poll, fence)
)
