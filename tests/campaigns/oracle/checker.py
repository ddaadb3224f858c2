"""The checker: what each client received, against what was in the table. Pure, no I/O.

Each client is judged page by page (`pages.py`), each page against the history of the table that its
rows are of. The anomalies:

| kind | meaning |
|---|---|
| lost | in the table at the end, and the last page should have it and has not |
| duplicated | twice in one page |
| unexpected | a row that nobody tried to insert, or that was rolled back |
| divergent | another text under the same id, or the same text under another id |
| silent hole | the page's last event id claims a row that it never received: it will never come |
| false reset | a reset without a change of history |
| missed reset | rows of two histories in one page: the reset came after some, or not at all |

A reset excuses what its page had not received yet. A row that was deleted or truncated may have
been seen or not. The outcome of a commit that nobody knows is what the table says.

One thing is counted but is no anomaly: `repeated by merge`, a row sent again to a client whose
token could not name all gaps (`poller/ids/cursor_token.py` merges the nearest; "twice, never
missed").
"""

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from poller.ids.cursor_token import parse_token
from tests.campaigns.oracle.pages import Page, cursor_of, pages_of
from tests.campaigns.oracle.records import Attempt, ClientRecord, Frame, Record

ANOMALIES = (
    "lost",
    "duplicated",
    "unexpected",
    "divergent",
    "silent hole",
    "false reset",
    "missed reset",
)
MERGED = "repeated by merge"
# A token that is shorter, and has no mark of the whole, had room for all gaps. What was merged once
# stays so, also when some of the gaps have died since, and the token is short again: what it did
# not say comes again, in as many answers as that takes.
MERGED_TOKEN_CHARS = 700  # of 1,000
# Within this time after a truncation every worker that runs has noticed it: two polls and a margin
# for a busy machine. A worker that stood still meanwhile has it from the end of that fault.
SETTLED_S = 10.0


class Anomaly(Struct, frozen=True):
    kind: str
    client: str
    at_s: float
    row_id: int = 0
    payload: str = ""
    detail: str = ""


def anomalies(record: Record) -> list[Anomaly]:
    """Everything that should not be, client by client."""
    judge = _Judge(record)
    return [one for client in record.clients for one in judge.client(client)]


def contradictions(record: Record) -> list[str]:
    """Where the journals and the table cannot both be right; no verdict stands on such a record."""
    truths = [payload for truth in record.truths for payload in truth.rows]
    found = [
        f"row {one} is in two histories" for one, times in Counter(truths).items() if times > 1
    ]
    found += [f"row {one} is in the table, and nobody wrote it" for one in truths
              if one not in record.attempts]  # fmt: skip
    there = set(truths)
    for payload, attempt in record.attempts.items():
        deletion = record.deletions.get(payload)
        gone = deletion is not None and deletion.outcome != "rolled back"
        if attempt.outcome == "committed" and payload not in there and not gone:
            found.append(f"row {payload} ({attempt.writer}) was committed and is not in the table")
        if attempt.outcome == "rolled back" and payload in there:
            found.append(f"row {payload} ({attempt.writer}) was rolled back and is in the table")
    return found


