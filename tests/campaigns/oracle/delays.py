"""How long rows took from their commit to the clients. Pure, no I/O."""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from msgspec import Struct

from tests.campaigns.oracle.records import Beat, ClientRecord, Record

# A fault counts as active until this long after the servers were ready again: what was held up by
# it is then delivered.
RECOVERY_S = 1.0


class Wait(Struct, frozen=True):
    """One receipt of a row: from the end of its commit, as its writer saw it, to the client."""

    client: str
    payload: str
    began_s: float  # the commit
    committed_s: float
    received_s: float

    @property
    def waited_s(self) -> float:
        return self.received_s - self.committed_s


class Delays(Struct, frozen=True):
    """Seconds. Counted is each receipt of a committed row by a client that reads at once, on a
    connection whose first frame came before the commit began, where no fault was active between the
    begin of the commit and the receipt.
    """

    count: int
    p50_s: float
    p99_s: float
    longest_s: float


def delays(record: Record, after_s: float = 0.0, before_s: float = float("inf")) -> Delays:
    """Of rows whose commit began in the given time."""
    waits = sorted(one.waited_s for one in calm_waits(record) if after_s <= one.began_s < before_s)
    if not waits:
        return Delays(0, 0.0, 0.0, 0.0)
    count = len(waits)
    return Delays(count, waits[count // 2], waits[int(count * 0.99)], waits[-1])


def calm_waits(record: Record) -> Iterator[Wait]:
    """Those that count."""
    for client in record.clients:
        yield from _waits(record, client)


def _waits(record: Record, client: ClientRecord) -> Iterator[Wait]:
    prompt = {one.number for one in client.connections if one.prompt}
    open_since: dict[int, float] = {}
    for frame in client.frames:
        since = open_since.setdefault(frame.connection, frame.at_s)
        attempt = record.attempts.get(frame.payload)
        if attempt is None or frame.kind != "row" or frame.connection not in prompt:
            continue
        if attempt.ended_s is None or attempt.outcome != "committed" or since > attempt.began_s:
            continue
        if is_calm(record, attempt.began_s, frame.at_s):
            yield Wait(client.name, frame.payload, attempt.began_s, attempt.ended_s, frame.at_s)


def is_calm(record: Record, began_s: float, ended_s: float) -> bool:
    return all(
        ended_s < fault.began_s or began_s > fault.ended_s + RECOVERY_S for fault in record.faults
    )


class Starved:
    """When the machine, or the database, let somebody wait who could have gone on."""

    def __init__(self, beats: list[Beat]) -> None:
        spans = _merged(sorted((one.at_s - one.starved_s, one.at_s) for one in beats))
        self._begins = [begin for begin, _ in spans]
        self._ends = [end for _, end in spans]
        self._before = [0.0, *accumulate(end - begin for begin, end in spans)]

    def between(self, began_s: float, ended_s: float) -> float:
        """Seconds of that time."""
        return self._until(ended_s) - self._until(began_s)

    def _until(self, at_s: float) -> float:
        full = bisect_right(self._ends, at_s)
        part = max(0.0, at_s - self._begins[full]) if full < len(self._begins) else 0.0
        return self._before[full] + part


def _merged(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Sorted spans of time as the fewest that cover the same."""
    merged: list[tuple[float, float]] = []
    for begin, end in spans:
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged
