"""What is written down during a torture: each record is one line of JSON in somebody's journal.

Times are seconds of CLOCK_MONOTONIC, which on Linux is the same clock for every process. A payload
is the hash of a row's text, and every row has a text of its own: so a frame names the attempt that
made it, in whatever history of the table it was made.
"""

import hashlib
import time
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

Outcome = Literal["committed", "rolled back", "unknown"]
now_s = time.monotonic


def payload_of(text: str) -> str:
    """The name of a row in all journals."""
    return hashlib.blake2s(text.encode(), digest_size=8).hexdigest()


class Attempt(Struct, frozen=True, tag="attempt"):
    """One row that a writer tried to insert.

    Written as "unknown" before the commit is sent and again with its outcome after it, so that a
    writer killed in between leaves the truth: nobody knows.
    """

    writer: str
    payload: str
    row_id: int
    began_s: float  # the commit
    ended_s: float | None = None
    outcome: Outcome = "unknown"


class Deletion(Struct, frozen=True, tag="deletion"):
    """A committed row that a writer tried to delete; written twice like an attempt."""

    payload: str
    outcome: Outcome = "unknown"


class Connection(Struct, frozen=True, tag="connection"):
    """A client asks for the stream. `prompt`: it reads at once and stays, so its delays count."""

    number: int
    server: str
    asked: str | None  # the Last-Event-ID that was sent
    at_s: float
    prompt: bool = True


class Frame(Struct, frozen=True, tag="frame"):
    """What a client received, completely. `place` is a frame with nothing but an id."""

    connection: int
    kind: Literal["row", "place", "reset"]
    at_s: float
    event_id: str  # the client's last event id after this frame; empty if it was left out
    row_id: int = 0
    payload: str = ""
    reason: str = ""


class NaiveRow(Struct, frozen=True, tag="naive"):
    """A row that the naive poller saw."""

    row_id: int
    payload: str


class Fault(Struct, frozen=True, tag="fault"):
    """From its begin until the servers were ready again. `fired`: it was seen to take effect."""

    name: str
    began_s: float
    ended_s: float
    fired: bool


class Truth(Struct, frozen=True, tag="truth"):
    """All rows (payload → id) of one history of the table, as its last transaction saw them.

    The truncation that ended this history began and ended at these times; the last has none.
    """

    rows: dict[str, int]
    began_s: float | None = None
    ended_s: float | None = None


class Deed(Struct, frozen=True, tag="deed"):
    """Something that a run has to contain, or it says nothing: ids were burnt, say."""

    name: str
    at_s: float


class Pass(Struct, frozen=True, tag="pass"):
    """One pass of a worker's poller over the table, as `observer.py` saw it.

    `life`: since the poller last opened the table. `complete`: it read everything that there was;
    one that failed, was cut off by its limit or ended in a reset is not.
    """

    worker: str
    life: int
    began_s: float
    ended_s: float
    complete: bool
    gaps: int
    payloads: list[str]  # of the rows that it brought


class Beat(Struct, frozen=True, tag="beat"):
    """Something that takes no time took this long, up to `at_s`.

    `starved_s`: the machine let it wait. `blocked_s`, of a worker: its hub did not turn.
    """

    who: str
    at_s: float
    starved_s: float
    blocked_s: float = 0.0


class Sentinel(Struct, frozen=True, tag="sentinel"):
    """The last row of all, written when everything is well: whoever has it has been served."""

    payload: str


Told = Attempt | Deletion | NaiveRow | Fault | Deed | Pass | Beat | Truth | Sentinel
Entry = Told | Connection | Frame


@dataclass
class ClientRecord:
    """One client's journal, in the order of time."""

    name: str
    connections: list[Connection] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)


@dataclass
class Record:
    """Everything known about one run."""

    attempts: dict[str, Attempt] = field(default_factory=dict)  # by payload
    deletions: dict[str, Deletion] = field(default_factory=dict)
    clients: list[ClientRecord] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    planned: list[str] = field(default_factory=list)  # names of faults
    truths: list[Truth] = field(default_factory=list)  # one for each history, the last one last
    sentinel: str = ""
    naive: list[NaiveRow] = field(default_factory=list)
    writers: list[str] = field(default_factory=list)
    planned_deeds: list[str] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    watched: bool = False  # whether the workers wrote down their passes
    passes: list[Pass] = field(default_factory=list)  # of all workers
    beats: list[Beat] = field(default_factory=list)
    # Longer than this a commit must not wait, if the clock is to judge: seconds.
    longest_wait_s: float | None = None
    in_order: bool = False  # few rows are committed after one with a greater id
