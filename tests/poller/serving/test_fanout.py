"""The fanout over real sockets: what each client gets, whatever the others do.

Real poller, log, delivery and sockets; the table is simulated. `worker_with` polls but runs no
greenlet of the fanout: these run when a test waits.
"""

import fcntl
import socket
import termios
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress

import gevent
import pytest
from hypothesis import settings as hypothesis_settings

from poller.delivery.view import ALL, View
from poller.runtime import hub
from poller.serving import client, fanout
from poller.serving.client import CLIENT_GONE, CLIENT_TALKS, WRITE_DEADLINE
from poller.serving.owned_socket import OwnedSocket
from poller.serving.socket_stream import SocketStream
from poller.wire import sse
from tests.harness.greenlets import PATIENCE_S, STEP_S, until
from tests.harness.interleaving import AnyInterleaving, WithViews
from tests.harness.simulation import (
    SimulatedTable,
    SocketClient,
    TricklingSocket,
    Worker,
    table_with,
    worker_with,
)
from tests.harness.sse import Parser

QUIET_S = 30.0  # a heartbeat that no test waits for
GREETING = (
    b"retry: 2000\n"
    b'event: start\ndata: {"feed":"test","resumed":false}\nid: abcd.%d\n\n'
    b"event: live\ndata: {}\nid: abcd.%d\n\n"
)


def let_it_end(worker: Worker) -> None:
    """The fanout that has no stream any more."""
    worker.fanout.signal.set()
    until(lambda: not worker.fanout.running, "the end of the fanout")


def unread_bytes(served: socket.socket) -> int:
    size = array("i", [0])
    fcntl.ioctl(served, termios.FIONREAD, size)
    return size[0]


class Peer:
    """The client's end of a stream."""

    def __init__(
        self,
        worker: Worker,
        last_event_id: str | None = None,
        kind: type = OwnedSocket,
        view: View = ALL,
    ) -> None:
        served, self.socket = socket.socketpair()
        served.setblocking(False)
        self.socket.setblocking(False)
        arguments = [served] if kind is OwnedSocket else [served, (5, 3, 100)]
        self.worker = worker
        self.stream: SocketStream = worker.fan_out(kind(*arguments), last_event_id, view)
        self.received = b""

    def read(self) -> bytes:
        """All that has come so far."""
        while True:
            try:
                new = self.socket.recv(65536)
            except BlockingIOError:
                return self.received
            if not new:
                return self.received
            self.received += new

    def ids(self) -> list[int]:
        parser = Parser()
        parser.feed(self.read())
        return [int(event.json["id"]) for event in parser.events if event.type == "message"]

    def at_end(self) -> bool:
        self.read()
        try:
            return self.socket.recv(1) == b""
        except BlockingIOError:
            return False


@pytest.fixture
def peers() -> Iterator[Callable[..., Peer]]:
    """peers(worker, last_event_id): a stream's other end, closed with the test."""
    made: list[Peer] = []

    def make(*arguments: object) -> Peer:
        made.append(Peer(*arguments))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for peer in made:
        peer.stream.end("test over")
        peer.socket.close()
        peer.worker.fanout.signal.set()  # so that it sees at once that nobody is left
    until(lambda: not any(peer.worker.fanout.running for peer in made), "the end")


def quiet_worker(table: SimulatedTable, **changes: object) -> Worker:
    return worker_with(table, **{"heartbeat_s": QUIET_S, "log_capacity_rows": 100, **changes})


Peers = Callable[..., Peer]


def test_a_batch_is_written_to_every_stream_and_only_once(peers: Peers) -> None:
    table = table_with(1)
    worker = quiet_worker(table)
    three = [peers(worker) for _ in range(3)]
    assert [peer.read() for peer in three] == [GREETING % (1, 1)] * 3
    table.insert(2)
    worker.poll_until_quiet()
    until(lambda: all(len(peer.ids()) == 2 for peer in three), "both rows")
    assert {peer.read() for peer in three} == {three[0].received}
    assert three[0].received.count(b"row ") == 2


def test_a_live_stream_has_no_greenlet(peers: Peers) -> None:
    worker = quiet_worker(table_with(1))
    for _ in range(5):
        peers(worker)
    assert (len([*worker.fanout.parked.live]), len(worker.fanout.busy)) == (5, 0)


