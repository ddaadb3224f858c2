"""Each verdict and each figure, from a record made by hand."""

from collections.abc import Callable

from msgspec.structs import replace

from tests.campaigns.oracle.delays import delays
from tests.campaigns.oracle.handmade import Run
from tests.campaigns.oracle.records import Deed, Fault, NaiveRow, Record
from tests.campaigns.oracle.verdict import Report, report


def good_run() -> Run:
    """Two writers, ten late commits, all received: nothing to complain of."""
    run = Run()
    run.record.writers = ["w", "v"]
    run.connect()
    run.place("0")
    for round_ in range(12):
        low, high = 2 * round_ + 1, 2 * round_ + 2
        run.write(high)
        run.write(low)
        change_attempt(run.record, f"p{low}", writer="v")
        run.receive(high, f"{high}!1,1")
        run.receive(low, str(high))
    return run


def change_attempt(record: Record, payload: str, **changes: object) -> None:
    record.attempts[payload] = replace(record.attempts[payload], **changes)


def judged(change: Callable[[Record], None]) -> Report:
    record = good_run().end()
    change(record)
    return report(record)


def test_good_run_passes() -> None:
    good = judged(lambda _: None)
    assert (good.verdict, good.reasons, good.late_commits) == ("pass", [], 12)
    assert good.committed == 25


def test_anomaly_fails() -> None:
    bad = judged(lambda record: record.clients[0].frames.pop(4))  # type: ignore[arg-type]
    assert bad.verdict == "fail"
    assert bad.counts["lost"] == 1


def test_client_without_the_sentinel_is_unknown() -> None:
    bad = judged(lambda record: record.clients[0].frames.pop())  # type: ignore[arg-type]
    assert bad.verdict == "unknown"
    assert bad.reasons == ["the sentinel did not reach a"]


def test_no_client_is_unknown() -> None:
    assert judged(lambda record: record.clients.clear()).verdict == "unknown"


def test_committed_row_that_is_gone_from_the_table_is_unknown() -> None:
    def change(record: Record) -> None:
        del record.truths[0].rows["p3"]

    assert judged(change).verdict == "unknown"


def test_planned_fault_that_did_not_fire_is_vacuous() -> None:
    def change(record: Record) -> None:
        record.faults = [Fault("fault", -9.0, -8.0, False)]

    bad = judged(change)
    assert (bad.verdict, bad.reasons) == ("vacuous", ["faults that did not fire: fault"])


def test_deed_that_no_writer_did_is_vacuous() -> None:
    def change(record: Record) -> None:
        record.planned_deeds = ["burnt", "bulk"]
        record.deeds = [Deed("burnt", 3.0)]

    bad = judged(change)
    assert (bad.verdict, bad.reasons) == ("vacuous", ["what no writer did: bulk"])


def test_workers_that_were_watched_and_made_no_pass_are_vacuous() -> None:
    def change(record: Record) -> None:
        record.watched = True

    assert judged(change).reasons == ["no pass over the table was seen"]


def test_idle_writer_is_vacuous() -> None:
    bad = judged(lambda record: record.writers.append("idle"))
    assert (bad.verdict, bad.reasons) == ("vacuous", ["only 2 of 3 writers worked"])


def test_writer_that_stopped_midway_is_vacuous() -> None:
    def change(record: Record) -> None:
        for payload, attempt in [*record.attempts.items()]:
            if attempt.writer == "v" and attempt.row_id > 10:
                change_attempt(record, payload, writer="w")

    assert judged(change).reasons == ["only 1 of 2 writers worked"]


def test_few_late_commits_are_vacuous_unless_writers_take_turns() -> None:
    def in_order(record: Record) -> None:
        record.writers = ["w"]
        for payload, attempt in [*record.attempts.items()]:
            began_s = 900.0 + attempt.row_id
            change_attempt(record, payload, writer="w", began_s=began_s, ended_s=began_s + 0.5)

    assert judged(in_order).reasons == ["only 0 late commits"]

    def on_sqlite(record: Record) -> None:
        in_order(record)
        record.in_order = True

    assert judged(on_sqlite).verdict == "pass"


def test_naive_poller_lost_what_it_passed_by() -> None:
    def change(record: Record) -> None:
        record.naive = [NaiveRow(one, f"p{one}") for one in (2, 4, 6)]

    assert judged(change).naive_lost == 3


def test_delay_counts_calm_receipts_on_connections_opened_before() -> None:
    record = good_run().end()
    assert delays(record).count == 25
    found = delays(record)
    assert (found.p50_s, found.p99_s, found.longest_s) == (2.0, 3.0, 3.0)  # ticks
    record.faults.append(Fault("long", 0.0, 1e6, True))
    assert delays(record).count == 0
