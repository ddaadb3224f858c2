"""What a client that lost its connection gets: ids, going on behind one of them, and when."""

from __future__ import annotations

from poller.probing.finding import GOOD, Finding, Seen, counted, read, rows_of, seconds, started
from poller.probing.frames import Body, Frame
from poller.probing.observed import Resumed

HEADER = "Last-Event-ID"
SOONEST_MS, LATEST_MS = 200, 60_000
DEFAULT_WAIT = "3 to 5 s"  # browsers' own
MOST_ID_BYTES = 1024  # longer ones come near to what servers take as a header


def place(body: Body) -> str:
    """The id to go on behind: one with a row after it if there is any, else the last; empty if
    there is none."""
    ours = started(body) is not None
    ids = _ids(rows_of(body, ours=ours))
    before = [one for one in ids if one != ids[-1]]
    if before:
        return before[-1]
    return next((frame.id for frame in reversed(body.frames) if frame.id), "")


def known(first: Body, after: str, again: Body) -> bool:
    """Whether the second answer has told whether it goes on."""
    told = started(again)
    if told is not None:
        return bool(told["resumed"]) or any(frame.event == "reset" for frame in again.frames)
    expected = _after(first, after)
    return bool(expected) and expected[0] in _ids(again.frames)


def ids(seen: Seen) -> Finding:
    """Has each row an id of its own?"""
    rows = seen.rows
    if not rows:
        named = any(frame.id for frame in seen.body.frames)
        if named:
            return Finding("ids", "ok", "The stream's place has an id, also before the first row.")
        return Finding(
            "ids", "unknown", "No row came, so no id was seen.", next="look while rows come"
        )
    without = [row for row in rows if not row.id]
    cure = "send an id with each row: without it, what comes while a client is away is lost"
    if without:
        sentence = f"{len(without)} of {counted(len(rows), 'row')} came without an id."
        return Finding("ids", "attention", sentence, next=cure)
    named_ids = _ids(rows)
    if any("\0" in one for one in named_ids):
        return Finding(
            "ids", "attention", "An id has a NUL in it: browsers pass it over.", next=cure
        )
    longest = max(len(one.encode()) for one in named_ids)
    if longest > MOST_ID_BYTES:
        sentence = f"The longest id has {longest:,} bytes: servers may refuse it as a header."
        return Finding("ids", "attention", sentence, next="send shorter ids")
    if len({*named_ids}) < len(named_ids):
        sentence = "Several rows have the same id: a client cut off between them loses the rest."
        return Finding("ids", "attention", sentence, next="give each row an id of its own")
    which = "The row" if len(rows) == 1 else f"Each of {len(rows):,} rows"
    return Finding("ids", "ok", f"{which} came with an id of its own.")


def resume(seen: Seen) -> Finding | None:
    """Does it go on behind an id, by the header and by the query? Without ids the finding `ids` has
    said that it does not."""
    if not seen.observed.resumed and seen.rows:
        return None
    if not seen.observed.resumed:
        sentence = "Whether it can be resumed could not be seen: no id came."
        return Finding("resume", "unknown", sentence, next="look while rows come")
    problems = {one.by: _problem(seen, one) for one in seen.observed.resumed}
    by_header = problems.pop(HEADER, "")
    works = [name for name, problem in problems.items() if problem == ""]
    by_query = f"?{works[0]}= does, too" if works else f"no parameter does ({_tried(problems)})"
    if by_header is None:
        sentence = "Whether it can be resumed could not be seen: no row came after an id."
        return Finding("resume", "unknown", sentence, next="look while rows come")
    if by_header:
        sentence = f"After a reconnect with {HEADER}, {by_header}."
        also = f"?{works[0]}= goes on rightly: does a proxy drop the header?" if works else ""
        cure = also or "keep the last rows at the server, and begin behind the id"
        return Finding("resume", "attention", sentence, next=cure)
    sentence = f"{HEADER} resumes the stream, with nothing twice; {by_query}."
    cure = "" if works else "a page that shows rows needs a way to begin behind them"
    return Finding("resume", "ok", sentence, next=cure)


def retry(seen: Seen) -> Finding:
    """When do clients come back?"""
    retries = seen.body.retries
    if not retries:
        sentence = f"There is no retry line: browsers come back after {DEFAULT_WAIT}."
        return Finding("retry", "ok", sentence)
    wait_ms = retries[-1]
    sentence = f"Clients are told to come back after {seconds(wait_ms / 1000)}."
    if wait_ms < SOONEST_MS:
        cure = "let them wait a second or two: all come back at once after a restart"
        return Finding("retry", "attention", sentence, next=cure)
    if wait_ms > LATEST_MS:
        return Finding("retry", "attention", sentence, next="that is long for whoever looks on")
    return Finding("retry", "ok", sentence)


def _problem(seen: Seen, resumed: Resumed) -> str | None:
    """What is wrong for a client that comes back; empty if nothing, None if nobody can say."""
    answer, again = resumed.answer, read(resumed.answer)
    if answer.status != GOOD:
        return f"the answer is {answer.status}" if answer.status else "no answer comes"
    told = started(again)
    resets = [frame for frame in again.frames if frame.event == "reset"]
    if told is not None and (resets or not told["resumed"]):
        return "the server sends a reset: rows are loaded again" if resets else "it begins anew"
    if told is not None:
        return ""
    return _by_rows(seen.body, resumed.after, again)


def _by_rows(first: Body, after: str, again: Body) -> str | None:
    came, expected = _ids(again.frames), _after(first, after)
    older = {*_ids(first.frames)} - {*expected}
    if twice := [one for one in came if one in older]:
        return f"{counted(len(twice), 'row')} came again that the client has"
    if not expected:
        return None
    if expected[0] in came:
        return ""
    return f"{counted(len(expected), 'row')} that came after the id did not come: they are lost"


def _ids(frames: list[Frame]) -> list[str]:
    return [frame.id for frame in frames if frame.id]


def _after(body: Body, after: str) -> list[str]:
    """The ids behind this one, as they came."""
    found = _ids(rows_of(body, ours=started(body) is not None))
    last = max((at for at, one in enumerate(found) if one == after), default=len(found))
    return found[last + 1 :]


def _tried(problems: dict[str, str | None]) -> str:
    return ", ".join(problems) or "none was tried"
