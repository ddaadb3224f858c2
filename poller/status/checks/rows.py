"""Do all rows go out, as they are? Gaps, the promise, and values that are lost."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from poller.status.checks.check import Check, attention, ok, unknown
from poller.status.figures import FeedNow, Gap
from poller.status.machine import HOUR_S, Machine
from poller.status.words import capital, listed, seconds, some

LONG_OPEN_S = 30.0  # until then a gap is what somebody who writes leaves for a moment
MOST_ENDED = 5  # statements to copy


def gaps(machine: Machine) -> Check:
    """Ids that are missing and may still come, of the tables that can be read now."""
    read = [one for told in machine.feeds.values() for one in told if not one.problem]
    found = [(one, gap) for one in read for gap in one.gaps]
    if found:
        return _open(machine, *max(found, key=lambda one: one[1].open_s))
    if unread := machine.unread:
        return unknown("gaps", f"Rows of {listed(unread)} are not read, so no gap is known.")
    past = _past(machine)
    aside = f"{machine.span}: {past}" if past else machine.span
    return ok("gaps", "No gap is open: every row that was committed went out.", aside)


def _past(machine: Machine) -> str:
    """What became of others, if there were any."""
    late, dead = machine.seen_in_all("late_rows"), machine.seen_in_all("dead_gaps")
    if not late and not dead:
        return ""
    were = "was" if dead == 1 else "were"
    return f"{some(late, 'row')} came late, {some(dead, 'id')} {were} rolled back"


def _open(machine: Machine, feed: FeedNow, gap: Gap) -> Check:
    one = f"id {gap.first} of {feed.name}"
    ids = one if gap.ids == 1 else f"{some(gap.ids, 'id')} of {feed.name}, from {gap.first} on,"
    held = f", held by {listed(gap.holders, 2)}" if gap.holders else ""
    still = capital(f"{ids} may still come: open for {seconds(gap.open_s)}{held}.")
    if gap.open_s < LONG_OPEN_S:
        return ok("gaps", f"{still} It delays nobody.", "usual while somebody writes")
    past = _past(machine)
    commands = [*_ending(gap, feed.database)][:MOST_ENDED]
    return attention(
        "gaps",
        f"{still} It delays nobody.",
        "",
        evidence=[
            f"Held by: {listed(gap.holders, 10) or 'not shown by this database'}",
            *([f"Before: {past}"] if past else []),
        ],
        next_step="Nobody waits for it: later rows went out. "
        + (
            "If the session is forgotten, end it:"
            if commands
            else "Look for a transaction that stays open."
        ),
        command="\n".join(commands),
    )


def _ending(gap: Gap, database: str) -> Iterator[str]:
    """The statements that end the holders, where these are sessions."""
    for holder in gap.holders:
        kind, _, rest = holder.partition(" ")
        number = rest.partition(",")[0]
        if not number.isdigit():
            continue
        if kind == "pid" and database == "postgresql":
            yield f"SELECT pg_terminate_backend({number});"
        elif kind == "connection":
            yield f"KILL {number};"


def promise(machine: Machine) -> Check:
    """Does the whole promise hold for each table?"""
    feeds = [*machine.worst.values()]
    if broken := [one for one in feeds if one.degraded]:
        return _broken(broken)
    if unread := [one.name for one in feeds if one.polled_s is None]:
        return unknown(
            "promise",
            f"Nobody knows yet what is promised for {listed(unread)}.",
            "Nobody has looked at the table yet.",
        )
    limits = sum(one.limits for one in feeds)
    aside = f"{some(limits, 'limit')}: rowcast doctor names them" if limits else ""
    names = listed([one.name for one in feeds])
    return ok("promise", f"The whole promise holds for {names}.", aside)


def _broken(broken: list[FeedNow]) -> Check:
    remedies = dict.fromkeys(remedy for one in broken for _, remedy in one.degraded if remedy)
    return attention(
        "promise",
        f"The promise does not hold in full for {listed([one.name for one in broken])}.",
        "",
        evidence=[f"{one.name}: {lacking}" for one in broken for lacking, _ in one.degraded],
        next_step=capital("; ".join(remedies)) or "Ask the doctor what to change:",
        command="\n".join(f"rowcast doctor {quote(one.name)}" for one in broken),
    )


def values(machine: Machine) -> Check:
    """Did all that was read go out as it is?"""
    unreadable, withheld = (machine.seen_by_feed(one) for one in ("unreadable", "withheld"))
    told = []
    if unreadable:
        rows = some(sum(unreadable.values()), "row")
        told.append(f"{rows} of {listed([*unreadable])} went out as a placeholder")
    if withheld:
        lost = some(sum(withheld.values()), "value")
        told.append(f"{lost} of {listed([*withheld])} went out as null")
    if not told:
        return ok("values", "Every row that was read went out whole.", machine.span)
    return attention(
        "values",
        f"{'; '.join(told)}.",
        f"last {seconds(HOUR_S)}",
        evidence=["A value is withheld if it cannot be read, or is larger than ROWCAST_MAX_VALUE."],
        next_step="The log names them: look for “row unreadable” and “value withheld”.",
    )
