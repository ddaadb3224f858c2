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