def test_a_stream_opened_in_a_pause_of_a_round_gets_each_row_once(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log grows and streams come while a round is under way."""
    monkeypatch.setattr(hub, "SLICE_S", -1.0)
    monkeypatch.setattr(fanout, "STREAMS_BETWEEN_LOOKS", 1)
    table = table_with(0)
    worker = quiet_worker(table)
    early = [peers(worker, "0") for _ in range(4)]
    late: list[Peer] = []

    def more() -> None:
        for _ in range(6):
            table.insert()
            worker.poll_until_quiet()
            late.append(peers(worker, "0"))
            gevent.sleep(0)

    gevent.spawn(more).join()
    until(lambda: all(len(peer.ids()) >= 6 for peer in early + late), "all rows")
    assert all(peer.ids() == [1, 2, 3, 4, 5, 6] for peer in early + late)


def test_a_row_that_comes_in_a_pause_of_a_round_waits_for_no_other_row(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "SLICE_S", -1.0)
    monkeypatch.setattr(fanout, "STREAMS_BETWEEN_LOOKS", 1)
    table = table_with(0)
    worker = quiet_worker(table)
    many = [peers(worker) for _ in range(4)]
    table.insert()
    worker.poll_until_quiet()
    while not many[0].ids():
        gevent.sleep(0)
    assert not many[-1].ids()  # the round is in a pause
    table.insert()
    worker.poll_until_quiet()
    until(lambda: all(peer.ids() == [1, 2] for peer in many), "both rows")


def test_more_than_a_chunk_is_sent_without_waiting_for_more(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fanout, "BATCH_BYTES", 100)
    table = table_with(0)
    worker = quiet_worker(table, batch_rows=100)
    two = [peers(worker), peers(worker)]
    table.insert(20)
    worker.poll_until_quiet()
    until(lambda: all(len(peer.ids()) == 20 for peer in two), "all rows")


def test_a_full_buffer_gets_the_unsent_rest_first_and_delays_nobody(peers: Peers) -> None:
    table = table_with(0)
    worker = quiet_worker(table, log_capacity_rows=10)
    slow, other = peers(worker), peers(worker)
    slow.stream.client._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)

    def insert_until_it_is_full() -> bool:
        table.insert(50)
        worker.poll_until_quiet()
        gevent.sleep(STEP_S)
        other.read()
        return bool(worker.fanout.busy)

    until(insert_until_it_is_full, "a full buffer")
    table.insert(200)  # far beyond the ring
    worker.poll_until_quiet()
    until(lambda: len(other.ids()) == table.last_id, "all rows for the other")
    until(lambda: len(slow.ids()) == table.last_id, "all rows for the slow one")
    assert slow.ids() == list(range(1, table.last_id + 1))
    until(lambda: not worker.fanout.busy, "that it is parked again")
    table.insert()
    worker.poll_until_quiet()
    until(lambda: slow.ids()[-1] == table.last_id, "a row for the one that was slow")


def test_every_write_may_be_cut_short_anywhere(peers: Peers) -> None:
    table = table_with(20)
    worker = quiet_worker(table)
    whole, pieces = peers(worker, "0"), peers(worker, "0", TricklingSocket)
    until(lambda: len(pieces.ids()) == 20, "all rows")
    until(lambda: not worker.fanout.busy, "that both are parked")
    table.insert(5)
    worker.poll_until_quiet()
    until(lambda: pieces.ids() == list(range(1, 26)), "five more")
    assert pieces.received == whole.read()


def test_a_client_that_takes_nothing_is_dropped_at_the_deadline(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "SEND_BUFFER_BYTES", 1)
    worker = quiet_worker(table_with(2000), write_deadline_s=0.1)
    peer = peers(worker, "0")
    until(lambda: worker.ended == [peer.stream], "the end of its stream")
    assert peer.stream.closed_because == WRITE_DEADLINE


def test_a_client_dropped_at_the_deadline_is_reset() -> None:
    """The kernel would keep its bytes for minutes, and then forget it without a word."""
    worker = quiet_worker(table_with(20_000), write_deadline_s=0.3, batch_rows=1000)
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listener.getsockname())
        served, _ = listener.accept()
        served.setblocking(False)
        stream = worker.fan_out(OwnedSocket(served), "0")
        until(lambda: worker.ended == [stream], "the end of its stream")
        client.settimeout(PATIENCE_S)

        def read_all() -> None:
            while client.recv(65536):
                pass

        with pytest.raises(ConnectionResetError):
            read_all()
    let_it_end(worker)


def test_a_slow_client_is_not_dropped_at_the_deadline(peers: Peers) -> None:
    """It takes bytes, though its buffer is called writable only after several deadlines."""
    deadline_s, pace_s = 0.8, 0.04
    worker = quiet_worker(table_with(20_000), write_deadline_s=deadline_s, batch_rows=1000)
    peer = peers(worker, "0")
    until(lambda: worker.fanout.busy, "a full buffer")
    for _ in range(round(3 * deadline_s / pace_s)):
        gevent.sleep(pace_s)
        peer.received += peer.socket.recv(4096)
        assert not worker.ended


def test_a_client_that_trickles_over_tcp_is_not_dropped() -> None:
    """The kernel's own limit would end it: its window never has room for a whole packet."""
    deadline_s, pace_s = 1.5, 0.2
    worker = quiet_worker(table_with(20_000), write_deadline_s=deadline_s, batch_rows=1000)
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listener.getsockname())
        served, _ = listener.accept()
        served.setblocking(False)
        stream = worker.fan_out(OwnedSocket(served), "0")
        until(lambda: worker.fanout.busy, "a full buffer")
        for _ in range(round(2.4 * deadline_s / pace_s)):
            gevent.sleep(pace_s)
            assert client.recv(1600)
            assert not worker.ended
        stream.end("test over")
        until(lambda: worker.ended, "the end")
    let_it_end(worker)


