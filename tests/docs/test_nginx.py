"""nginx as the docs configure it, in front of a real server and of none."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.docs.pages import Block, of
from tests.harness.gunicorn import Gunicorn
from tests.harness.http import request
from tests.harness.ports import free_port
from tests.harness.process import Child, wait_until
from tests.harness.sse import Stream

DOCUMENTED_UPSTREAM = "http://127.0.0.1:8000"

StartNginx = Callable[[Block, int], str]


@pytest.fixture
def start_nginx(tmp_path: Path) -> Iterator[StartNginx]:
    """start_nginx(block, port of Rowcast): nginx with this block in its `server`; its address."""
    places = f"/usr/sbin:/usr/local/sbin:{sys.prefix}/nchan/usr/sbin"
    nginx = shutil.which("nginx") or shutil.which("nginx", path=places)
    if nginx is None:
        pytest.skip("nginx is not installed")
    with ExitStack() as stack:

        def start(block: Block, upstream: int) -> str:
            port = free_port()
            config = configured(block, tmp_path, port, upstream)
            command = [nginx, "-p", str(tmp_path), "-c", str(config)]
            subprocess.run([*command, "-t"], check=True, timeout=30)
            server = Child(command, tmp_path / "nginx.log", cwd=tmp_path)
            stack.callback(server.end)
            wait_until(lambda: listens(server, port), 20, "nginx listens")
            return f"http://127.0.0.1:{port}"

        yield start


def configured(block: Block, folder: Path, port: int, upstream: int) -> Path:
    """nginx.conf around the block."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    location = block.text.replace(DOCUMENTED_UPSTREAM, f"http://127.0.0.1:{upstream}")
    config = folder / "nginx.conf"
    config.write_text(
        "daemon off; master_process off; pid nginx.pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off; {' '.join(f'{k}_temp_path {k};' for k in kinds)}\n"
        f"server {{ listen 127.0.0.1:{port};\n{location}\n}} }}\n"
    )
    return config


def listens(server: Child, port: int) -> bool:
    assert server.alive, server.log()
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("block", of("nginx"), ids=str)
def test_nginx_as_documented_keeps_readers_while_rowcast_is_away(
    block: Block, start_nginx: StartNginx
) -> None:
    url = start_nginx(block, free_port())
    stream = request(f"{url}/stream/orders")
    assert (stream.status, stream.text) == (200, "retry: 2000\n\n")
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert request(f"{url}/").status == 502
    assert request(f"{url}/metrics").status == 403


@pytest.mark.serving
@pytest.mark.parametrize("block", of("nginx"), ids=str)
def test_nginx_as_documented_passes_each_row_on(
    block: Block,
    start_nginx: StartNginx,
    start_gunicorn: Callable[..., Gunicorn],
    open_stream: Callable[..., Stream],
    sqlite_url: str,
) -> None:
    behind = {"ROWCAST_PROXIES": "1", "ROWCAST_TRUSTED_HOSTS": "127.0.0.1"}
    server = start_gunicorn({"DATABASE_URL": sqlite_url, **behind}).wait_ready()
    stream = open_stream(f"{start_nginx(block, server.port)}/stream").wait_open()
    for number in range(3):
        row_id = server.post(f"row {number}")
        assert stream.wait_for_rows(number + 1)[-1] == row_id
