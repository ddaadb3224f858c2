"""Folders that processes share: gone with the last that holds one, however the others ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

from poller.serving import folders
from poller.serving.folders import Held
from tests.harness.gunicorn import PROJECT

HOLDER = """
import sys
from pathlib import Path
from poller.serving.folders import Held
held = Held(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "rowcast-test-1"
    made.mkdir()
    (made / "file").touch()
    return made


@contextmanager
def another_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """One that holds it, too."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_folder_goes_with_the_last_that_holds_it(folder: Path) -> None:
    first, last = Held(folder), Held(folder)
    first.drop()
    assert folder.exists()
    last.drop()
    assert not folder.exists()


def test_a_folder_that_is_gone_already_is_no_matter(folder: Path) -> None:
    held = Held(folder)
    (folder / "file").unlink()
    folder.rmdir()
    held.drop()


@pytest.fixture
def beside(folder: Path) -> Iterator[Held]:
    """That of the server which starts."""
    made = folder.with_name("rowcast-test-2")
    made.mkdir()
    held = Held(made)
    with mock.patch.object(folders, "YOUNG_S", -1.0):
        yield held
    held.drop()


def test_what_a_killed_server_left_is_removed_by_the_next(folder: Path, beside: Held) -> None:
    with another_process(folder) as process:
        beside.sweep("rowcast-test-")
        assert folder.exists()
        process.kill()
        process.wait()
        beside.sweep("rowcast-test-")
    assert not folder.exists()
    assert beside.folder.exists()


def test_a_young_folder_may_not_be_held_yet(folder: Path, beside: Held) -> None:
    with mock.patch.object(folders, "YOUNG_S", 60.0):
        beside.sweep("rowcast-test-")
    assert folder.exists()


def test_only_folders_of_this_user_and_of_this_kind(folder: Path, beside: Held) -> None:
    link = folder.with_name("rowcast-test-3")
    link.symlink_to(folder)
    beside.sweep("rowcast-other-")
    assert folder.exists()
    with mock.patch.object(os, "geteuid", return_value=os.geteuid() + 1):
        beside.sweep("rowcast-test-")
    assert folder.exists()
    beside.sweep("rowcast-test-3")
    assert (folder.exists(), link.is_symlink()) == (True, True)


@pytest.mark.parametrize(
    ("name", "uid", "given"),
    [("rowcast-metrics-x", 1, True), ("rowcast-metrics-x", 0, False), ("theirs", 1, False)],
)
def test_workers_of_another_user_may_count(
    tmp_path: Path, name: str, uid: int, *, given: bool
) -> None:
    folder, user = tmp_path / name, os.geteuid() + uid
    with mock.patch.object(os, "chown") as chown:
        folders.give_metrics({folders.METRICS: str(folder)}, user, 7)
    assert chown.call_args_list == ([mock.call(folder, user, 7)] if given else [])
