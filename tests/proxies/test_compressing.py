"""Behind compressing middleware, which would hold each row back until it has a block full."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import EXERCISED
from tests.harness.gunicorn import Gunicorn
from tests.harness.http import request
from tests.harness.ports import free_port
from tests.harness.process import Child, run, wait_until
from tests.harness.sse import Stream

pytestmark = pytest.mark.serving

HERE = Path(__file__).parent
COMPRESSED = {"Accept-Encoding": "gzip"}


@pytest.fixture
def server(start_gunicorn: Callable[..., Gunicorn]) -> Gunicorn:
    return start_gunicorn({"ROWCAST_HEARTBEAT": "3600"}).wait_ready()


@pytest.fixture
def express(server: Gunicorn, tmp_path: Path) -> Iterator[str]:
    """The address of Express with `compression` in front of the server."""
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules").is_dir():
        EXERCISED.skip("Node", "npm install was not run in tests/proxies (make test does it)")
    EXERCISED.use("Node", run([node, "--version"]).strip().lstrip("v").split(".")[0])
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    child = Child([node, HERE / "compressing.mjs", port, server.url], tmp_path / "express.log")

    def answers() -> bool:
        assert child.alive, child.log()
        try:
            return request(f"{url}/healthz").status == 200
        except OSError:
            return False

    wait_until(answers, 30, "Express answers")
    yield url
    child.end()


def test_rows_pass_compressing_middleware_at_once(
    server: Gunicorn, express: str, open_stream: Callable[..., Stream]
) -> None:
    assert request(express, headers=COMPRESSED).headers["content-encoding"] == "gzip"
    stream = open_stream(f"{express}/stream", headers=COMPRESSED)
    stream.wait_for(lambda it: it.status, what="an answer")
    assert "content-encoding" not in stream.headers
    stream.wait_open()
    for number in range(3):
        row_id = server.post(f"row {number}")
        assert stream.wait_for_rows(number + 1)[-1] == row_id
