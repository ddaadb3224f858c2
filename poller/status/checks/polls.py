"""Are the tables read, and do rows go out in time?"""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote

from poller.status.checks.check import Check, attention, ok, unknown
from poller.status.figures import FeedNow, together
from poller.status.machine import HOUR_S, RECENT_S, Machine
from poller.status.quantiles import quantile
from poller.status.words import count, listed, seconds, some

LATE_ROW_S = 2.0  # or so many polls, whichever is more
LATE_POLLS = 4
RECENTLY = "in the last 10 min"


def polls(machine: Machine) -> Check:
    """Is each table read, and how fast does the database answer?"""
    feeds = machine.worst.values()
    if failing := [one for one in feeds if one.problem]:
        unread = [one for one in failing if one.polled_s is None and not one.failing]
        return _unread(unread) if len(unread) == len(failing) else _failing(machine, failing)
    times = _all(machine.counted(label, RECENT_S).poll for label in machine.labels)
    p50, p99 = quantile(0.5, times), quantile(0.99, times)
    if p50 is None or p99 is None:
        return unknown("polls", "No table was polled in the last 10 min.")
    answers = f"The database answers a poll in {seconds(p50)}, 99 of 100 within {seconds(p99)}"
    hints = machine.total("hints", HOUR_S)
    told = f" and {some(hints, 'hint')}" if hints else ""
    aside = f"{some(machine.total('polls', HOUR_S), 'poll')}{told} in the {machine.span}"
    if recently := machine.total("failures", RECENT_S):
        return attention(
            "polls",
            f"{some(recently, 'poll')} failed {RECENTLY}; now they succeed.",
            aside,
            evidence=[f"{answers}.", "No row is skipped by that: it comes with the next poll."],
            next_step="Look into the log for “poll failed”, which has the driver's words.",
        )
    failed = machine.total("failures", HOUR_S)
    return ok("polls", f"{answers}; {count(failed) if failed else 'none'} failed.", aside)


def _unread(unread: list[FeedNow]) -> Check:
    verb = "has" if len(unread) == 1 else "have"
    return unknown(
        "polls",
        f"{listed([one.name for one in unread])} {verb} not been read yet.",
        "\n".join(f"{_named(unread, problem)}: {problem}" for problem in _problems(unread)),
        "Wait some seconds; if it stays, the log says why.",
    )


def _failing(machine: Machine, failing: list[FeedNow]) -> Check:
    first = failing[0]
    read = "not read yet" if first.polled_s is None else f"last read {seconds(first.polled_s)} ago"
    failed = machine.total("failures", RECENT_S)
    reason = first.problem.partition(";")[0]
    return attention(
        "polls",
        f"New rows of {listed([one.name for one in failing])} do not arrive: {reason}.",
        read,
        evidence=[
            *(f"{_named(failing, problem)}: {problem}" for problem in _problems(failing)),
            f"Failed polls {RECENTLY}: {count(failed)}",
        ],
        next_step="Readers stay connected, and no row is lost: they come once it answers again. "
        "The log has the driver's words; or ask the database yourself:",
        command=f"rowcast doctor {quote(first.name)}",
    )


def _problems(feeds: Iterable[FeedNow]) -> list[str]:
    return [*dict.fromkeys(one.problem for one in feeds)]


def _named(feeds: Iterable[FeedNow], problem: str) -> str:
    return listed([one.name for one in feeds if one.problem == problem])


def delay(machine: Machine) -> Check:
    """From a row's creation to its frame, as far as rows tell when they were created."""
    feeds = machine.worst
    for label, feed in feeds.items():
        p99 = quantile(0.99, machine.counted(label, RECENT_S).lag)
        if p99 is not None and p99 > max(LATE_ROW_S, LATE_POLLS * feed.interval_s):
            return _late(feed, p99)
    if unread := machine.unread:
        return unknown("delay", f"Rows of {listed(unread)} are not read, so no delay is known.")
    if deaf := [one for one in feeds.values() if one.deaf]:
        return _deaf(deaf)
    lag = _all(machine.counted(label, HOUR_S).lag for label in machine.labels)
    p50, p99 = quantile(0.5, lag), quantile(0.99, lag)
    if p50 is not None and p99 is not None:
        within = f"99 of 100 within {seconds(p99)}"
        return ok(
            "delay",
            f"Rows go out {seconds(p50)} after they were created, {within}.",
            f"{machine.span}, while somebody listened",
        )
    longest = seconds(max((one.interval_s for one in feeds.values()), default=0.0))
    if any(one.timed for one in feeds.values()):
        told = "No row came while somebody listened"
        return ok("delay", f"{told}; the next is read within {longest}.", machine.span)
    return ok(
        "delay",
        f"A new row is read within {longest}, and sent at once.",
        "no column created_at tells more",
    )


def _late(feed: FeedNow, p99: float) -> Check:
    return attention(
        "delay",
        f"Rows of {feed.name} go out late: 99 of 100 within {seconds(p99)} of their creation.",
        RECENTLY,
        evidence=[
            f"Polled every: {seconds(feed.interval_s)}",
            "The time runs from created_at: long transactions and other clocks show up, too.",
        ],
        next_step="See whether polls are slow, or a worker answers late. If neither is so, look "
        "for long transactions and compare the clocks.",
    )


def _deaf(feeds: list[FeedNow]) -> Check:
    every = seconds(max(one.interval_s for one in feeds))
    return attention(
        "delay",
        f"Nothing tells of new rows of {listed([one.name for one in feeds])}: polls find them, "
        f"every {every}.",
        "now",
        evidence=dict.fromkeys(one.deaf for one in feeds),
        next_step="No row is lost by it. It is tried again and again; the log has the reason.",
    )


def _all(histograms: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    total: tuple[float, ...] = ()
    for one in histograms:
        total = together(total, one)
    return total
