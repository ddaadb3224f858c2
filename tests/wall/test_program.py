"""`app.py` as a program, and as what gunicorn imports."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.gunicorn import STOP_TIMEOUT_S, WAITS_FOR_STREAMS
from tests.harness.http import request
from tests.harness.ports import free_port
from tests.harness.process import Child, wait_until
from wall.settings import PROJECT


def run(tmp_path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(PROJECT / "app.py")],
        env={**os.environ, "ROWCAST_INSTANCE": str(tmp_path / "instance"), **env},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_busy_port_is_said_in_a_line(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        ended = run(tmp_path, PORT=str(port))
    assert ended.returncode == 1
    assert f"PORT={port} cannot be used" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ROWCAST_POL_INTERVAL", "1", "Did you mean ROWCAST_POLL_INTERVAL?"),
        ("ROWCAST_POST_RATE", "often", "ROWCAST_POST_RATE='often'"),
        ("PORT", "http", "PORT='http'"),
        ("HOST", "no.such.host.invalid", "HOST=no.such.host.invalid"),
        ("HOST", "192.0.2.1", "HOST must be an address of this machine"),
    ],
)
def test_a_bad_setting_is_said_in_a_line(tmp_path: Path, name: str, value: str, said: str) -> None:
    ended = run(tmp_path, **{"PORT": str(free_port()), name: value})
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.serving
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_it_serves_on_ipv6_however_the_address_is_written(tmp_path: Path, host: str) -> None:
    port = free_port()
    env = {"PORT": str(port), "HOST": host, "ROWCAST_INSTANCE": str(tmp_path / "instance")}
    env |= WAITS_FOR_STREAMS
    program = Child(
        [sys.executable, str(PROJECT / "app.py")], tmp_path / "log", env=env, cwd=tmp_path
    )

    def answers() -> bool:
        assert program.alive, program.log()
        try:
            return request(f"http://[::1]:{port}/healthz").status == 200
        except OSError:
            return False

    try:
        wait_until(answers, 20, "the wall answers")
        assert f"Rowcast: http://[::1]:{port}" in program.log()
    finally:
        program.end()


@pytest.mark.serving
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_prints_its_address_and_ends_at_once(tmp_path: Path, end: signal.Signals) -> None:
    env = {"PORT": "0", "ROWCAST_INSTANCE": str(tmp_path / "instance"), **WAITS_FOR_STREAMS}
    program = Child(
        [sys.executable, str(PROJECT / "app.py")], tmp_path / "log", env=env, cwd=tmp_path
    )
    try:
        address = re.compile(r"Rowcast: (http://127\.0\.0\.1:\d+)")
        found = wait_until(lambda: address.search(program.log()), 20, "the address is printed")
        assert found

        def answers() -> bool:
            try:
                return request(found[1] + "/").status == 200
            except OSError:
                return False

        wait_until(answers, 20, "the wall answers")
        assert (tmp_path / "instance" / "rowcast.db").exists()
        program.signal_group(end)
        program.wait(STOP_TIMEOUT_S)
    finally:
        program.end()


def test_an_import_makes_no_app_and_asks_for_no_environment(tmp_path: Path) -> None:
    code = (
        "import app, wall; assert app.create_app is wall.create_app; assert 'app' not in vars(app);"
        "from app import app as made; import app as again; assert again.app is made"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "ROWCAST_INSTANCE": str(tmp_path / "instance")},
        cwd=PROJECT,
        check=True,
        timeout=30,
    )


def test_the_package_itself_patches_nothing(tmp_path: Path) -> None:
    code = "import wall; from gevent import monkey; assert not monkey.saved, monkey.saved"
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True, timeout=30)
