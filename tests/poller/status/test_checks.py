"""The checks: figures in, sentences out. Each case is one thing that can be wrong."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from poller.status.checks import polls, readers, rows, workers
from poller.status.checks.check import Check
from poller.status.figures import Counts, Gap, Places
from poller.status.report import checks_of, report
from tests.poller.status.machines import (
    AT,
    USUAL,
    WELL,
    machine,
    of_feed,
    sample,
    took,
    worker,
)

HELD = Gap(48206, 1, 252.0, ("pid 31337, idle in transaction",))


def words(check: Check | None) -> tuple[str, str]:
    """Its state and its sentence, with plain blanks."""
    assert check is not None
    return check.state, check.sentence.replace("\u00a0", " ")


def counted(**counts: Any) -> Counts:
    return replace(USUAL, **counts)


def test_a_machine_that_is_well_is_called_so() -> None:
    told = report(of_feed(counted(lag=took(0.1, 0.2, 0.2, 0.4))))
    assert (told["verdict"], told["well"]) == ("All is well.", True)
    assert [one["state"] for one in told["checks"]] == ["ok"] * 9
    assert not any(one["next"] or one["command"] for one in told["checks"])


def test_times_for_programs_have_no_noise_of_binary_fractions() -> None:
    some = took(*[0.11] * 5, *[0.002] * 2)  # p50 is 0.14500000000000002
    told = report(of_feed(counted(poll=some, lag=some)))
    times = [told["workers"][0][name] for name in ("poll_p99_s", "delay_p50_s", "delay_p99_s")]
    times += [told["feeds"]["orders"][name] for name in ("delay_p50_s", "delay_p99_s")]
    assert times == [round(one, 4) for one in times]


def test_a_quiet_machine_is_not_called_dead() -> None:
    told = report(of_feed(counted(rows=0)))
    assert told["verdict"] == "All is well, and quiet."
    assert "The tables were read 0.20\u00a0s ago" in told["text"]


@pytest.mark.parametrize(
    ("names", "verdict"),
    [(1, "One thing needs attention."), (3, "Three things need attention.")],
)
def test_what_is_wrong_is_counted(names: int, verdict: str) -> None:
    wrong = {"cut": 48.0, "full": 3.0, "unreadable": 1.0}
    told = report(of_feed(counted(**dict([*wrong.items()][:names]))))
    assert (told["verdict"], told["well"]) == (verdict, False)
    states = [one["state"] for one in told["checks"]]
    assert states == ["attention"] * names + ["ok"] * (9 - names)


def test_what_nobody_could_look_at_is_never_called_well() -> None:
    """A worker that has just started, and one machine of which nothing is told at all."""
    fresh = of_feed(Counts(), problem="the table has not been read yet", polled_s=None)
    states = {one.name: one.state for one in checks_of(fresh)}
    assert {name for name, state in states.items() if state == "unknown"} == {
        "polls", "delay", "gaps", "promise",
    }  # fmt: skip
    dead = machine(worker(lives=False, draining=True))
    states = {one.name: one.state for one in checks_of(dead)}
    assert states.keys() >= {"workers", "streams", "polls"}
    assert not report(dead)["well"]
    assert states["workers"] == states["streams"] == "unknown"


# -- rows -------------------------------------------------------------------------------------


def test_a_gap_is_named_with_its_holder_and_what_ends_it() -> None:
    check = rows.gaps(of_feed(gaps=(Gap(48208, 3, 2.0), HELD)))
    assert words(check) == (
        "attention",
        (
            "Id 48206 of orders may still come: open for 4 min 12 s, "
            "held by pid 31337, idle in transaction. It delays nobody."
        ),
    )
    assert check.command == "SELECT pg_terminate_backend(31337);"
    assert check.evidence == "Held by: pid 31337, idle in transaction"
    before = rows.gaps(of_feed(counted(late_rows=2, dead_gaps=1), gaps=(HELD,)))
    assert "Before: 2\u00a0rows came late, 1\u00a0id was rolled back" in before.evidence


def test_gaps_of_several_ids_are_named_from_the_first_on() -> None:
    state, sentence = words(rows.gaps(of_feed(gaps=(replace(HELD, first=4, ids=2),))))
    assert state == "attention"
    assert sentence.startswith("2 ids of orders, from 4 on, may still come: open for 4 min 12 s")


def test_of_a_table_that_cannot_be_read_no_gap_is_known() -> None:
    """Nobody sees now who holds it, and later rows do not go out either."""
    away = of_feed(gaps=(HELD,), problem="the database is away or refuses the query")
    assert words(rows.gaps(away)) == (
        "unknown",
        "Rows of orders are not read, so no gap is known.",
    )


def test_nothing_is_said_of_the_time_before_the_workers_began() -> None:
    """A server that was restarted knows nothing of the hour before."""
    young = machine(worker(counts={"orders": counted(rows=0)}, began=AT - 19.0))
    assert "No row came in the last 19\u00a0s." in report(young)["text"]
    told = {one.name: one.aside for one in checks_of(young)}
    assert told["resets"] == told["cut"] == told["values"] == told["gaps"] == "last 19\u00a0s"
    assert told["polls"] == "7,200\u00a0polls in the last 19\u00a0s"
    ended = worker(lives=False, draining=True)
    handed_over = machine(ended, worker(2, began=AT - 19.0))
    assert {one.name: one.aside for one in checks_of(handed_over)}["resets"] == "last hour"


def test_a_young_gap_is_named_and_not_called_wrong() -> None:
    state, sentence = words(rows.gaps(of_feed(gaps=(replace(HELD, open_s=4.0),))))
    assert state == "ok"
    assert "open for 4.0 s, held by pid 31337, idle in transaction" in sentence


@pytest.mark.parametrize(
    ("database", "holders", "command"),
    [
        ("mariadb", ("connection 12", "connection 14"), "KILL 12;\nKILL 14;"),
        ("mysql", ("connection None",), ""),
        ("postgresql", ("a prepared transaction",), ""),
        ("sqlite", (), ""),
    ],
)
def test_only_sessions_are_ended(database: str, holders: tuple[str, ...], command: str) -> None:
    gap = replace(HELD, holders=holders)
    assert rows.gaps(of_feed(gaps=(gap,), database=database)).command == command


def test_gaps_that_are_gone_are_told() -> None:
    check = rows.gaps(of_feed(counted(late_rows=2, dead_gaps=9)))
    assert check.state == "ok"
    assert check.aside == "last hour: 2\u00a0rows came late, 9\u00a0ids were rolled back"


def test_a_promise_that_does_not_hold_in_full_is_named_with_its_cure() -> None:
    lacking = ("no primary key: a row may come twice", "add a primary key")
    check = rows.promise(of_feed(degraded=(lacking,)))
    assert words(check) == ("attention", "The promise does not hold in full for orders.")
    assert check.evidence == "orders: no primary key: a row may come twice"
    assert (check.next, check.command) == ("Add a primary key", "rowcast doctor orders")
    odd = rows.promise(of_feed(degraded=(lacking,), name="a b;c"))
    assert odd.command == "rowcast doctor 'a b;c'"  # it is to be copied into a shell


def test_values_that_were_lost_are_counted() -> None:
    check = rows.values(of_feed(counted(unreadable=1, withheld=2)))
    assert words(check) == (
        "attention",
        "1 row of orders went out as a placeholder; 2 values of orders went out as null.",
    )


# -- polls and delay --------------------------------------------------------------------------


def test_a_poll_that_fails_is_named_with_the_reason() -> None:
    problem = "the database is away or refuses the query; the log says why"
    failing = of_feed(counted(failures=7), problem=problem, failing=True, polled_s=12.0)
    assert report(failing)["verdict"] == "One thing needs attention; two cannot be told now."
    check = polls.polls(failing)
    assert words(check) == (
        "attention",
        "New rows of orders do not arrive: the database is away or refuses the query.",
    )
    assert f"orders: {problem}" in check.evidence
    assert check.aside == "last read 12\u00a0s ago"
    assert "Failed polls in the last 10 min: 7" in check.evidence
    assert check.command == "rowcast doctor orders"


def test_hints_are_told_where_there_are_any() -> None:
    assert polls.polls(of_feed()).aside == "7,200\u00a0polls in the last hour"
    hinted = polls.polls(of_feed(counted(hints=31)))
    assert hinted.aside == "7,200\u00a0polls and 31\u00a0hints in the last hour"


def test_that_nothing_tells_of_new_rows_is_said_with_the_reason() -> None:
    reason = "LISTEN shop: the connection is lost; the log says why"
    check = polls.delay(of_feed(deaf=reason))
    assert words(check) == (
        "attention",
        "Nothing tells of new rows of orders: polls find them, every 0.50 s.",
    )
    assert check.evidence == reason
    away = polls.delay(of_feed(deaf=reason, problem="the database is away"))
    assert away.state == "unknown"  # that is what is wrong


def test_a_poll_that_failed_lately_is_named() -> None:
    state, sentence = words(polls.polls(of_feed(counted(failures=2))))
    assert (state, sentence) == (
        "attention",
        "2 polls failed in the last 10 min; now they succeed.",
    )


def test_a_failure_of_an_hour_ago_is_only_told() -> None:
    check = polls.polls(
        of_feed(counted(failures=2, polls=7200), before=counted(failures=2, polls=10))
    )
    assert check.state == "unknown"  # no poll since then
    later = counted(failures=2, poll=took(*[0.002] * 200))
    check = polls.polls(of_feed(later, before=counted(failures=2)))
    assert check.state == "ok"
    assert check.sentence.endswith("2 failed.")


def test_rows_that_are_late_are_named() -> None:
    late = of_feed(counted(lag=took(*[0.2] * 90, *[4.0] * 10)))
    state, sentence = words(polls.delay(late))
    assert state == "attention"
    assert sentence.startswith("Rows of orders go out late: 99 of 100 within 4.")


@pytest.mark.parametrize(
    ("timed", "sentence"),
    [
        (True, "No row came while somebody listened; the next is read within 0.50 s."),
        (False, "A new row is read within 0.50 s, and sent at once."),
    ],
)
def test_where_no_row_tells_its_age_the_interval_bounds_it(timed: bool, sentence: str) -> None:
    assert words(polls.delay(of_feed(timed=timed))) == ("ok", sentence)


# -- readers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("taken", "turned_away", "sentence"),
    [
        (95, 0, "Worker 2 is full: 95 of 100 places are taken."),
        (100, 7, ("Worker 2 is full: 100 of 100 places are taken, and 7 were turned away in the "
                 "last 10 min.")),
    ],
)  # fmt: skip
def test_a_full_worker_is_named(taken: int, turned_away: int, sentence: str) -> None:
    full = worker(
        2, counts={"orders": counted(full=turned_away)}, places=Places(taken, 100, 20, 25)
    )
    check = readers.streams(machine(worker(1), full))
    assert words(check) == ("attention", sentence)
    assert check.command == "ulimit -Hn 1300"


def test_an_address_with_all_its_streams_is_named() -> None:
    state, sentence = words(readers.streams(of_feed(counted(crowded=4))))
    assert state == "attention"
    assert sentence.startswith("An address has all 25 streams that it may have; 4 requests more")


def test_room_is_the_sum_of_the_workers() -> None:
    check = readers.streams(machine(worker(1), worker(2)))
    assert words(check) == ("ok", "6 streams are open; there is room for 194 more.")
    assert check.aside == "busiest address 2"


def test_one_client_that_was_cut_is_told_and_many_are_a_matter_of_concern() -> None:
    told = "cut for not reading: no byte was taken for 30 s."
    assert words(readers.cut(of_feed(counted(cut=1)))) == ("ok", f"1 client was {told}")
    check = readers.cut(of_feed(counted(cut=48)))
    assert words(check) == ("attention", f"48 clients were {told}")
    assert check.command == "proxy_buffering off;"
    # Twenty minutes ago: that is over.
    assert readers.cut(of_feed(counted(cut=48), before=counted(cut=48))).state == "ok"


def test_a_history_that_is_another_is_named_and_a_strange_id_only_told() -> None:
    state, sentence = words(readers.resets(of_feed(counted(history_resets=3, resets=3))))
    assert state == "attention"
    assert sentence.startswith("3 readers were told to load everything again")
    assert readers.resets(of_feed(counted(resets=1))).state == "ok"


def test_a_hand_over_is_told_where_there_was_one() -> None:
    assert readers.hand_over(of_feed()) is None
    whole = readers.hand_over(of_feed(counted(handed_over=1204, taken_over=1204)))
    assert words(whole) == (
        "ok",
        "In the last deploy 1,204 of 1,204 streams arrived at their new workers.",
    )
    short = readers.hand_over(of_feed(counted(handed_over=1204, taken_over=1200)))
    assert words(short)[0] == "attention"


# -- workers ----------------------------------------------------------------------------------


def test_a_worker_that_says_nothing_is_named() -> None:
    check = workers.workers(machine(worker(1), worker(2, silent_s=42.0)))
    assert words(check) == ("attention", "Worker 2 has said nothing for 42 s.")
    assert check.command == "py-spy dump --pid 4002\nkill -TERM 4002"


def test_a_worker_that_answers_late_is_named() -> None:
    check = workers.workers(machine(worker(1), worker(2, late_s=1.9)))
    assert words(check) == (
        "attention",
        "Worker 2 answers late: its event loop stood still for 1.9 s.",
    )


def test_a_worker_that_was_killed_is_named_and_one_that_ended_in_order_is_not() -> None:
    living = worker(1)
    check = workers.workers(machine(living, worker(2, lives=False)))
    assert words(check) == ("attention", "1 worker ended without a word; 1 worker answers now.")
    ended = worker(2, lives=False, draining=True)
    assert workers.workers(machine(living, ended)).state == "ok"
    old = worker(2, lives=False, sample=sample(AT - 1200, {}))
    assert workers.workers(machine(living, old)).state == "ok"


def test_what_a_worker_of_its_own_cannot_see_is_said() -> None:
    assert workers.workers(machine(alone=True)).state == "unknown"


def test_counts_of_rows_are_those_of_one_worker_and_counts_of_streams_of_all() -> None:
    both = machine(worker(1), worker(2))
    assert both.seen("orders", "rows", 3600) == 40
    assert both.total("polls", 3600) == 14_400
    assert both.streams == 6


def test_no_feed_is_told_by_a_worker_that_does_not_have_it() -> None:
    both = machine(worker(1, feeds={"orders": WELL}), labels=["orders", "events"])
    assert both.worst["events"].problem == "no worker tells of it"
    assert polls.polls(both).state != "ok"
