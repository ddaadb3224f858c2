"""The questions, in the order of the document."""

from benchmarks.case import Case
from benchmarks.cases import one_row

ALL: tuple[Case, ...] = (one_row.CASE,)
