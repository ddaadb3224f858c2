"""Fixtures: each proxy of deploy/ in front of a real gunicorn."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.conftest import EXERCISED
from tests.harness.gunicorn import Gunicorn
from tests.harness.process import PartMissing
from tests.harness.proxies import KINDS, Proxy

# As the docs say. Tests ask by address, and by the name in deploy/.
BEHIND_A_PROXY = {
    "ROWCAST_PROXIES": "1",
    "ROWCAST_TRUSTED_HOSTS": "wall.example.org,127.0.0.1",
    "ROWCAST_LOG_LEVEL": "debug",
}
NO_HEARTBEAT = {"ROWCAST_HEARTBEAT": "3600"}


@dataclass(frozen=True)
class Behind:
    """A server and the proxy in front of it."""

    server: Gunicorn
    proxy: Proxy


StartProxy = Callable[[int], Proxy]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.program)
def start_proxy(request: pytest.FixtureRequest) -> Iterator[StartProxy]:
    """start_proxy(port of Rowcast): each kind in turn, ended with the module."""
    kind: type[Proxy] = request.param
    with ExitStack() as stack:

        def start(upstream_port: int) -> Proxy:
            try:
                proxy = stack.enter_context(kind(upstream_port))
            except PartMissing as reason:
                EXERCISED.skip(kind.name, str(reason))
            EXERCISED.use(kind.name, proxy.version)
            return proxy

        yield start


@pytest.fixture(scope="module")
def silent(start_proxy: StartProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """A server that sends no heartbeat: whatever passes the proxy, passes on its own account."""
    with Gunicorn(tmp_path_factory.mktemp("silent"), BEHIND_A_PROXY | NO_HEARTBEAT) as server:
        yield Behind(server.wait_ready(), start_proxy(server.port))
