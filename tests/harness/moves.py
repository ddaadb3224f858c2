"""What clients see while a server is reloaded: rows are inserted, and a swarm has them all."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

import psutil

from tests.harness import sql
from tests.harness.gunicorn import Gunicorn
from tests.harness.swarm import Swarm

INSERT_EVERY_S = 0.03
LOOK_EVERY_S = 0.1  # at facts, which may take their time
BOUND_S = 100.0
NO_CAP = {"ROWCAST_MAX_STREAMS_PER_ADDRESS": "0"}


class Watched:
    """`streams` clients of a server, and a writer; nothing happens outside `until()`."""

    def __init__(
        self,
        server: Gunicorn,
        url: str,
        streams: int,
        *,
        at: str = "",
        every_s: float = INSERT_EVERY_S,
    ) -> None:
        self.server, self._url, self._every_s = server, url, every_s
        self.swarm = Swarm(at or server.stream_url, streams)
        self.swarm.open()
        # One that a server which still starts had sent away comes twice before anything moves.
        self._opened = [member.connections for member in self.swarm.members]
        self._first, self._last = _newest(url) + 1, _newest(url)
        self._due_s = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.swarm.close()

    def until(self, fact: Callable[[], object], what: str) -> None:
        """Rows go on coming until it is so."""

        look_s = 0.0

        def inserted() -> bool:
            nonlocal look_s
            now_s = time.monotonic()
            if now_s >= self._due_s:
                self._due_s = now_s + self._every_s
                self._last += 1
                sql.insert_posts(self._url, [f"row {self._last}"])
            if now_s < look_s:
                return False
            look_s = now_s + LOOK_EVERY_S
            return bool(fact())

        self.swarm.run_until(inserted, BOUND_S, what)

    def until_gone(self, pids: list[int]) -> None:
        self.until(lambda: not {*pids} & {*self.server.worker_pids()}, f"the end of {pids}")

    def a_while(self, rows: int = 20) -> None:
        """Until every client has so many rows more."""
        wanted = self._last + rows
        self.until(lambda: self._last >= wanted, "more rows")
        self.swarm.wait_for_id(wanted, BOUND_S)

    def assert_nothing_lost(self) -> None:
        """Every client had each row once, in their order, over however many connections."""
        self.swarm.wait_for_id(self._last, BOUND_S)
        expected = [*range(self._first, self._last + 1)]
        for member in self.swarm.members:
            assert member.ids == expected, _difference(member.ids, expected)
            assert member.resets == 0

    @property
    def reconnected(self) -> int:
        """How many clients, since all were open; one may have tried several times."""
        members = zip(self.swarm.members, self._opened, strict=True)
        return sum(member.connections > opened for member, opened in members)

    def assert_nobody_noticed(self) -> None:
        self.assert_nothing_lost()
        log = self.server.log()
        assert self.reconnected == 0, f"{self.reconnected} reconnected\n{log[-6000:]}"
        assert "Traceback" not in log, log


def spread(server: Gunicorn) -> dict[int, int]:
    """How many of the server's sockets each worker has open, by its pid."""

    return {
        pid: sum(
            one.status == "ESTABLISHED" and one.laddr.port == server.port
            for one in psutil.Process(pid).net_connections("tcp")
        )
        for pid in server.worker_pids()
    }


def _newest(url: str) -> int:
    return max(sql.post_ids(url), default=0)


def _difference(got: list[int], expected: list[int]) -> str:
    lost, doubled = {*expected} - {*got}, len(got) - len({*got})
    return f"lost {sorted(lost)[:10]}, {doubled} doubled, {len(got)} of {len(expected)}"
