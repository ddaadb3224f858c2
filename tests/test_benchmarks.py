"""That the benchmarks measure: the load client counts right, contenders deliver, the page says so.

No figure is judged here. What is not installed by `make test` is left out, and named.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from benchmarks.case import Bench, Figures, open_streams
from benchmarks.cases import ALL
from benchmarks.contenders import NAMES, make
from benchmarks.load import Load
from benchmarks.measure import cpu_s, pss_bytes, quantile
from benchmarks.payload import BODY_BYTES, body, data
from benchmarks.plan import SHORT
from benchmarks.report import Results, write
from tests.harness.process import PartMissing

CASES = {case.name: case for case in ALL}
STREAMS, ROWS, BOUND_S = 20, 3, 30.0
MACHINE = {"processor": "a test's"}


@pytest.mark.parametrize("name", NAMES)
def test_each_row_reaches_each_stream_of_a_contender_once(name: str, tmp_path: Path) -> None:
    try:
        server = make(name, tmp_path)
        with server, Load(server.url) as load:
            open_streams(server, load, STREAMS)
            load.mark()
            before = cpu_s(server.pids())
            for _ in range(ROWS):
                server.publish()
            assert load.wait_each(ROWS, BOUND_S) == ROWS
            got = load.report()
            assert (got.least, got.most, got.rows) == (ROWS, ROWS, ROWS * STREAMS)
            assert (got.open, got.lost, got.errors) == (STREAMS, 0, {})
            assert got.samples == got.rows
            assert 0 < got.p50_ms <= got.p99_ms <= got.max_ms < 1000 * BOUND_S
            assert got.bytes > got.rows * BODY_BYTES
            assert cpu_s(server.pids()) > before
            assert pss_bytes(server.pids()) > 1_000_000
    except PartMissing as reason:
        pytest.skip(str(reason))


# -- the load client ------------------------------------------------------------------------------


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
OPENING = b"retry: 10\n\nid: h.0\n\n"


def frame(number: int) -> bytes:
    return f"id: h.{number}\ndata: {data(number, body(number))}\n\n".encode()


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
def test_a_row_that_comes_in_pieces_is_counted_once(mode: str) -> None:
    row = frame(1)
    pieces = [row[at : at + 7] for at in range(0, len(row), 7)]
    with answering([HEAD + OPENING, *pieces]) as (url, _), Load(url) as load:
        load.open(1, mode)
        assert load.wait_rows(1, BOUND_S) == 1
        assert load.report().most == 1


def test_an_exact_stream_counts_a_cut_frame_when_it_comes_again() -> None:
    whole, cut = frame(1), frame(2)
    first = [HEAD + OPENING, whole, cut[:-1]]  # all of it but the blank line that dispatches it
    with answering(first, [HEAD + b":\n\n", cut]) as (url, requests), Load(url) as load:
        load.open(1, "exact")
        assert load.wait_rows(2, BOUND_S) == 2
        got = load.report()
        assert (got.most, got.lost, got.came_back) == (2, 1, 1)
        assert b"Last-Event-ID: h.1\r\n" in requests[1]


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
    write(results, ALL, tmp_path / "benchmarks.md", draw=None)
    return (tmp_path / "benchmarks.md").read_text()


def test_one_row_is_measured_and_shown_beside_the_floor(tmp_path: Path) -> None:
    rows = run("one-row", "fanout", "floor")
    assert [row["streams"] for row in rows] == [*SHORT.streams, *SHORT.streams]
    assert all(row["deliveries"] == row["rows"] * row["streams"] > 0 for row in rows)
    results = Results(tmp_path / "benchmarks")
    results.keep("one-row", "2026-01-01", MACHINE, rows)
    page = page_of(tmp_path, results)
    assert "| **Rowcast** |" in page
    assert "| 1.00 × |" in page  # the floor beside itself
    assert "a test's" in page


def test_slow_clients_are_dropped_and_come_back_to_every_row() -> None:
    (figures,) = run("slow", "fanout")
    assert "failed" not in figures, figures
    assert figures["least"] == figures["most"] == figures["rows"] > 0
    assert figures["normal_missing"] == figures["resets"] == 0


def test_the_page_keeps_cases_that_are_not_run_again(tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks"
    queries = [{"contender": "fanout", "streams": 1, "per_s": 1.234}]
    Results(folder).keep("queries", "2026-01-01", MACHINE, queries)
    again = Results(folder)
    again.keep("poll", "2026-01-02", MACHINE, [{"database": "SQLite", "missing": "no reason"}])
    page = page_of(tmp_path, Results(folder))
    assert "1.23" in page
    assert "no reason" in page
    assert "Run on 2026-01-01" in page  # the older one says so


def test_figures_of_an_older_form_do_not_spoil_the_page(tmp_path: Path) -> None:
    results = Results(tmp_path / "benchmarks")
    results.keep("hub", "2026-01-01", MACHINE, [{"contender": "fanout", "streams": 1}])
    assert 'make bench CASES="hub"' in page_of(tmp_path, results)


def test_what_fails_or_is_not_there_stands_in_the_table(tmp_path: Path) -> None:
    bench = Bench(SHORT)

    reasons = {"nchan": PartMissing("not installed"), "floor": AssertionError("nothing came")}

    def measure(name: str) -> Iterator[Figures]:
        yield from ()
        raise reasons[name]

    rows = list(bench.guarded(("nchan", "floor"), measure))
    for case in ALL:
        if case.name not in ("poll", "fence"):
            text = case.table(rows)
            assert "nchan left out: not installed" in text
            assert "**failed**: nothing came" in text
