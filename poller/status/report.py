"""The report: the verdict, the checks, the workers and the feeds, as the page and the JSON have
them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from poller.status.checks import polls, readers, rows, workers
from poller.status.checks.check import Check, by_urgency
from poller.status.figures import Counts
from poller.status.machine import HOUR_S, RECENT_S, Machine, Worker
from poller.status.quantiles import quantile
from poller.status.words import capital, seconds, some, spelt

MB = 1_000_000
CPU_S = 5.0  # at least: over less, one wake-up is a lot


def checks_of(machine: Machine) -> list[Check]:
    """All that can be told of it, what wants a hand first."""
    made = [
        workers.workers(machine),
        polls.polls(machine),
        polls.delay(machine),
        rows.gaps(machine),
        rows.promise(machine),
        rows.values(machine),
        readers.streams(machine),
        readers.cut(machine),
        readers.resets(machine),
        readers.hand_over(machine),
    ]
    return by_urgency(one for one in made if one is not None)


def report(machine: Machine) -> dict[str, Any]:
    """What is so now; the hour is apart."""
    checks = checks_of(machine)
    amber = [one for one in checks if one.state != "ok"]
    return {
        "verdict": _verdict(machine, amber),
        "text": _text(machine),
        "well": not amber,
        "checks": [msgspec.to_builtins(one) for one in checks],
        "feeds": {feed.name: _feed(machine, label) for label, feed in machine.worst.items()},
        "workers": [_worker(machine, one) for one in machine.living],
        "at": round(machine.at, 1),
    }


def _verdict(machine: Machine, amber: list[Check]) -> str:
    if not amber:
        return "All is well." if _rows(machine) else "All is well, and quiet."
    wrong = sum(one.state == "attention" for one in amber)
    dark = len(amber) - wrong
    need = f"{spelt(wrong)} {'thing needs' if wrong == 1 else 'things need'} attention"
    if not dark:
        return capital(f"{need}.")
    if not wrong:
        return capital(f"{spelt(dark)} {'thing' if dark == 1 else 'things'} cannot be told now.")
    return capital(f"{need}; {spelt(dark)} cannot be told now.")


def _text(machine: Machine) -> str:
    readers_told = _readers(machine)
    if machine.unread:
        return "No row is skipped: those that are committed meanwhile come once they can be read."
    newest = [one.polled_s for one in machine.worst.values() if one.polled_s is not None]
    looked = f"The tables were read {seconds(max(newest))} ago" if newest else "Nothing is read yet"
    lag = Counts()
    for label in machine.labels:
        lag = lag.plus(machine.counted(label, RECENT_S))
    p50, p99 = quantile(0.5, lag.lag), quantile(0.99, lag.lag)
    if p50 is not None and p99 is not None:
        went = f"New rows go out {seconds(p50)} after they were created"
        return f"{went}, 99 of 100 within {seconds(p99)}. {readers_told}."
    if came := _rows(machine):
        return f"{some(came, 'row')} came in the {machine.span}. {looked}. {readers_told}."
    return f"No row came in the {machine.span}. {looked}. {readers_told}."


def _readers(machine: Machine) -> str:
    if not machine.streams:
        return "Nobody listens now"
    listen = some(machine.streams, "reader listens", "readers listen")
    return f"{listen} to {some(len(machine.labels), 'table')}"


def _rows(machine: Machine) -> int:
    return machine.seen_in_all("rows")


def _feed(machine: Machine, label: str) -> dict[str, Any]:
    told, worst = machine.counted(label, RECENT_S), machine.worst[label]
    return {
        "ready": not worst.problem,
        "problem": worst.problem,
        "streams": int(machine.counted(label, 0).streams),
        "rows_in_the_hour": machine.seen(label, "rows", HOUR_S),
        "delay_p50_s": _told(0.5, told.lag),
        "delay_p99_s": _told(0.99, told.lag),
        "open_gaps": int(machine.counted(label, 0).gaps),
    }


def _told(share: float, counts: Sequence[float]) -> float | None:
    """A quantile for programs, in seconds, to a tenth of a millisecond."""
    duration = quantile(share, counts)
    return None if duration is None else round(duration, 4)


def _worker(machine: Machine, worker: Worker) -> dict[str, Any]:
    counts = Counts()
    for label in machine.labels:
        counts = counts.plus(worker.counted(label, machine.at - RECENT_S))
    now = worker.now.sample
    before = next((one for one in reversed(worker.hour) if now.at - one.at >= CPU_S), now)
    spent = now.at - before.at
    return {
        "worker": worker.slot,
        "pid": worker.now.pid,
        "since_s": round(machine.at - worker.now.began),
        "streams": int(counts.streams),
        "poll_p99_s": _told(0.99, counts.poll),
        "delay_p50_s": _told(0.5, counts.lag),
        "delay_p99_s": _told(0.99, counts.lag),
        "open_gaps": int(counts.gaps),
        "cpu_percent": round(100 * (now.cpu_s - before.cpu_s) / spent, 1) if spent else None,
        "memory_mb": round(worker.now.sample.memory_bytes / MB),
        "late_s": round(workers.lateness(worker), 2),
        "well": not (worker.stands_still or workers.lateness(worker) >= workers.LATE_S),
        "version": worker.now.version,
    }
