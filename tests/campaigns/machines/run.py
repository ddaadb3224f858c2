"""One run: both machines, everybody who writes and reads, and what goes wrong in turn."""

import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

import psutil

from tests.campaigns.machines.front import Front
from tests.campaigns.oracle import clients, journal
from tests.campaigns.oracle.cast import Cast
from tests.campaigns.oracle.ending import write_sentinel
from tests.campaigns.oracle.journal import Journal
from tests.campaigns.oracle.records import Fault, Record, now_s
from tests.campaigns.oracle.scenarios import SERVED_APP
from tests.campaigns.oracle.table import prepare, read_truth
from tests.campaigns.oracle.torture import POLL_INTERVAL_S, SETTINGS
from tests.harness.gunicorn import Gunicorn
from tests.harness.machines import Star
from tests.harness.ports import free_port
from tests.harness.postgres import Postgres
from tests.harness.process import has_ended, wait_until

WRITERS = 4
EFFECT_TIMEOUT_S = 60.0
AHEAD_S = 300
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
FAULTS = ("rolling deploy", "machine stopped and started", "machine lost")


@dataclass(frozen=True)
class Plan:
    """`lost_s`: for how long a machine has no cable. `clock_ahead`: one has another time."""

    seed: int
    rounds: int = 1
    workers: int = 2  # of each machine
    pause_s: float = 3.0
    lost_s: float = 8.0
    clock_ahead: bool = True


class Machines:
    """The servers, by number; to be used on the hub."""

    def __init__(self, star: Star, url: str, plan: Plan, folder: Path, stack: ExitStack) -> None:
        self._star = star
        self.port = free_port()
        self.servers: list[Gunicorn] = []
        for number, machine in enumerate(star.machines):
            own = folder / machine.name
            own.mkdir()
            address = f"@{star.hub_address(number)}:"
            env = {
                **SETTINGS,
                "HOST": star.address(number),
                "DATABASE_URL": url.replace("@127.0.0.1:", address),
                "ROWCAST_PROXIES": "1",
                "ROWCAST_TRUSTED_HOSTS": f"127.0.0.1,{star.address(number)}",
            }
            if number and plan.clock_ahead:
                env |= {
                    "LD_PRELOAD": str(FAKETIME),
                    "FAKETIME": f"+{AHEAD_S}s",
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                }
            server = Gunicorn(own, env, workers=plan.workers, app=SERVED_APP, port=self.port)
            stack.callback(server.end)
            self.servers.append(server)

    def start(self, number: int) -> None:
        with self._star.machines[number].inside():
            self.servers[number].start()

    def wait_ready(self) -> None:
        for server in self.servers:
            server.wait_ready(EFFECT_TIMEOUT_S)

    def minutes_apart(self) -> int:
        """By what the servers say of the time."""
        told = [server.get("/healthz").headers["date"] for server in self.servers]
        one, other = (parsedate_to_datetime(text) for text in told)
        return round((other - one).total_seconds() / 60)

    def reload(self, number: int) -> None:
        """HUP: new code for new workers, and the old ones go."""
        server = self.servers[number]
        assert server.child is not None
        old = [psutil.Process(pid) for pid in server.worker_pids()]
        server.child.signal(signal.SIGHUP)
        wait_until(lambda: all(map(has_ended, old)), EFFECT_TIMEOUT_S, "the end of old workers")
        server.wait_ready(EFFECT_TIMEOUT_S)

    def restart(self, number: int) -> None:
        self.servers[number].terminate()
        self.start(number)
        self.servers[number].wait_ready(EFFECT_TIMEOUT_S)

    @contextmanager
    def lost(self, number: int) -> Iterator[None]:
        self._star.cut_cable(number)
        try:
            yield
        finally:
            self._star.mend_cable(number)
        self.servers[number].wait_ready(EFFECT_TIMEOUT_S)


def run(star: Star, database: Postgres, plan: Plan, folder: Path) -> Record:
    """Runs it, in the hub's network; the journals are in `folder`."""
    with ExitStack() as stack:
        url = database.create_database()
        log = Journal(folder / "conductor.jsonl")
        stack.callback(log.close)
        cast = Cast(url, plan.seed, folder, stack)
        machines = Machines(star, url, plan, folder, stack)
        front = Front(folder, star, free_port(), machines.port, database.port)
        stack.enter_context(front)
        for number, _ in enumerate(star.machines):
            machines.start(number)
        machines.wait_ready()
        assert machines.minutes_apart() == (AHEAD_S // 60 if plan.clock_ahead else 0)
        prepare(url)
        _begin(cast, front.stream_url)
        cast.read_naively(POLL_INTERVAL_S)
        names = clients.NAMES
        faults = [*FAULTS] * plan.rounds
        random.Random(plan.seed).shuffle(faults)
        for number, name in enumerate(faults):
            time.sleep(plan.pause_s)
            began_s = now_s()
            _strike(name, machines, number % len(star.machines), plan)
            log.write(Fault(name, began_s, now_s(), True))
        time.sleep(plan.pause_s)
        cast.end_writing()
        paths = [journal.client_path(folder, name) for name in names]
        write_sentinel(url, log, paths, random.Random(plan.seed))
        log.write(read_truth(url))
        record = journal.load(folder)
        record.planned, record.writers = faults, sorted(cast.writers)
        return record


def _begin(cast: Cast, url: str) -> None:
    cast.read("torture", clients.NAMES, [url, url])
    for number in range(1, WRITERS + 1):
        cast.write(f"writer {number}")
    # No transaction that stays open while workers start and ids are burnt: of such a one a row can
    # be missed, as docs/guarantees.md says.
    cast.write("burner", "burner")
    cast.wait_written()


def _strike(name: str, machines: Machines, number: int, plan: Plan) -> None:
    match name:
        case "rolling deploy":
            for one, _ in enumerate(machines.servers):
                machines.reload(one)
        case "machine stopped and started":
            machines.restart(number)
        case _:
            with machines.lost(number):
                time.sleep(plan.lost_s)
