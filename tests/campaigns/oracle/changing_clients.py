"""Clients that keep a map of rows that change: `… oracle.changing_clients FOLDER SEED URL…`.

The same habits as in a torture of inserts. What each has is written to a file twice a second.
"""

import json
import random
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.campaigns.oracle.changing_writer import HOT_ROW
from tests.campaigns.oracle.clients import HABITS, Habit, live
from tests.campaigns.oracle.reader import DEFAULT_RETRY_MS
from tests.campaigns.oracle.records import now_s
from tests.harness.sse import ABOUT_ITSELF

WRITTEN_EVERY_S = 0.5
NAMES = tuple(habit.name for habit in HABITS)


class Kept(msgspec.Struct):
    """A client: key → version and text, None of a row that is gone. `older` are the rows that came
    in a state older than, or the same as, one that it had; `waits` when a change of the hot row
    came, and how long after it was written."""

    rows: dict[int, tuple[int, str | None]] = {}
    older: list[str] = []
    resets: list[str] = []
    connections: int = 0
    changes: int = 0
    deletions: int = 0
    waits: list[tuple[float, float]] = []


class Memory:
    """What one client knows, over all its connections."""

    def __init__(self, habit: Habit) -> None:
        self.name = habit.name
        self.last_event_id: str | None = "0"
        self.retry_ms = DEFAULT_RETRY_MS
        self.kept = Kept()

    def connect(self, server: str, *, prompt: bool = True) -> None:
        self.kept.connections += 1

    def take(self, kind: str, data: str, last_event_id: str, row: Callable[[], object]) -> None:
        if kind == "reset":
            self.kept.resets.append(data)
        elif kind == "delete":
            key = int(json.loads(data)["id"])
            self.kept.rows[key] = self.kept.rows.get(key, (0, None))[0], None
            self.kept.deletions += 1
        elif kind not in ABOUT_ITSELF and kind != "place" and data:
            self._take_row(json.loads(data))
        self.last_event_id = last_event_id or self.last_event_id

    def _take_row(self, row: dict[str, object]) -> None:
        key, version, text = int(str(row["id"])), int(str(row["version"])), str(row["body"])
        before = self.kept.rows.get(key, (0, None))[0]
        if version <= before:
            self.kept.older.append(f"row {key}: {version} after {before}")
        self.kept.rows[key] = version, text
        self.kept.changes += 1
        if key == HOT_ROW and text.startswith("hot "):
            self.kept.waits.append((now_s(), now_s() - float(text.rsplit(maxsplit=1)[-1])))


def path_of(folder: Path, name: str) -> Path:
    return folder / f"kept by {name}.json"


def main(folder: str, seed: str, *urls: str) -> None:
    memories = [Memory(habit) for habit in HABITS]
    for habit, memory in zip(HABITS, memories, strict=True):
        chosen = random.Random(f"{seed}/{habit.name}")
        loop = lambda h=habit, m=memory, c=chosen: live(h, m, [*urls], c)  # noqa: E731
        threading.Thread(target=loop, daemon=True).start()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    while not stopped.wait(WRITTEN_EVERY_S):
        for memory in memories:
            path = path_of(Path(folder), memory.name)
            new = path.with_suffix(".new")
            new.write_bytes(msgspec.json.encode(memory.kept))
            new.replace(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
