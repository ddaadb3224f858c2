"""The clients, in one process: `… oracle.clients CAST FOLDER SEED URL…`.

`torture` has nine, on two servers:

| client | what it does |
|---|---|
| steady | stays; the second one starts at the beginning of the table |
| leaving | goes at random; the second one by RST, in the middle of a frame |
| slow | takes a little, pauses, has a small receive buffer |
| hopping | goes at random, between the server and one whose worker lags behind |
| httpx-sse | a client that nobody here wrote |
| rows | asks `/rows` instead, at both servers (`rows_client.py`) |

`one` is a steady one, and `crowd` twenty that come back every few seconds: see `held.py`. Each
client has a thread; the process is ended by SIGTERM.
"""

import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import httpx_sse

from tests.campaigns.oracle import rows_client
from tests.campaigns.oracle.heartbeat import beat_beside
from tests.campaigns.oracle.journal import Journal
from tests.campaigns.oracle.reader import Memory, Reader

STEP_S = 0.2
A_FEW_BYTES = 700  # ends in the middle of a frame, nearly always
SLOW_BYTES = 2_000
PAUSE_SHARE = 0.02  # of the slow one's reads: it takes about 80 KB/s
SILENCE = httpx.Timeout(20.0)


@dataclass(frozen=True)
class Habit:
    """How a client behaves. Without `stay_s` it stays until it is cut off."""

    name: str
    first_id: str | None = None
    stay_s: tuple[float, float] | None = None
    abrupt: bool = False
    slow: bool = False
    hops: bool = False
    brief: bool = False  # in what it writes down


HABITS = (
    Habit("steady"),
    Habit("steady from the beginning", first_id="0"),
    Habit("leaving", stay_s=(0.2, 4.0)),
    Habit("leaving abruptly", stay_s=(0.1, 2.0), abrupt=True),
    Habit("slow", stay_s=(4.0, 12.0), slow=True),
    Habit("hopping", stay_s=(0.2, 2.0), hops=True),
    Habit("hopping abruptly", stay_s=(0.2, 3.0), hops=True, abrupt=True),
)
THIRD_PARTY = "httpx-sse"
NAMES = (*(habit.name for habit in HABITS), THIRD_PARTY, rows_client.NAME)
CROWD_STAY_S = (4.5, 5.5)
CASTS = {
    "torture": HABITS,
    "one": HABITS[:1],
    "crowd": tuple(
        Habit(f"returning {number}", stay_s=CROWD_STAY_S, brief=True) for number in range(1, 21)
    ),
}


def live(habit: Habit, memory: Memory, urls: list[str], chosen: random.Random) -> None:
    """Connects again and again, for ever."""
    servers = urls if habit.hops else urls[:1]
    while True:
        with suppress(OSError):
            _stay(habit, memory, chosen.choice(servers), chosen)
        time.sleep(memory.retry_ms / 1000 * chosen.uniform(0.3, 1.0))


def _stay(habit: Habit, memory: Memory, url: str, chosen: random.Random) -> None:
    prompt = not (habit.slow or habit.hops)
    reader = Reader(memory, url, small=habit.slow, prompt=prompt)
    end_s = time.monotonic() + (chosen.uniform(*habit.stay_s) if habit.stay_s else 1e9)
    while not reader.ended and time.monotonic() < end_s:
        if habit.slow and chosen.random() < PAUSE_SHARE:
            time.sleep(chosen.uniform(0.3, 2.0))
        reader.read(
            min(STEP_S, max(0.0, end_s - time.monotonic())), SLOW_BYTES if habit.slow else 65_536
        )
    if habit.abrupt:
        reader.read(0, A_FEW_BYTES)
        reader.cut()
    else:
        reader.close()


def live_with_httpx(memory: Memory, url: str) -> None:
    """The loop that httpx-sse leaves to its user, as its manual shows it."""
    while True:
        with suppress(httpx.TransportError):
            _read_with_httpx(memory, url)
        time.sleep(memory.retry_ms / 1000)


def _read_with_httpx(memory: Memory, url: str) -> None:
    headers = {"Last-Event-ID": memory.last_event_id} if memory.last_event_id else {}
    memory.connect(THIRD_PARTY)
    with (
        httpx.Client(timeout=SILENCE) as client,
        httpx_sse.connect_sse(client, "GET", url, headers=headers) as source,
    ):
        for event in source.iter_sse():
            memory.retry_ms = memory.retry_ms if event.retry is None else event.retry
            if event.data or event.id not in ("", memory.last_event_id):
                memory.take(event.event, event.data, event.id, event.json)


def main(arguments: list[str]) -> None:
    cast, folder, seed, *urls = arguments
    loops: list[Callable[[], None]] = []
    for habit in CASTS[cast]:
        memory = Memory(Path(folder), habit.name, habit.first_id, brief=habit.brief)
        chosen = random.Random(f"{seed}/{habit.name}")
        loops.append(lambda h=habit, m=memory, c=chosen: live(h, m, urls, c))  # type: ignore[misc]
    if cast == "torture":
        third_party = Memory(Path(folder), THIRD_PARTY)
        loops.append(lambda: live_with_httpx(third_party, urls[0]))
        rows, hops = Memory(Path(folder), rows_client.NAME), random.Random(f"{seed}/rows")
        loops.append(lambda: rows_client.live(rows, urls, hops))
    beat_beside(cast, Journal(Path(folder) / f"machine of {cast}.jsonl"))
    for loop in loops:
        threading.Thread(target=loop, daemon=True).start()
    signal.pause()


if __name__ == "__main__":
    main(sys.argv[1:])
