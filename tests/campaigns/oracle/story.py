"""The story of an anomaly: what happened to one row, in the order of time, in words."""

from collections import Counter
from collections.abc import Iterator

from tests.campaigns.oracle.checker import Anomaly
from tests.campaigns.oracle.records import ClientRecord, Record

TOLD_OF_A_KIND = 2
LINES_TOLD = 40
AROUND_S = 3.0
SHOWN_TOKEN_CHARS = 120


def stories(record: Record, anomalies: list[Anomaly]) -> str:
    """The first few anomalies, each with what the journals say about its row and its client."""
    first_s = min((one.began_s for one in record.attempts.values()), default=0.0)
    parts = []
    told_of: Counter[str] = Counter()
    for anomaly in sorted(anomalies, key=lambda one: one.at_s):
        told_of[anomaly.kind] += 1
        if told_of[anomaly.kind] > TOLD_OF_A_KIND:
            continue
        parts.append(_head(anomaly, first_s))
        told = sorted(_events(record, anomaly))
        parts += [f"  {at - first_s:8.3f}  {what}" for at, what in told[:LINES_TOLD]]
    return "\n".join(parts)


def _head(anomaly: Anomaly, first_s: float) -> str:
    where = f"at {anomaly.at_s - first_s:.3f} s"
    what = f"row {anomaly.row_id} ({anomaly.payload})" if anomaly.payload else "a page"
    detail = _shown(anomaly.detail)
    return f"{anomaly.kind} at the client '{anomaly.client}', {where}: {what}; {detail}"


def _events(record: Record, anomaly: Anomaly) -> Iterator[tuple[float, str]]:
    """What happened to the row, and around that time to its client."""
    row = [*_row(record, anomaly.payload)]
    yield from row
    times = [anomaly.at_s, *(at for at, what in row if f"'{anomaly.client}'" in what)]
    around = [*_faults(record)]
    around += [event for one in record.clients if one.name == anomaly.client for event in _own(one)]
    for at_s, what in around:
        if any(abs(at_s - time) < AROUND_S for time in times):
            yield at_s, what


def _row(record: Record, payload: str) -> Iterator[tuple[float, str]]:
    attempt = record.attempts.get(payload)
    if attempt is not None:
        yield attempt.began_s, f"{attempt.writer}: id {attempt.row_id}, commit begins"
        ended_s = attempt.began_s if attempt.ended_s is None else attempt.ended_s
        yield ended_s, f"{attempt.writer}: id {attempt.row_id}, {attempt.outcome}"
    for client in record.clients:
        for frame in client.frames:
            if frame.payload and frame.payload == payload:
                where = f"connection {frame.connection}"
                yield frame.at_s, f"'{client.name}' has it, {where}, id {_shown(frame.event_id)}"


def _faults(record: Record) -> Iterator[tuple[float, str]]:
    for fault in record.faults:
        yield fault.began_s, f"fault: {fault.name}"
        yield fault.ended_s, f"ready again after: {fault.name}"


def _own(client: ClientRecord) -> Iterator[tuple[float, str]]:
    """The client's connections, places and resets."""
    for one in client.connections:
        asked = _shown(one.asked or "now")
        yield one.at_s, f"connection {one.number} to {one.server}, from {asked}"
    for frame in client.frames:
        if frame.kind != "row":
            yield frame.at_s, f"{frame.kind} {frame.reason} {_shown(frame.event_id)}"


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN_TOKEN_CHARS else f"{text[:SHOWN_TOKEN_CHARS]}…"
