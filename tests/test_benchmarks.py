"""That the benchmarks measure: the load client counts right, contenders deliver, the page says so.

No figure is judged here. What this machine lacks is skipped, and named.
"""

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import compare, crowd
from benchmarks.case import Bench, Figures
from benchmarks.cases import ALL, connect, latency, reload
from benchmarks.contenders import NAMES, Rowcast, make
from benchmarks.load import Load, Mode
from benchmarks.machine import PROJECT
from benchmarks.measure import cpu_s, pss_bytes, quantile
from benchmarks.payload import body, data
from benchmarks.plan import SHORT
from benchmarks.report import Results, write
from benchmarks.stream import Body
from tests.harness.process import PartMissing

CASES = {case.name: case for case in ALL}
STREAMS, ROWS, BOUND_S = 20, 3, 30.0
MACHINE = {"processor": "a test's"}
CHECKOUT = ("app.py", "gunicorn.conf.py", "models", "poller", "static", "templates", "wall")


@pytest.mark.parametrize("name", NAMES)
def test_each_row_reaches_each_stream_of_a_contender_once(name: str, tmp_path: Path) -> None:
    try:
        with make(name, tmp_path) as server, Load(server.url) as load:
            load.open(STREAMS)
            load.mark()
            before = cpu_s(server.pids())
            for _ in range(ROWS):
                server.publish()
            assert load.wait_each(ROWS, BOUND_S) == ROWS
            got = load.report()
            assert (got.least, got.most, got.rows) == (ROWS, ROWS, ROWS * STREAMS)
            assert (got.open, got.lost, got.errors) == (STREAMS, 0, {})
            assert 0 < got.p50_ms <= got.p99_ms < 1000 * BOUND_S
            assert cpu_s(server.pids()) > before
            assert pss_bytes(server.pids()) > 1_000_000
    except PartMissing as reason:
        pytest.skip(str(reason))


