"""Records made by hand, for the tests of the checker."""

from typing import Literal

from tests.campaigns.oracle.checker import anomalies
from tests.campaigns.oracle.records import (
    Attempt,
    ClientRecord,
    Connection,
    Fault,
    Frame,
    Outcome,
    Record,
    Truth,
)

Kind = Literal["row", "place", "reset"]
NEW = 500  # what is added to an id's number to name its row in the second history


class Run:
    """A record in the making. Time is a counter; `at()` sets it. Rows are named by number: row 7
    has the payload "p7" and the id 7."""

    def __init__(self) -> None:
        self.record = Record(
            clients=[ClientRecord("a")],
            planned=["fault"],
            faults=[Fault("fault", -9.0, -8.0, True)],
            writers=["w"],
        )
        self.rows: dict[str, int] = {}
        self.time_s = 0.0

    def at(self, time_s: float) -> None:
        self.time_s = time_s

    def tick(self) -> float:
        self.time_s += 1.0
        return self.time_s

    def write(
        self, row_id: int, outcome: Outcome = "committed", number: int = 0, there: bool = True
    ) -> None:
        """Row `number` (default: `row_id`); in the table where it was committed and `there`."""
        payload = f"p{number or row_id}"
        began_s, ended_s = self.tick(), None if outcome == "unknown" else self.tick()
        self.record.attempts[payload] = Attempt("w", payload, row_id, began_s, ended_s, outcome)
        if outcome != "rolled back" and there:
            self.rows[payload] = row_id

    def connect(self, asked: str | None = None) -> None:
        connections = self.record.clients[0].connections
        connections.append(Connection(len(connections) + 1, "main", asked, self.tick()))

    def _frame(self, kind: Kind, token: str, row_id: int = 0, payload: str = "") -> None:
        client = self.record.clients[0]
        client.frames.append(
            Frame(len(client.connections), kind, self.tick(), f"e.{token}", row_id, payload)
        )

    def place(self, token: str) -> None:
        self._frame("place", token)

    def receive(self, row_id: int, token: str = "", number: int = 0) -> None:
        self._frame("row", token or str(row_id), row_id, f"p{number or row_id}")

    def reset(self, token: str) -> None:
        self._frame("reset", token)

    def truncate(self) -> None:
        self.record.truths.append(Truth(self.rows, self.tick(), self.tick()))
        self.rows = {}

    def end(self, sentinel: int = 99) -> Record:
        """The last row is written and received, and the table is read."""
        self.write(sentinel)
        self.receive(sentinel)
        self.record.sentinel = f"p{sentinel}"
        self.record.truths.append(Truth(self.rows))
        return self.record

    def kinds(self) -> list[str]:
        return [one.kind for one in anomalies(self.end())]