def test_the_end_of_a_client_is_noticed_and_its_descriptor_given_back(peers: Peers) -> None:
    worker = quiet_worker(table_with(1))
    peer = peers(worker)
    served = peer.stream.client._socket
    peer.socket.close()
    until(lambda: worker.ended == [peer.stream], "the end")
    assert peer.stream.closed_because == CLIENT_GONE
    assert served.fileno() == -1


def test_what_a_client_says_is_ignored_and_its_end_noticed_behind_it(peers: Peers) -> None:
    table = table_with(0)
    worker = quiet_worker(table)
    peer = peers(worker)
    served = peer.stream.client._socket
    peer.socket.send(b"GET /healthz HTTP/1.1\r\n\r\n")
    until(lambda: unread_bytes(served) == 0, "that it was read")
    table.insert()
    worker.poll_until_quiet()
    until(lambda: peer.ids() == [1], "its row, and nothing else")
    assert b"HTTP" not in peer.received
    peer.socket.shutdown(socket.SHUT_WR)
    until(lambda: worker.ended == [peer.stream], "the end")


def test_a_client_that_does_not_stop_talking_is_dropped(peers: Peers) -> None:
    worker = quiet_worker(table_with(0))
    peer = peers(worker)

    def talk() -> bool:
        with suppress(OSError):
            peer.socket.send(b"x" * 4096)
        return bool(worker.ended)

    until(talk, "the end")
    assert peer.stream.closed_because == CLIENT_TALKS


def test_a_farewell_is_the_last_thing_sent_and_cuts_no_frame(peers: Peers) -> None:
    table = table_with(30)
    worker = quiet_worker(table)
    parked, busy = peers(worker), peers(worker, "0", TricklingSocket)
    for peer in (parked, busy):
        peer.stream.end("drain", sse.retry_line(1234))
        peer.stream.end("too late", sse.retry_line(1))
    until(lambda: len(worker.ended) == 2, "both ends")
    for peer in (parked, busy):
        until(peer.at_end, "the end of the bytes")
        assert peer.received.endswith(b"\n\nretry: 1234\n")
        assert peer.stream.closed_because == "drain"
        ids = peer.ids()
        assert ids == list(range(1, len(ids) + 1))


