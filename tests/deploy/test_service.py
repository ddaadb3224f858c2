"""The unit and the image of deploy/, as far as they can be checked without systemd and Docker."""

import configparser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import PROJECT
from tests.harness.proxies import DEPLOY

UNIT = DEPLOY / "rowcast.service"
GRACEFUL_TIMEOUT_S = 30  # gunicorn's
STREAMS = re.compile(r"--ulimit nofile=(\d+)")


def service() -> configparser.SectionProxy:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT.read_text(encoding="utf-8"))
    return unit["Service"]


def test_the_unit_starts_the_documented_worker_and_may_end() -> None:
    assert "-k poller.Worker" in service()["ExecStart"]
    assert int(service()["TimeoutStopSec"]) > GRACEFUL_TIMEOUT_S
    settings = (PROJECT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert f"LimitNOFILE={service()['LimitNOFILE']}`" in settings  # for 20,000 streams


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd-analyze is not installed")
    program = service()["ExecStart"].split(" ")[0]
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text(encoding="utf-8").replace(program, sys.executable))
    done = subprocess.run(
        [analyze, "verify", path], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_image_is_made_of_what_is_there() -> None:
    """`docker build` was not tried: there is no daemon where these tests run."""
    lines = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
    sent = (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [
        source
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split(" ")[1:-1]
    ]
    for source in copied:
        assert (PROJECT / source).exists()
        assert f"!{source}" in sent
    (command,) = [json.loads(line[4:]) for line in lines if line.startswith("CMD ")]
    assert command == ["gunicorn", "app:app"]  # which reads gunicorn.conf.py
    assert lines.index("USER rowcast") < lines.index(f"CMD {json.dumps(command)}")


def test_the_composition_gives_what_the_image_expects() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    wall = services["wall"]
    assert (DEPLOY / wall["build"]["context"] / wall["build"]["dockerfile"]).exists()
    docs = (PROJECT / "docs" / "deployment.md").read_text(encoding="utf-8")
    assert STREAMS.findall(docs) == [str(wall["ulimits"]["nofile"])]
    assert wall["depends_on"]["database"] == {"condition": "service_healthy"}
    assert "healthcheck" in services["database"]
