"""The other workers of this server, as they describe themselves now."""

from __future__ import annotations

import os
import socket
import time
from collections import Counter

from poller.runtime import log
from poller.serving.moving.marks import Marks, Name
from poller.serving.moving.protocol import VERSION, Got, Hello, Key, Link, No, State, close_all

SILENT_S = 5.0  # a worker that does not say how it is, is not waited for any longer
MOST_MEETINGS = 4  # with one that is lost again and again, as one that stands still
OTHER_VERSION = "version"


class Sibling:
    """One of them, over a connection of ours."""

    def __init__(self, name: Name, link: Link) -> None:
        self.name, self.link = name, link
        self.hello: Hello | None = None
        self.given: Counter[Key] = Counter()
        self._refuses: set[Key] = set()
        self._room: dict[str, int] = {}
        self._since = time.monotonic()

    @property
    def state(self) -> State:
        if self.link.closed:
            return State.NEVER
        if self.hello is None:
            silent_s = time.monotonic() - self._since
            return State.SOON if silent_s < SILENT_S else State.NEVER
        return self.hello.state if self.hello.version == VERSION else State.NEVER

    @property
    def streams(self) -> int:
        """How many it had when it said so last."""
        return self.hello.streams if self.hello else 0

    @property
    def is_of_another_version(self) -> bool:
        return self.hello is not None and self.hello.version != VERSION

    def room(self, key: Key) -> int:
        """For how many streams of this feed, as far as it told."""
        if self.hello is None or key not in self.hello.feeds or key in self._refuses:
            return 0
        return self._room.get(key[0], 0)

    def has_room(self, key: Key, room: int) -> None:
        self._room[key[0]] = room

    def refused(self, key: Key, answer: No) -> None:
        """One that has room, but not for what was offered, need not be asked again."""
        if answer.room >= self.room(key):
            self._refuses.add(key)
        self.has_room(key, answer.room)

    def listen(self) -> None:
        """Take what it has said; never waits."""
        try:
            while True:
                self._heard(0)
        except TimeoutError:
            return
        except (OSError, EOFError) as error:
            self.lost(error)

    def answer(self, within_s: float) -> Got | No:
        """To a batch. Raises what `Link` does, ConnectionError for another answer."""
        until = time.monotonic() + within_s
        while (message := self._heard(until - time.monotonic())) is None:
            pass
        return message

    def _heard(self, within_s: float) -> Got | No | None:
        """None for a hello."""
        message, descriptors, _ = self.link.hear(within_s)
        close_all(descriptors)
        if isinstance(message, Hello):
            self.hello, self._room = message, {**message.room}
            return None
        if isinstance(message, Got | No):
            return message
        raise ConnectionError(f"an answer of another kind: {type(message).__name__}")

    def lost(self, error: BaseException) -> None:
        """The connection is of no use any more. Who is still there can be asked again."""
        if not self.link.closed:
            log.debug("another worker is lost", worker=str(self.name), error=repr(error))
        self.link.close()


class Circle:
    """All that can be reached in the folder, but the worker `name` itself."""

    def __init__(self, marks: Marks, name: Name) -> None:
        self._marks, self._name = marks, name
        self._siblings: dict[Name, Sibling] = {}
        self._seen: set[tuple[Name, bool]] = set()  # with whether it had its socket
        self._meetings: Counter[Name] = Counter()
        self.coming: set[Name] = set()
        self.progress_at = time.monotonic()  # when one came, or had its socket

    @property
    def siblings(self) -> list[Sibling]:
        return [*self._siblings.values()]

    def in_state(self, state: State) -> list[Sibling]:
        return [one for one in self._siblings.values() if one.state is state]

    @property
    def expected(self) -> int:
        """How many will take streams that do not yet: those that come, that are not ready, or that
        were lost and are asked again, since a busy one may only have been late."""
        lost = [one for one in self._siblings.values() if one.link.closed]
        again = sum(self._meetings[one.name] < MOST_MEETINGS for one in lost)
        return len(self.coming) + len(self.in_state(State.SOON)) + again

    def look(self) -> None:
        """Who is here, who is coming, and how are they? Waits for a millisecond each."""
        self.coming = self._marks.coming() - {self._name}
        here = self._marks.here() - {self._name}
        if new := {(name, name in here) for name in self.coming | here} - self._seen:
            self.progress_at = time.monotonic()
            self._seen |= new
        for name in here:
            lost = name in self._siblings and self._siblings[name].link.closed
            if (name not in self._siblings or lost) and self._meetings[name] < MOST_MEETINGS:
                self._meetings[name] += 1
                self._meet(name)
        for name in self._siblings.keys() - here:
            self._siblings.pop(name).link.close()
        for sibling in self._siblings.values():
            sibling.listen()

    def close(self) -> None:
        for sibling in self._siblings.values():
            sibling.link.close()
        self._siblings.clear()

    def _meet(self, name: Name) -> None:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        link = Link(connected)
        try:
            connected.connect(str(self._marks.socket(name)))
            if link.peer_uid not in (0, os.geteuid()):
                raise PermissionError("it belongs to another user")
        except ConnectionRefusedError:  # of one that was killed; nobody else takes its name
            link.close()
            self._marks.forget(name)
        except OSError as error:  # as when many connect to it at once
            log.debug("a worker cannot be reached", worker=str(name), error=str(error))
            link.close()
        else:
            self._replace(name, Sibling(name, link))

    def _replace(self, name: Name, sibling: Sibling) -> None:
        if (before := self._siblings.get(name)) is not None:  # what it was given counts
            sibling.given = before.given
        self._siblings[name] = sibling
