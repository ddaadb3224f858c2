"""A request for rows: a stream that is read until there is enough, and then ends.

So it has the stream's promise, and no rule of its own: each frame's id says what the client holds
after it, and the last one taken is where the next request goes on, as if the stream had been cut
there. It knows no Flask; `web/rows.py` makes the response.

What an answer says stays true for ever: whoever holds `after` may be given these rows, and then
holds `next`. So an answer with rows may be kept and given to others. What can grow old in it is
only that there may be more rows by now, which matters where it ended because there were no more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from gevent.event import Event

from poller.delivery.event_log import EventLog
from poller.delivery.subscriber import Subscriber
from poller.runtime.hub import in_slices
from poller.serving.client import CLIENT_GONE, ClientSocket
from poller.wire import frames, notices, row

MakeSubscriber = Callable[[Event, Callable[[float], object]], Subscriber]

ANSWER_BYTES = 2**20  # an answer ends with the row that fills it
EVENTS_BETWEEN_LOOKS = 32  # at the clock
# For a client that does not wait: whether it is ahead of this worker, or the table away, takes two
# polls to find out.
SETTLE_S = 2.0
ROWS = (frames.ROW, row.UNREADABLE_EVENT, row.DELETE_EVENT)
TABLE_AWAY = "the table cannot be read now"
ANSWERED = "answered"


@dataclass(slots=True)
class Answer:
    """Rows as JSON, the client's next token, and whether it has all that this worker has.

    `full`: it ended because it was large enough. `reset` is the reason of one, `problem` why there
    is no answer. `next` is empty if nobody can tell yet where the client stands.
    """

    rows: list[bytes] = field(default_factory=list)
    next: str = ""
    live: bool = False
    full: bool = False
    reset: str = ""
    problem: str = ""


class LongPoll:
    """One request, until `answer()` returns; `end()` may come from anywhere.

    `wait_s` is how long it may wait if there are no rows; `on_wait()` is called once if it does.
    """

    def __init__(
        self,
        make_subscriber: MakeSubscriber,
        event_log: EventLog,
        client: ClientSocket,
        why_waiting: Callable[[], str],
        on_wait: Callable[[], None],
        limit: int,
        wait_s: float,
    ) -> None:
        self.sent_bytes = 0
        self.closed_because = ""
        self._log = event_log
        self._client = client
        self._why_waiting = why_waiting
        self._on_wait = on_wait
        self.waited = False
        self._limit = limit
        began_at = time.monotonic()
        self._deadline = began_at + wait_s
        self._settled_by = began_at + max(wait_s, SETTLE_S)
        self._table_away = False
        self._answer = Answer()
        self._signal = Event()
        self.subscriber = make_subscriber(self._signal, self._wait_for_table)

    def answer(self) -> Answer:
        """Rows as soon as there are some; otherwise once the time is over, or the stream ended."""
        self._log.attach(self._signal)
        self._client.watch_for_end(self._client_ended)
        try:
            self._read()
        finally:
            self._log.detach(self._signal)
            self._client.unwatch()
            self.subscriber.stopped = True
            self.closed_because = self.closed_because or ANSWERED
        return self._finished()

    def end(self, reason: str, farewell: bytes | None = None) -> None:
        """Answer now, with what there is. The first reason counts."""
        if not self.closed_because:
            self.closed_because = reason
            self.subscriber.stopped = True
            self._signal.set()

    def cut(self) -> None:
        """End the connection."""
        self._client.cut()

    def _client_ended(self) -> None:
        self.end(CLIENT_GONE)

    # -- reading ----------------------------------------------------------------------------

    def _read(self) -> None:
        while not (self.closed_because or self._is_complete):
            # Cleared before the look, as in wsgi_stream.py: nothing is missed between them.
            self._signal.clear()
            if chunk := self.subscriber.next_chunk():
                self._take(chunk)
            elif self._answer.rows or not self._wait():
                break

    def _wait(self) -> bool:
        """Whether anything came before the time was over."""
        left_s = self._time_left()
        if left_s and not self.waited:
            self.waited = True
            self._on_wait()
        return bool(left_s) and self._signal.wait(left_s)

    @property
    def _is_complete(self) -> bool:
        """Whether nothing more belongs into this answer."""
        return bool(self._answer.full or self._answer.reset) or self._is_too_late_for_table

    @property
    def _is_too_late_for_table(self) -> bool:
        return self._table_away and (bool(self._answer.rows) or not self._time_left())

    def _take(self, chunk: bytes) -> None:
        for event in in_slices(frames.events(chunk), items_between_looks=EVENTS_BETWEEN_LOOKS):
            if self._answer.rows and event.kind == notices.RESET_EVENT:
                self._answer.full = True  # the client is told by its next request
            if self._answer.full:
                return
            self._note(event)

    def _note(self, event: frames.Event) -> None:
        answer = self._answer
        answer.next = event.id or answer.next
        if event.kind == notices.RESET_EVENT:
            answer.reset = notices.reason_of(event.data)
        elif event.kind in ROWS:
            self._table_away = False
            answer.rows.append(_object(event))
            self.sent_bytes += len(event.data)
            answer.full = len(answer.rows) >= self._limit or self.sent_bytes >= ANSWER_BYTES

    def _time_left(self) -> float:
        placed = bool(self._answer.next)
        return max(0.0, (self._deadline if placed else self._settled_by) - time.monotonic())

    def _wait_for_table(self, seconds: float) -> None:
        self._table_away = True
        if not self._answer.rows:
            self._signal.wait(min(seconds, self._time_left()))

    def _finished(self) -> Answer:
        answer = self._answer
        answer.live = self.subscriber.is_live and not answer.full
        unplaced = not (answer.next or self._log.ready)
        stuck = self._table_away and not (answer.live or answer.rows or answer.reset)
        if unplaced or stuck:
            answer.problem = self._why_waiting() or TABLE_AWAY
        return answer


def _object(event: frames.Event) -> bytes:
    """The row; one of which only the id could be read is told apart by its only member, and the key
    of one that is gone by a member before it."""
    match event.kind:
        case row.UNREADABLE_EVENT:
            return b'{"_unreadable":%b}' % event.data
        case row.DELETE_EVENT:
            return b'{"%b":true,%b' % (row.DELETED.encode(), event.data[1:])
        case _:
            return event.data
