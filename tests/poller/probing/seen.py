"""Observations made by hand: an answer of given pieces, for the findings."""

from __future__ import annotations

from collections.abc import Sequence

from poller.probing.finding import Finding
from poller.probing.findings import findings_of
from poller.probing.observed import Answer, Arrival, End, Observed

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "Transfer-Encoding": "chunked",
    "Date": "Thu, 26 Nov 2026 12:00:00 GMT",
}
Pieces = Sequence[tuple[float, bytes | str]]
ROWS: Pieces = [(0.01, b"id: 1\ndata: {}\n\n"), (3, b":\n"), (5, b"id: 2\ndata: {}\n\n")]


def answer(
    pieces: Pieces = ROWS,
    *,
    end: End = "open",
    end_s: float = 20.0,
    status: int = 200,
    http: str = "1.1",
    head_s: float = 0.01,
    **headers: str | None,
) -> Answer:
    """One with these pieces; a header is named with `_` for `-`, and None takes it away."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    arrivals = [
        Arrival(at_s, data.encode() if isinstance(data, str) else data) for at_s, data in pieces
    ]
    return Answer(
        connected_s=0.005,
        head_s=head_s,
        http=http,
        status=status,
        headers=[(name, value) for name, value in {**HEADERS, **given}.items() if value],
        arrivals=arrivals,
        end=end,
        end_s=end_s,
    )


def observed(first: Answer | None = None, **others: object) -> Observed:
    given = {"url": "http://127.0.0.1/stream", "tls": True, "http2": True, "streams": 100, **others}
    return Observed(first=answer() if first is None else first, **given)  # type: ignore[arg-type]


def find(name: str, seen: Observed) -> Finding:
    """The finding of this name."""
    found = [one for one in findings_of(seen) if one.name == name]
    assert len(found) == 1, (name, found)
    return found[0]