def test_a_busy_stream_that_is_cut_is_closed_by_its_own_greenlet(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A descriptor closed under somebody who waits on it may already be another client's."""
    monkeypatch.setattr(client, "SEND_BUFFER_BYTES", 1)
    worker = quiet_worker(table_with(2000))
    peer = peers(worker, "0")
    until(lambda: worker.fanout.busy, "a full buffer")
    served = peer.stream.client._socket
    peer.stream.end("feed closed")
    assert served.fileno() != -1
    until(lambda: worker.ended == [peer.stream], "the end")
    assert served.fileno() == -1


def test_heartbeats_break_the_silence_in_time_and_only_that(peers: Peers) -> None:
    """A machine that is busy with something else may make a pause, and so a silence, too."""
    heartbeat_s, pace_s = 0.2, 0.02
    table = table_with(0)
    worker = worker_with(table, heartbeat_s=heartbeat_s)
    many = [peers(worker) for _ in range(20)]
    until(lambda: all(peer.read().endswith(sse.HEARTBEAT) for peer in many), "a heartbeat each")
    assert all(peer.received.startswith(GREETING % (0, 0) + sse.HEARTBEAT) for peer in many)
    beats, last_s = max(peer.received.count(b"\n:") for peer in many), time.monotonic()
    for _ in range(round(2 * heartbeat_s / pace_s)):
        gevent.sleep(pace_s)
        now_s = time.monotonic()
        beats, last_s = beats + int((now_s - last_s) / (heartbeat_s / 2)), now_s
        table.insert()
        worker.poll_until_quiet()
    assert max(peer.read().count(b"\n:") for peer in many) <= beats


def test_when_history_changes_every_stream_gets_a_reset_before_any_row(peers: Peers) -> None:
    table = table_with(3)
    worker = quiet_worker(table)
    two = [peers(worker), peers(worker)]
    table.history, table.version = "ffff", ""
    worker.poll_until_quiet()
    worker.poll_until_quiet()
    until(lambda: all(b"event: reset" in peer.read() for peer in two), "a reset each")
    table.insert()
    worker.poll_until_quiet()
    until(lambda: all(table.last_id in peer.ids() for peer in two), "the new row")
    for peer in two:
        after = peer.received.split(b"event: reset")
        assert len(after) == 2
        assert b"row " not in after[0]


def test_streams_wait_for_the_first_pass_without_a_greenlet(peers: Peers) -> None:
    worker = Worker(table_with(1), heartbeat_s=QUIET_S)
    peer = peers(worker)
    assert peer.read() == b"retry: 2000\n"
    assert not worker.fanout.busy
    worker.poll_until_quiet()
    until(lambda: peer.read() == GREETING % (1, 1), "where it begins")


def test_a_row_that_leaves_the_ring_before_the_round_is_not_waited_for(peers: Peers) -> None:
    """No other row of its view follows, so no batch would bring it up."""
    table = table_with(3)
    worker = quiet_worker(table, log_capacity_rows=3)
    room = View.of({"room": [1]})
    two = peers(worker, None, OwnedSocket, room), peers(worker, None, OwnedSocket, room)
    table.insert()
    assert table.in_view(room) == {1, 4}
    table.committed |= dict.fromkeys(range(5, 30, 3), "of another room")
    table.last_id = 30
    worker.poll_until_quiet()
    assert worker.log.views.last(two[0].stream.subscriber.view) <= worker.log.oldest
    until(lambda: all(peer.ids() == [4] for peer in two), "the row")


def test_the_last_stream_to_end_leaves_nothing_behind(peers: Peers) -> None:
    worker = quiet_worker(table_with(1))
    peer = peers(worker)
    until(lambda: worker.log._listeners, "a fanout that runs")
    peer.stream.end("test over")
    worker.fanout.signal.set()
    until(lambda: not worker.log._listeners, "that it has stopped")
    again = peers(worker)
    until(lambda: again.read() == GREETING % (1, 1), "that it runs again")


def test_a_stream_that_fails_ends_alone(peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    table = table_with(0)
    worker = quiet_worker(table)
    bad, good = peers(worker, None, TricklingSocket), peers(worker)
    until(lambda: not worker.fanout.busy, "that both are parked")

    def fail(connection: object, data: object) -> int:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(TricklingSocket, "send", fail)
    table.insert()
    worker.poll_until_quiet()
    until(lambda: good.ids() == [1], "the row")
    assert bad.stream in worker.ended


class OverSockets(AnyInterleaving):
    client_of_a_kind = SocketClient


TestAnyInterleavingOverSockets = OverSockets.TestCase
TestAnyInterleavingOverSockets.settings = hypothesis_settings(
    max_examples=40, stateful_step_count=40, deadline=None
)


class ViewsOverSockets(WithViews):
    client_of_a_kind = SocketClient


TestViewsOverSockets = ViewsOverSockets.TestCase
TestViewsOverSockets.settings = hypothesis_settings(
    max_examples=40, stateful_step_count=40, deadline=None
)
