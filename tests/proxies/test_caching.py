"""Many readers at the same place, with nginx's cache in front as deploy/nginx-rows.conf has it."""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import pytest

from tests.conftest import EXERCISED
from tests.harness.gunicorn import Gunicorn
from tests.harness.http import Reply, request
from tests.harness.process import PartMissing, wait_until
from tests.harness.proxies import CachingNginx, Proxy
from tests.harness.rows import RowsReader
from tests.harness.sse import timeless
from tests.harness.swarm import allow_descriptors
from tests.proxies.conftest import BEHIND_A_PROXY

pytestmark = pytest.mark.serving

READERS = 500
A_FEW = 15
PATIENCE_S = 60.0
ROW = re.compile(rb"\r\n\r\n(\{.*\})\n", re.DOTALL)


@dataclass
class Cached:
    """A wall, its cache, and how many requests for rows have come through."""

    wall: Gunicorn
    proxy: Proxy

    @property
    def rows_url(self) -> str:
        return f"{self.proxy.url}/rows/posts"

    @property
    def requests(self) -> int:
        return int(self.wall.metric("rowcast_rows_requests_total"))

    def post(self, rows: int) -> None:
        """Rows, all of which the wall's worker has seen."""
        last = [self.wall.post(f"row {number}") for number in range(rows)][-1]
        seen = re.compile(r"\w+\.(\d+)")

        def polled() -> bool:
            position = seen.match(self.now())
            return position is not None and int(position[1]) >= last

        wait_until(polled, PATIENCE_S, f"row {last} is seen")

    def now(self) -> str:
        """A token of now, asked of the wall itself."""
        after: str = self.wall.get("/rows/posts").json["next"]
        return after


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cached]:
    with ExitStack() as stack:
        server = stack.enter_context(Gunicorn(tmp_path_factory.mktemp("cached"), BEHIND_A_PROXY))
        try:
            proxy = stack.enter_context(CachingNginx(server.wait_ready().port))
        except PartMissing as reason:
            EXERCISED.skip("nginx", str(reason))
        EXERCISED.use("nginx", proxy.version)
        yield Cached(server, proxy)


class Crowd:
    """Readers that ask for the same URL at once, each on a connection of its own."""

    def __init__(self, port: int) -> None:
        allow_descriptors(2 * READERS)
        self._port = port
        self._sockets: list[socket.socket] = []

    def ask(self, path: str) -> None:
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        for _ in range(READERS):
            asking = socket.create_connection(("127.0.0.1", self._port), PATIENCE_S)
            self._sockets.append(asking)
            asking.sendall(head)

    def answers(self) -> list[dict[str, object]]:
        """Everybody's, read to the end."""
        texts = [read_all(one) for one in self._sockets]
        self.close()
        found = [ROW.search(text) for text in texts]
        assert all(found), texts[0]
        return [json.loads(one[1]) for one in found if one]

    def close(self) -> None:
        for one in self._sockets:
            one.close()
        self._sockets.clear()


def read_all(one: socket.socket) -> bytes:
    return b"".join(iter(partial(one.recv, 65536), b""))


@pytest.fixture
def crowd(cached: Cached) -> Iterator[Crowd]:
    crowd = Crowd(cached.proxy.port)
    yield crowd
    crowd.close()


def test_five_hundred_who_wait_at_the_same_place_are_a_few_requests(
    cached: Cached, crowd: Crowd
) -> None:
    after, before = cached.now(), cached.requests
    for number in range(3):
        crowd.ask(f"/rows/posts?after={after}&wait=50")
        wait_until(lambda: cached.wall.metric("rowcast_streams_open"), PATIENCE_S, "one waits")
        row_id = cached.wall.post(f"row {number}")
        answers = crowd.answers()
        assert len(answers) == READERS
        assert all([row["id"] for row in one["rows"]] == [row_id] for one in answers)  # type: ignore[attr-defined]
        assert len({timeless(str(one["next"])) for one in answers}) == 1
        after = str(answers[0]["next"])
    assert cached.requests - before <= A_FEW


def test_five_hundred_in_silence_are_a_few_requests(cached: Cached, crowd: Crowd) -> None:
    """Nothing came: all ask again at the same place, and one of them asks the wall."""
    after, before = cached.now(), cached.requests
    for _ in range(2):
        crowd.ask(f"/rows/posts?after={after}&wait=1")
        answers = [{**one, "next": timeless(str(one["next"]))} for one in crowd.answers()]
        assert answers == [{"rows": [], "next": timeless(after), "live": True}] * READERS
    assert cached.requests - before <= A_FEW


def test_who_walks_a_way_that_was_walked_before_asks_the_wall_only_at_the_tip(
    cached: Cached,
) -> None:
    cached.post(20)
    first = RowsReader(cached.rows_url, "0", "limit=3")
    first.walk()
    epoch = first.after.partition(".")[0]
    for start in (f"{epoch}.3", f"{epoch}.6"):
        before = cached.requests
        again = RowsReader(cached.rows_url, start, "limit=3")
        again.walk()
        assert again.ids == [one for one in first.ids if one > int(start.partition(".")[2])]
        assert cached.requests - before <= 2


def test_the_order_of_the_query_and_what_else_is_in_it_do_not_matter(cached: Cached) -> None:
    cached.post(4)
    epoch = cached.now().partition(".")[0]

    def ask(query: str) -> Reply:
        return request(f"{cached.rows_url}?{query}")

    first = ask(f"after={epoch}.0&limit=2&wait=5")
    assert first.headers["cache-control"] == "public, max-age=86400, immutable"
    before = cached.requests
    for query in (
        f"limit=2&wait=5&after={epoch}.0",
        f"utm=1&after={epoch}.0&wait=5&limit=2&_=17",
    ):
        assert ask(query).text == first.text
    assert cached.requests == before


@pytest.mark.parametrize("header", ["Cookie", "Authorization"])
def test_what_one_client_may_see_is_told_to_nobody_else(cached: Cached, header: str) -> None:
    cached.post(3)
    epoch = cached.now().partition(".")[0]
    path = f"{cached.rows_url}?after={epoch}.0&limit=1&wait={len(header)}"  # a URL of its own
    before = cached.requests
    for _ in range(2):
        answer = request(path, headers={header: "Basic QTpC"})
        assert answer.headers["cache-control"].startswith("private")
    assert cached.requests - before == 2


def test_a_reset_passes(cached: Cached) -> None:
    answer = request(f"{cached.rows_url}?after=beef.1")
    assert answer.status == 410
    assert answer.json["reset"] == "unknown-history"
