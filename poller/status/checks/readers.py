"""Are readers served? Room for streams, clients that were cut, resets, hand-overs."""

from __future__ import annotations

from poller.access.capacity import MOST_PAGES, RESERVED_DESCRIPTORS
from poller.status.checks.check import Check, attention, ok, unknown
from poller.status.figures import Places
from poller.status.machine import HOUR_S, RECENT_S, Machine, Worker
from poller.status.words import count, seconds, some

NEARLY_FULL = 0.9
MANY_CUT, CUT_SHARE = 5, 0.01  # in ten minutes: one laptop that is closed is nothing
RECENTLY = "in the last 10 min"
CLIENTS = "client was", "clients were"
READERS = "reader was", "readers were"


def streams(machine: Machine) -> Check:
    """Is there room for more?"""
    if not machine.living:
        return unknown("streams", "No worker tells how many streams are open.")
    places = [(one, machine.places(one)) for one in machine.living]
    worker, fullest = max(places, key=lambda one: one[1].taken / max(1, one[1].room))
    taken, room = machine.taken, machine.room
    if machine.total("full", RECENT_S) or fullest.taken >= NEARLY_FULL * fullest.room:
        return _full(machine, worker, fullest)
    if machine.total("crowded", RECENT_S):
        return _crowded(machine)
    busiest = max(one.busiest for _, one in places)
    aside = f"busiest address {count(busiest)}" if busiest else ""
    opened = some(taken, "stream is", "streams are") if taken else "No stream is"
    more = " more" if taken else ""
    return ok("streams", f"{opened} open; there is room for {count(room - taken)}{more}.", aside)


def _full(machine: Machine, worker: Worker, places: Places) -> Check:
    turned_away = machine.total("full", RECENT_S)
    told = f", and {count(turned_away)} were turned away {RECENTLY}" if turned_away else ""
    of = f"{count(places.taken)} of {count(places.room)} places"
    return attention(
        "streams",
        f"Worker {worker.slot} is full: {of} are taken{told}.",
        RECENTLY if turned_away else "now",
        evidence=[
            f"All workers: {some(machine.taken, 'stream')} of {count(machine.room)}",
            f"Open files: {count(worker.now.open_files)} allowed",
            f"Most by one address: {count(places.busiest)}",
            "Who is turned away comes back within 15\u00a0s by itself.",
        ],
        next_step="Start more workers, or give each more room: raise ROWCAST_MAX_STREAMS, and "
        "where the server starts the limit of open files (LimitNOFILE in a systemd unit):",
        command=f"ulimit -Hn {2 * places.room + MOST_PAGES + RESERVED_DESCRIPTORS}",
    )


def _crowded(machine: Machine) -> Check:
    places = [machine.places(one) for one in machine.living]
    turned_away = some(machine.total("crowded", RECENT_S), "request")
    most = count(max(one.per_address for one in places))
    return attention(
        "streams",
        f"An address has all {most} streams that it may have; {turned_away} more were turned away.",
        RECENTLY,
        evidence=[
            f"All workers: {some(machine.taken, 'stream')} of {count(machine.room)}",
            f"Most by one address: {count(max(one.busiest for one in places))}",
        ],
        next_step="If it is a proxy of yours, let Rowcast see the clients behind it; if many "
        "people share it, raise ROWCAST_MAX_STREAMS_PER_ADDRESS. For one proxy:",
        command="ROWCAST_PROXIES=1",
    )


def cut(machine: Machine) -> Check:
    """Were clients cut for not reading?"""
    recently, hour = machine.total("cut", RECENT_S), machine.total("cut", HOUR_S)
    why = f"no byte was taken for {seconds(machine.deadline_s)}"
    if recently < max(MANY_CUT, CUT_SHARE * machine.streams):
        if not hour:
            return ok("cut", "No client was cut for not reading.", machine.span)
        return ok("cut", f"{some(hour, *CLIENTS)} cut for not reading: {why}.", machine.span)
    return attention(
        "cut",
        f"{some(recently, *CLIENTS)} cut for not reading: {why}.",
        RECENTLY,
        evidence=[
            "Each may come back and go on where it was, so no row is lost to it.",
            "A proxy that holds streams back looks like this.",
        ],
        next_step="See that the proxy passes streams on unbuffered. For nginx:",
        command="proxy_buffering off;",
    )


def resets(machine: Machine) -> Check:
    """Had readers to begin again?"""
    by_table = sum(machine.total(one, RECENT_S) for one in ("history_resets", "id_resets"))
    if by_table:
        return attention(
            "resets",
            f"{some(by_table, *READERS)} told to load everything again: the table's history is "
            "another.",
            RECENTLY,
            evidence=["A table was dropped, truncated or restored, or its ids start again."],
            next_step="If nobody did that on purpose, look into the log for “reset”, which names "
            "the table.",
        )
    if others := machine.total("resets", HOUR_S):
        return ok(
            "resets",
            f"{some(others, 'reader')} came with an id that is not the table's, and began again.",
            machine.span,
        )
    return ok("resets", "Nobody had to begin again.", machine.span)


def hand_over(machine: Machine) -> Check | None:
    """What the last deploy moved; None where nothing was."""
    given, taken = (machine.total(one, HOUR_S) for one in ("handed_over", "taken_over"))
    if not given:
        return None
    told = f"{count(min(given, taken))} of {some(given, 'stream')} arrived at their new workers."
    if taken >= given:
        return ok("hand-over", f"In the last deploy {told}", machine.span)
    return attention(
        "hand-over",
        f"In the last deploy only {told}",
        machine.span,
        evidence=["The others were ended, and came back by themselves."],
        next_step="Look into the log of the workers that ended for the reason.",
    )