class _Judge:
    def __init__(self, record: Record) -> None:
        self._record = record
        self._history = {
            payload: number for number, truth in enumerate(record.truths) for payload in truth.rows
        }

    def client(self, client: ClientRecord) -> Iterator[Anomaly]:
        pages = pages_of(client)
        for page in pages:
            yield from self._rows(client, page)
            yield from self._reset(client, page)
        last = pages[-1]
        yield from self._last_page(client, last)
        for page in pages[:-1]:
            histories = self._histories(page)
            if len(histories) == 1:
                yield from self._holes(client, page, histories[0])
            elif histories:
                detail = f"the reset of page {page.number} came after rows of the new history"
                yield Anomaly("missed reset", client.name, page.started_s, detail=detail)

    def _rows(self, client: ClientRecord, page: Page) -> Iterator[Anomaly]:
        """What is wrong with single rows of a page: unexpected, divergent, duplicated."""
        asked = {one.number: one.asked or "" for one in client.connections}
        seen: set[str] = set()
        merged_once = False  # one of the page's ids up to here had no room for all
        by_id: dict[tuple[int | None, int], str] = {}
        for frame in page.rows:
            came_with = asked.get(frame.connection, "")
            merged_once = merged_once or is_merged(frame.event_id) or is_merged(came_with)
            if problem := self._unexpected(frame.payload):
                yield self._of(client, frame, "unexpected", problem)
                continue
            truth_id = self._truth_id(frame.payload)
            if frame.row_id != truth_id:
                yield self._of(client, frame, "divergent", f"inserted with id {truth_id}")
            place = self._history.get(frame.payload), frame.row_id
            other = by_id.setdefault(place, frame.payload)
            if place[0] is not None and other != frame.payload:
                yield self._of(client, frame, "divergent", f"row {other} came with the same id")
            if frame.payload in seen:
                merged = merged_once and frame.row_id not in cursor_of(came_with)
                kind = MERGED if merged else "duplicated"
                yield self._of(client, frame, kind, f"page {page.number}")
            seen.add(frame.payload)

    def _unexpected(self, payload: str) -> str:
        """Why nobody may see this row; empty where it may be seen."""
        attempt = self._record.attempts.get(payload)
        if attempt is None:
            return "nobody wrote it"
        if attempt.outcome == "committed" or payload in self._history:
            return ""
        return f"by {attempt.writer}: {attempt.outcome}, and never in the table"

    def _truth_id(self, payload: str) -> int:
        history = self._history.get(payload)
        if history is None:
            return self._record.attempts[payload].row_id
        return self._record.truths[history].rows[payload]

    def _last_page(self, client: ClientRecord, page: Page) -> Iterator[Anomaly]:
        last = len(self._record.truths) - 1
        if len(self._histories(page)) > 1:
            yield Anomaly(
                "missed reset", client.name, page.started_s, detail=f"page {page.number} is open"
            )
        yield from self._holes(client, page, last)
        payloads = page.payloads
        if self._record.sentinel not in payloads:
            return  # it was not served to the end: the verdict says so
        for payload, row_id in self._record.truths[last].rows.items():
            attempt = self._record.attempts.get(payload)
            if payload not in payloads and attempt and page.must_have(row_id, attempt):
                yield _missing("lost", client, page, row_id, attempt)

    def _holes(self, client: ClientRecord, page: Page, history: int) -> Iterator[Anomaly]:
        claimed, payloads = page.claimed, page.payloads
        for payload, row_id in self._record.truths[history].rows.items():
            attempt = self._record.attempts.get(payload)
            if payload in payloads or row_id not in claimed or attempt is None:
                continue
            if page.must_have(row_id, attempt):
                yield _missing("silent hole", client, page, row_id, attempt)

    def _histories(self, page: Page) -> list[int]:
        """Of which histories of the table a page has rows."""
        return sorted({self._history[p] for p in page.payloads if p in self._history})

    def _reset(self, client: ClientRecord, page: Page) -> Iterator[Anomaly]:
        """A reset is explained where its page may have begun in a history that is gone."""
        reset = page.reset
        if reset is None:
            return
        for truth in self._record.truths[:-1]:
            assert truth.began_s is not None
            if truth.began_s <= reset.at_s and page.started_s <= self._settled_s(truth.ended_s):
                return
        yield self._of(client, reset, "false reset", f"{reset.reason}, page {page.number}")

    def _settled_s(self, ended_s: float | None) -> float:
        """When every worker knew of a truncation that ended at this time."""
        assert ended_s is not None
        faults = (one for one in self._record.faults if one.began_s <= ended_s <= one.ended_s)
        return max([ended_s, *(one.ended_s for one in faults)]) + SETTLED_S

    @staticmethod
    def _of(client: ClientRecord, frame: Frame, kind: str, detail: str) -> Anomaly:
        where = f"{detail}; connection {frame.connection}, event id {frame.event_id}"
        return Anomaly(kind, client.name, frame.at_s, frame.row_id, frame.payload, where)


def _missing(kind: str, client: ClientRecord, page: Page, row_id: int, attempt: Attempt) -> Anomaly:
    detail = f"page {page.number} from {page.started_s:.3f}, last event id {page.last_event_id}"
    return Anomaly(kind, client.name, attempt.began_s, row_id, attempt.payload, detail)


def is_merged(event_id: str) -> bool:
    """Whether it may say less than its client has."""
    token = event_id.partition(".")[2]
    marked = bool(token) and parse_token(token).mark is not None
    return marked or len(event_id) >= MERGED_TOKEN_CHARS
