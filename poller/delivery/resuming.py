"""Where a client wants to go on, as far as this worker can tell from its `Last-Event-ID`."""

from __future__ import annotations

from typing import NamedTuple

from gevent.event import Event

from poller.delivery.bound import bounded
from poller.delivery.changes_log import ChangesLog
from poller.delivery.event_log import EventLog
from poller.delivery.standing import Standing
from poller.delivery.view import ALL, View
from poller.ids.cursor import Cursor
from poller.wire import event_id, notices
from poller.wire.event_id import Resume

# Hundreds of gaps take milliseconds to read: not in the hub's round, nor many at once.
LONG_ID_CHARS = 200


class Asked(NamedTuple):
    """Where the client resumes, None for "from now"; or a `reason` for a reset.

    `unsure`: the client knows more than this worker, a greater id or another name of the history.
    Another worker may have been quicker; only a pass that begins later can tell.
    """

    resume: event_id.Resume | None
    reason: str = ""
    unsure: bool = False


def asked(
    event_log: EventLog, last_event_id: str | None, replay: int | None = None, view: View = ALL
) -> Asked:
    """What the client asks of this log, which is ready. `replay` is how many of the newest rows it
    may ask for, None for all; `view` is its present view."""
    try:
        resume = event_id.parse_last_event_id(last_event_id)
    except ValueError:
        return Asked(None, notices.MALFORMED_ID)
    return Asked(None) if resume is None else answered(event_log, resume, replay, view)


def answered(
    event_log: EventLog, resume: Resume, replay: int | None = None, view: View = ALL
) -> Asked:
    """The same of what an id says."""
    if resume.view not in (None, view.tag):
        return Asked(None, notices.VIEW_CHANGED)
    if resume.epoch and not event_log.knows(resume.epoch, resume.cursor.position):
        return Asked(None, notices.UNKNOWN_HISTORY, unsure=True)
    if resume.cursor.position > event_log.counter:
        return Asked(None, notices.AHEAD_OF_TABLE, unsure=True)
    within = resume if replay is None else bounded(event_log, resume, replay)
    return Asked(within, "" if within else notices.BEYOND_REPLAY)


class Resuming:
    """One client's request, until it is answered. `signal` is the stream's.

    `began`: the stream has begun in another process, and stands there. It may have been sent older
    rows than a client may ask for, so no `replay` bounds it.
    """

    __slots__ = (
        "_began",
        "_begun_before",
        "_first_asked_at",
        "_last_event_id",
        "_log",
        "_replay",
        "_signal",
        "_view",
    )

    def __init__(
        self,
        event_log: EventLog,
        last_event_id: str | None,
        signal: Event,
        replay: int | None = None,
        view: View = ALL,
        began: Standing | None = None,
    ) -> None:
        self._began = began
        self._log = event_log
        self._view = view
        self._last_event_id = last_event_id
        self._signal = signal
        self._replay = replay
        self._first_asked_at: int | None = None
        self._begun_before: int | None = None

    @property
    def takes_long(self) -> bool:
        """Whether others should have their turn before and after."""
        said = self._began.holds if self._began else self._last_event_id
        return len(said or "") > LONG_ID_CHARS

    @property
    def standing(self) -> Standing:
        """That of a stream that has not been placed here: what it came with."""
        return self._began or Standing("", self._last_event_id)

    def _asked(self) -> Asked:
        if self._began is None:
            return asked(self._log, self._last_event_id, self._replay, self._view)
        whole = self._began.holds or ""
        cursor = self._log.shared(("cursor", whole), lambda: Cursor.parse_whole(whole))
        return answered(self._log, Resume(self._began.epoch, cursor))

    def asked(self) -> Asked | None:
        """What the client asks for; None while only another pass can tell. The signal is set after
        each."""
        answer = self._asked()
        if answer.unsure and not self._table_was_read_since():
            self._log.await_pass(self._signal)
            return None
        if isinstance(self._log, ChangesLog) and not self._is_read_for(answer, self._log):
            self._log.await_thorough_pass(self._signal)
            return None
        return answer

    def _is_read_for(self, answer: Asked, changes: ChangesLog) -> bool:
        """Whether a thorough pass has ended that began since the client is here, if it takes one:
        see `changes_log.py`."""
        if self._begun_before is None:
            self._begun_before = changes.passes_begun
        if answer.resume is None or changes.has_passed_since(self._begun_before):
            return True
        return not changes.may_hold_newer(answer.resume)

    def _table_was_read_since(self) -> bool:
        """Whether a pass has ended that began after the client was first found to be ahead."""
        if self._first_asked_at is None:
            self._first_asked_at = self._log.complete_passes
        # The first one may be under way already.
        return self._log.complete_passes >= self._first_asked_at + 2
