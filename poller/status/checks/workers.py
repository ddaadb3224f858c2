"""Do the workers live, and answer in time?"""

from __future__ import annotations

from collections.abc import Sequence

from poller.status.checks.check import Check, attention, ok, unknown
from poller.status.machine import RECENT_S, Machine, Worker
from poller.status.words import count, listed, seconds, some

LATE_S = 0.5  # a timer that came so late: everything else in that worker waited as long
LATE_SAMPLES = 3  # the newest, of 10 s each


def workers(machine: Machine) -> Check:
    """Is each there, and is its event loop free?"""
    if not machine.living:
        return unknown("workers", "No worker tells of itself.")
    if still := [one for one in machine.living if one.stands_still]:
        return _still(machine, still)
    if crashed := [one for one in machine.workers if _crashed_lately(one, machine.at)]:
        return _crashed(machine, crashed)
    late_s, worker = max(((lateness(one), one) for one in machine.living), key=lambda one: one[0])
    if late_s >= LATE_S:
        return _late(machine, worker, late_s)
    if machine.alone:
        return unknown(
            "workers",
            "Only the worker that answers you is seen here.",
            "Workers tell each other how they are under Rowcast's own worker alone.",
            "Start the server with gunicorn -k poller.Worker.",
        )
    return _well(machine)


def _well(machine: Machine) -> Check:
    living = machine.living
    began = seconds(machine.at - max(one.now.began for one in living))
    version = listed(sorted({one.now.version for one in living}))
    if len(living) == 1:
        return ok("workers", f"The worker answers; it began {began} ago.", f"Rowcast {version}")
    all_of = "Both" if len(living) == 2 else f"All {count(len(living))}"
    told = f"{all_of} workers answer; the youngest began {began} ago."
    return ok("workers", told, f"Rowcast {version}")


def lateness(worker: Worker) -> float:
    """How late its event loop was at most, in the newest samples, in seconds. While a worker
    starts, it is busy with that."""
    samples = [*worker.hour[-LATE_SAMPLES:], worker.now.sample]
    return max((one.late_s for one in samples[1:] or samples), default=0.0)


def _still(machine: Machine, still: Sequence[Worker]) -> Check:
    worst = max(still, key=lambda one: one.silent_s)
    names = listed([str(one.slot) for one in still])
    who = f"Worker {names} has" if len(still) == 1 else f"Workers {names} have"
    waiting = sum(machine.places(one).taken for one in still)
    return attention(
        "workers",
        f"{who} said nothing for {seconds(worst.silent_s)}.",
        f"of {len(machine.living)}",
        evidence=[
            f"Process: {worst.now.pid}, which lives",
            f"Readers: {count(waiting)}, who get nothing",
            "Its event loop stands still: most likely a route of yours lets no others run.",
        ],
        next_step="See what it does, then end it; its readers move to the others:",
        command=_looked_into(worst),
    )


def _late(machine: Machine, worker: Worker, late_s: float) -> Check:
    return attention(
        "workers",
        f"Worker {worker.slot} answers late: its event loop stood still for {seconds(late_s)}.",
        "in the last 30\u00a0s",
        evidence=[
            f"Process: {worker.now.pid}",
            f"Readers: {count(machine.places(worker).taken)}, who waited as long",
            "A route of your own keeps it busy, or the machine has too little CPU.",
        ],
        next_step="See what it does; a restart moves its readers within 2\u00a0s:",
        command=_looked_into(worker),
    )


def _looked_into(worker: Worker) -> str:
    return f"py-spy dump --pid {worker.now.pid}\nkill -TERM {worker.now.pid}"


def _crashed_lately(worker: Worker, at: float) -> bool:
    return worker.crashed and at - worker.ended_at < RECENT_S


def _crashed(machine: Machine, crashed: Sequence[Worker]) -> Check:
    last = max(crashed, key=lambda one: one.ended_at)
    answers = some(len(machine.living), "worker answers", "workers answer")
    return attention(
        "workers",
        f"{some(len(crashed), 'worker')} ended without a word; {answers} now.",
        f"{seconds(max(0.0, machine.at - last.ended_at))} ago",
        evidence=[
            f"Last: worker {last.slot}, process {last.now.pid}",
            f"Memory then: {count(last.now.sample.memory_bytes / 1e6)}\u00a0MB",
            "It was killed, or the machine had no memory left. Its readers have come back.",
        ],
        next_step="Ask the kernel, and the server's log, why:",
        command="journalctl -k --since -1h | grep -i -e oom -e killed",
    )
