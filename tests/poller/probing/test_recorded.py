"""What `make probes` has seen of real servers and proxies, judged again."""

from __future__ import annotations

import msgspec
import pytest

from poller.probing.findings import findings_of, proxies_of
from poller.probing.observed import Observed
from tests.poller.probing.expected import EXPECTED, RECORDED, differs

NAMED = {"nginx": "nginx", "caddy": "Caddy"}  # HAProxy and Apache do not tell


@pytest.fixture(params=sorted(EXPECTED))
def scene(request: pytest.FixtureRequest) -> tuple[str, Observed]:
    path = RECORDED / f"{request.param}.json"
    return request.param, msgspec.json.decode(path.read_bytes(), type=Observed)


def test_it_is_found_as_it_is(scene: tuple[str, Observed]) -> None:
    name, seen = scene
    assert not differs(name, findings_of(seen))


def test_the_proxy_is_known_where_it_tells(scene: tuple[str, Observed]) -> None:
    name, seen = scene
    named = NAMED.get(name)
    if named:
        assert proxies_of(seen) == [named]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rowcast-full", "There is no place for you now: the answer is to come back after"),
        ("rowcast-without-its-table", "The server waits: there is no table posts"),
        ("nginx-buffers", "not even the head of an answer, though HEAD is answered: a buffer"),
        ("nginx-buffers-large-rows", "Something on the way holds the stream back"),
        ("caddy-compresses", "It is compressed (gzip): a compressor holds rows back"),
        ("haproxy-cuts", "The stream was cut after 1."),
        ("nginx-drops-the-id", "After a reconnect with Last-Event-ID, it begins anew"),
    ],
)
def test_what_is_wrong_is_named(name: str, words: str) -> None:
    seen = msgspec.json.decode((RECORDED / f"{name}.json").read_bytes(), type=Observed)
    assert [one for one in findings_of(seen) if words in one.sentence and one.state == "attention"]