# -- the load client ------------------------------------------------------------------------------


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
CHUNKED = HEAD[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
OPENING = b"retry: 10\n\nid: h.0\n\n"


def row(number: int) -> bytes:
    return f"data: {data(number, body(number))}\n".encode()


def frame(number: int) -> bytes:
    return b"id: h.%d\n%s\n" % (number, row(number))


def other_frame(number: int) -> bytes:
    """The same event with its fields in another order."""
    return b"event: post\n%sid: h.%d\n\n" % (row(number), number)


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


def pieces(content: bytes, size: int = 7) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


@contextmanager
def answering(*answers: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives each connection the next answer, part by part, and closes all but the
    last; its URL, and the requests."""
    requests: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        for number, parts in enumerate(answers, 1):
            link, _ = listener.accept()
            with closing(link), suppress(ConnectionError):  # the client may have seen enough
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                requests.append(link.recv(65_536))
                for part in parts:
                    link.sendall(part)
                    done.wait(0.005)  # so that the parts are read one by one
                if number == len(answers):
                    done.wait(BOUND_S)

    thread = threading.Thread(target=serve)
    thread.start()
    with closing(listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/stream", requests
        done.set()
        thread.join(BOUND_S)


@pytest.mark.parametrize("mode", ["normal", "exact"])
def test_a_row_that_comes_in_pieces_is_counted_once(mode: Mode) -> None:
    with answering([HEAD + OPENING, *pieces(frame(1))]) as (url, _), Load(url) as load:
        load.open(1, mode)
        assert load.wait_rows(1, BOUND_S) == 1
        assert load.report().most == 1


@pytest.mark.parametrize("mode", ["normal", "exact"])
def test_rows_in_the_same_bytes_as_the_head_are_counted(mode: Mode) -> None:
    with answering([HEAD + OPENING + frame(1) + frame(2)]) as (url, _), Load(url) as load:
        load.open(1, mode)
        assert load.wait_rows(2, BOUND_S) == 2


FRAMINGS = {
    "id first": (HEAD + OPENING, frame, b""),
    "id last, retry without a blank line": (HEAD + b"retry: 10\n:\n", other_frame, b""),
    "CR LF": (HEAD + OPENING, lambda number: frame(number).replace(b"\n", b"\r\n"), b""),
    "chunks": (CHUNKED + chunk(OPENING), lambda number: chunk(other_frame(number)), b"0\r\n\r\n"),
}


@pytest.mark.parametrize("framing", FRAMINGS)
def test_an_exact_stream_counts_a_cut_event_when_it_comes_again(framing: str) -> None:
    opening, framed, end = FRAMINGS[framing]
    cut = framed(2).rstrip(b"\r\n")  # all of it but the blank line that dispatches it
    first = [opening, *pieces(framed(1)), cut]
    second = [opening, *pieces(framed(2) + end)]
    with answering(first, second) as (url, requests), Load(url) as load:
        load.open(1, "exact")
        assert load.wait_rows(2, BOUND_S) == 2
        assert b"Last-Event-ID: h.1\r\n" in requests[1]
        got = load.report()
        assert (got.most, got.errors) == (2, {})
        assert got.lost >= 1


def test_chunks_are_undone_wherever_the_bytes_were_cut() -> None:
    sent = chunk(b"one") + chunk(b"two\r\n5\r\n") + b"0\r\n\r\n"
    for size in range(1, len(sent) + 1):
        taken = Body(chunked=True)
        assert b"".join(map(taken.take, pieces(sent, size))) == b"onetwo\r\n5\r\n"
        assert taken.ended


def test_a_stream_that_is_refused_is_not_taken_for_an_open_one() -> None:
    refusal = b"HTTP/1.1 503 Service Unavailable\r\n\r\nno"
    with answering([refusal]) as (url, _), Load(url) as load, pytest.raises(AssertionError) as said:
        load.open(1, timeout_s=0.5)
    assert "503" in str(said.value)


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile([], 0.5) == 0.0
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([float(n) for n in range(1000)], 0.99) == 990.0


# -- cases and the page ---------------------------------------------------------------------------


def run(name: str, *contenders: str) -> list[Figures]:
    """A case in its short form."""
    return list(CASES[name].run(Bench(SHORT.only(contenders))))


def page_of(tmp_path: Path, results: Results) -> str:
    write(results, ALL, tmp_path / "benchmarks.md")
    return (tmp_path / "benchmarks.md").read_text()


def test_one_row_is_measured_and_shown_next_to_the_floor(tmp_path: Path) -> None:
    rows = run("one-row", "fanout", "floor")
    assert [row["streams"] for row in rows] == [*SHORT.streams, *SHORT.streams]
    assert all(row["deliveries"] % row["streams"] == 0 < row["deliveries"] for row in rows)
    assert [row["page_ms"] is not None for row in rows] == [True, True, False, False]
    results = Results(tmp_path / "benchmarks")
    results.keep("one-row", "2026-01-01", MACHINE, rows)
    page = page_of(tmp_path, results)
    assert "| **Rowcast** |" in page
    assert "| 1.00 × |" in page  # the floor next to itself
    assert "a test's" in page
    assert "(benchmarks/one-row-cpu.svg)" in page
    plot = (tmp_path / "benchmarks" / "one-row-cpu.svg").read_text()
    assert len(plot) < 15_000
    assert {"Rowcast", "send() loop (floor)"} <= set(ET.fromstring(plot).itertext())


def test_the_latency_of_a_row_is_measured_idle_and_busy() -> None:
    name = "**Rowcast**, SQLite"
    (row,) = latency._latency(Bench(SHORT), *latency.SERVERS[name])
    assert row["rows"] > 0
    assert row["busy_rows"] > 0
    assert 0 < row["p50_ms"] <= row["p99_ms"] < 1000 * latency.ROUND_S
    shown = CASES["latency"].table([{"contender": name, **row}])
    assert shown.splitlines()[2].startswith(f"| {name} | ")


def test_a_connect_is_measured_next_to_a_bare_function() -> None:
    bare, resumed = run("connect", connect.BARE, "Rowcast, resumes")
    assert (bare["contender"], resumed["contender"]) == (connect.BARE, "Rowcast, resumes")
    assert bare["least_us"] <= bare["connect_us"] <= bare["most_us"]
    assert resumed["connect_us"] > 0
    assert "| 1.00 × |" in CASES["connect"].table([bare, resumed])


def test_a_crowd_is_several_clients_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "STREAMS_EACH", 7)
    with make("floor", tmp_path) as server, crowd.Crowd(server.url, STREAMS) as streams:
        streams.open()
        streams.mark()
        server.publish(ROWS)
        assert streams.wait_each(ROWS, BOUND_S) == ROWS
        assert streams.wait_open(BOUND_S) == STREAMS
        got = streams.report()
    assert (got.rows, got.least, got.most, got.open) == (ROWS * STREAMS, ROWS, ROWS, STREAMS)
    assert (got.checked, got.distinct, got.doubled, got.errors) == (STREAMS, ROWS, 0, {})
    assert 0 < got.usual_silence_s <= got.silence_s < BOUND_S


def test_a_row_that_comes_twice_is_counted_as_doubled() -> None:
    rows = frame(1) + frame(2) + frame(1)
    with answering([HEAD + OPENING, rows]) as (url, _), Load(url) as load:
        load.open(1, "exact")
        assert load.wait_rows(3, BOUND_S) == 3
        got = load.report()
    assert (got.checked, got.distinct, got.doubled) == (1, 2, 1)


def test_a_reload_comes_at_once_and_then_after_equal_times() -> None:
    began, done = time.monotonic(), []
    act_when_due = reload.every(0.01, 3, lambda: done.append(time.monotonic()))
    while len(done) < 3:
        act_when_due()
    time.sleep(0.02)
    act_when_due()
    assert len(done) == 3
    assert done[2] - began >= 0.02


def test_slow_clients_get_every_row_once_they_read() -> None:
    (figures,) = run("slow")
    assert "failed" not in figures, figures
    assert figures["least"] == figures["most"] == figures["rows"] > 0
    assert figures["resets"] == 0


def test_the_published_page_is_written_from_the_kept_figures(tmp_path: Path) -> None:
    published = PROJECT / "docs"
    folder = shutil.copytree(published / "benchmarks", tmp_path / "benchmarks")
    again = "run `python -m benchmarks render`"
    assert page_of(tmp_path, Results(folder)) == (published / "benchmarks.md").read_text(), again
    for plot in folder.glob("*.svg"):
        assert plot.read_text() == (published / "benchmarks" / plot.name).read_text(), again


def test_the_page_keeps_cases_that_are_not_run_again(tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks"
    poll = {"contender": "SQLite", "gaps": 0, "polls": 9, "worker_us": 1.2345, "database_us": 0.0}
    Results(folder).keep("poll", "2026-01-01", MACHINE, [poll])
    again = Results(folder)
    again.keep("burst", "2026-01-02", MACHINE, [{"contender": "nchan", "missing": "no reason"}])
    page = page_of(tmp_path, Results(folder))
    assert "1.23 µs" in page
    assert "no reason" in page
    assert "Run on 2026-01-01" in page  # the older one says so


def test_figures_of_an_older_form_do_not_spoil_the_page(tmp_path: Path) -> None:
    results = Results(tmp_path / "benchmarks")
    results.keep("storm", "2026-01-01", MACHINE, [{"contender": "fanout", "streams": 1}])
    assert 'make bench CASES="storm"' in page_of(tmp_path, results)


def test_what_fails_or_is_not_there_is_named_below_the_table() -> None:
    reasons = {"nchan": PartMissing("not installed"), "floor": AssertionError("nothing came")}

    def measure(name: str) -> Iterator[Figures]:
        yield from ()
        raise reasons[name]

    rows = list(Bench(SHORT).guarded(("nchan", "floor"), measure))
    for case in ALL:
        text = case.table(rows)
        assert "nchan left out: not installed" in text
        assert "**failed**: nothing came" in text


# -- two checkouts --------------------------------------------------------------------------------


@pytest.fixture
def other_checkout(tmp_path: Path) -> Path:
    """A copy of what is served, whose `poller` says on standard error that it is the copy's."""
    other = tmp_path / "other"
    other.mkdir()
    for name in CHECKOUT:
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, other / name)
    with (other / "poller" / "__init__.py").open("a") as code:
        code.write('\nimport sys\n\nprint("the other poller", file=sys.stderr)\n')
    return other


def test_another_checkout_runs_its_own_code(other_checkout: Path, tmp_path: Path) -> None:
    with Rowcast(tmp_path, checkout=other_checkout) as server:
        assert "the other poller" in server.server.log()


@pytest.mark.parametrize(
    ("case", "titles"),
    [("one-row", ["CPU per delivery", "memory per stream"]),
     ("burst", ["burst, deliveries per CPU second", "burst, p99"])],
)  # fmt: skip
def test_two_checkouts_and_the_floor_are_compared_in_pairs(
    case: str, titles: list[str], other_checkout: Path
) -> None:
    table = compare.compare(Bench(SHORT), other_checkout, case, rounds=1)
    cells = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    assert [line[0] for line in cells] == titles
    assert cells[0][5] == f"{SHORT.compare_turns}"


def test_a_ratio_is_that_of_neighbours_and_its_spread_the_middle_half() -> None:
    assert compare.ratios([1.0, 3.0, 5.0], [2.0, 3.0, 0.0]) == [0.5, 1.0]
    assert compare.middle([4.0, 1.0, 3.0], 1) == "3.0"
    assert compare.middle_half([4.0, 1.0, 3.0, 2.0, 5.0], 1) == "2.0 – 4.0"
    assert compare.middle([], 1) == compare.middle_half([7.0], 1) == "–"
