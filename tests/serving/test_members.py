"""After a logout: streams end at every worker of the server, and are not opened again."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.http import request
from tests.harness.process import wait_until
from tests.harness.sse import Stream
from tests.serving.helpers import OpenStream
from tests.serving.members import Members

pytestmark = pytest.mark.serving

BOUND_S = 60.0
OpenAt = Callable[[int, dict[str, str]], Stream]


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Members]:
    with Members(tmp_path_factory.mktemp("members")) as server:
        yield server


def opener(members: Members, open_stream: OpenStream) -> OpenAt:
    """open_at(pid, session): a stream at this worker."""

    def open_at(pid: int, session: dict[str, str]) -> Stream:
        with members.only_worker(pid):
            return open_stream(f"{members.url}/stream/notes", headers=session).wait_open()

    return open_at


@pytest.fixture
def open_at(members: Members, open_stream: OpenStream) -> OpenAt:
    return opener(members, open_stream)


def assert_ended(stream: Stream) -> None:
    stream.wait_for_end(BOUND_S)
    assert stream.ended_whole
    assert stream.retry is not None
    assert stream.retry <= 500


def at_both_workers(
    members: Members, open_at: OpenAt, name: str
) -> list[tuple[Stream, dict[str, str]]]:
    """A stream at each worker, with the session that it was opened with."""
    session = members.login(name)
    return [(open_at(pid, session), session) for pid in members.worker_pids()]


def assert_a_logout_ends(members: Members, open_at: OpenAt, name: str) -> None:
    """A member's streams, at both workers, and nobody else's."""
    others = at_both_workers(members, open_at, "other")
    theirs = at_both_workers(members, open_at, name)
    members.logout(members.login(name))
    for stream, session in theirs:
        assert_ended(stream)
        assert request(stream.url, headers=session).status == 401
    members.insert(f"after {name}")
    for stream, _ in others:
        stream.wait_for_body(f"after {name}")
        stream.close()


def sockets(members: Members) -> set[int]:
    """The workers that can be reached, by pid."""
    found = [*members.folder.glob("rowcast-workers-*/*")]
    # What begins with a dot is of `moving/` and of the status page.
    return {int(one.name.partition("-")[0]) for one in found if not one.name.startswith(".")}


def wait_for_other_workers(members: Members, than: set[int]) -> None:
    def replaced() -> bool:
        return len(members.worker_pids()) == 2 and not than & {*members.worker_pids()}

    wait_until(replaced, BOUND_S, "other workers")


def test_a_logout_ends_the_streams_at_every_worker(members: Members, open_at: OpenAt) -> None:
    assert_a_logout_ends(members, open_at, "ann")
    assert sockets(members) == {*members.worker_pids()}


def test_without_a_word_a_stream_ends_with_its_lifetime(
    members: Members, open_stream: OpenStream
) -> None:
    session = members.login("bob")
    stream = open_stream(f"{members.url}/short/stream/notes", headers=session).wait_open()
    members.logout(session, "?keep")
    assert_ended(stream)
    assert request(stream.url, headers=session).status == 401


def test_it_comes_back_by_itself_while_the_session_lasts(
    members: Members, open_stream: OpenStream
) -> None:
    session = members.login("bob")
    url = f"{members.url}/short/stream/notes"
    ended = open_stream(url, headers=session).wait_open()
    assert_ended(ended)
    members.insert("meanwhile")
    again = open_stream(url, ended.last_event_id, session)
    again.wait_for_body("meanwhile")


def test_it_reaches_the_successor_of_a_worker_that_was_killed(
    members: Members, open_at: OpenAt
) -> None:
    killed = members.worker_pids()[0]
    members.kill_worker(killed)
    wait_for_other_workers(members, {killed})
    assert_a_logout_ends(members, open_at, "carl")
    assert sockets(members) == {*members.worker_pids()}


def test_it_reaches_the_workers_after_a_reload(members: Members, open_at: OpenAt) -> None:
    before = {*members.worker_pids()}
    assert members.child is not None
    members.child.signal(signal.SIGHUP)
    wait_for_other_workers(members, before)
    assert_a_logout_ends(members, open_at, "dora")


def test_with_preload_and_a_long_temporary_folder(tmp_path: Path, open_stream: OpenStream) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    with Members(folder, "--preload") as server:
        assert_a_logout_ends(server, opener(server, open_stream), "emil")
        pid = server.worker_pids()[0]
        (shared,) = Path("/tmp").glob(f"rowcast-workers-*/{pid}-*")
        assert sockets(server) == set()
        server.terminate()
        assert not shared.parent.exists()
