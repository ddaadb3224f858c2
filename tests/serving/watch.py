"""A stream beside its table: rows committed while others are open, and what must have come."""

import time
from dataclasses import dataclass

from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.process import wait_until
from tests.harness.sse import Stream
from tests.serving.helpers import OpenStream

SETTLED_S = 30.0


@dataclass
class Site:
    """A wall and its database."""

    wall: Gunicorn
    url: str

    def watch(self, open_stream: OpenStream) -> "Watch":
        """A stream from now, while no gap is open."""
        self.wait_no_gap()
        stream = open_stream(self.wall.stream_url).wait_open()
        return Watch(self.wall, self.url, stream, int(stream.last_event_id.partition(".")[2]))

    def insert(self, *bodies: str) -> None:
        sql.insert_posts(self.url, bodies)

    def wait_no_gap(self) -> None:
        wait_until(lambda: self.wall.metric("rowcast_open_gaps") == 0, SETTLED_S, "no gap is open")


@dataclass
class Watch(Site):
    """A stream there, and the position where it began."""

    stream: Stream
    start: int
    pulses: int = 0

    def wait_for(self, body: str) -> None:
        self.stream.wait_for_body(body)

    def pulse(self, seconds: float) -> None:
        """Commits row after row for so long; each arrives while the others' fate is open."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self.pulses += 1  # no two rows have the same body: the wait is for this one
            self.insert(f"pulse {self.pulses}")
            self.wait_for(f"pulse {self.pulses}")

    def gap_is_open(self) -> bool:
        return "!" in self.stream.last_event_id

    def assert_complete(self, *late: int) -> None:
        """Each row once, in the order of the ids but for the `late` ones, which came last."""
        ids = [one for one in sql.post_ids(self.url) if one > self.start]
        early = [one for one in ids if one not in late]
        assert self.stream.wait_for_rows(len(ids)) == early + list(late)
        assert self.stream.of_type("reset") == []

    def assert_settled(self) -> None:
        """No gap stays open, and the next row's id is a plain position again."""
        self.wait_no_gap()
        self.insert("settled")
        self.wait_for("settled")
        assert not self.gap_is_open()
