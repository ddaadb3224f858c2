"""A reader of `/rows`, as a shell script would be one: asks, takes the rows, goes on at `next`."""

from typing import Any

from tests.harness.http import TIMEOUT_S, Reply, request

EMPTY_PAUSE_S = 1.0  # before the next request, after an answer without rows


class RowsReader:
    """`url` is that of a feed's rows, `options` what follows `after` in each request's query."""

    def __init__(self, url: str, after: str = "0", options: str = "") -> None:
        self.url, self.after = url, after
        self.options = options and "&" + options
        self.rows: list[Any] = []
        self.resets: list[str] = []
        self.live = False

    @property
    def ids(self) -> list[int]:
        return [int(row["id"]) for row in self.rows]

    def ask(self) -> Reply:
        """One request. Raises AssertionError for an answer that has neither rows nor a reset."""
        asked = f"{self.url}?after={self.after}{self.options}"
        reply = request(asked, timeout_s=2 * TIMEOUT_S)
        assert reply.status in (200, 410), f"{asked}: {reply.status} {reply.text}"
        answer = reply.json
        self.rows += answer.get("rows", [])
        self.resets += [answer["reset"]] if "reset" in answer else []
        self.live = answer.get("live", False)
        self.after = answer["next"]
        return reply

    def walk(self) -> None:
        """Until it has all that there is."""
        self.ask()
        while not self.live:
            self.ask()
