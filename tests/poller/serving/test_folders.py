"""Folders that processes share: gone with the last that holds one, however the others ended."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
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
import tempfile
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
    folder.mkdir()
    with mock.patch.object(os, "fchown") as chown:
        folders.give_metrics({folders.METRICS: str(folder)}, user, 7)
    assert [one.args[1:] for one in chown.call_args_list] == ([(user, 7)] if given else [])


def test_a_link_in_its_place_is_not_given_away(tmp_path: Path) -> None:
    """Workers of another user own the folder after the start, and a HUP comes after that."""
    theirs, place = tmp_path / "etc", tmp_path / "rowcast-metrics-x"
    theirs.mkdir()
    place.symlink_to(theirs)
    with mock.patch.object(os, "fchown") as chown, pytest.raises(OSError, match=str(place)):
        folders.give_metrics({folders.METRICS: str(place)}, os.geteuid() + 1, 7)
    assert chown.call_args_list == []


def test_a_folder_of_a_third_user_is_not_given_away(folder: Path) -> None:
    folder = folder.rename(folder.with_name("rowcast-metrics-x"))
    with (
        mock.patch.object(os, "geteuid", return_value=os.geteuid() + 1),
        mock.patch.object(os, "fchown") as chown,
    ):
        folders.give_metrics({folders.METRICS: str(folder)}, os.geteuid() + 2, 7)
    assert chown.call_args_list == []


@pytest.mark.parametrize("instead", ["link", "folder", "nothing"])
def test_what_is_in_its_place_is_not_counted_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instead: str
) -> None:
    """Whoever owns a folder in one for all may put another in its place."""
    monkeypatch.setattr(folders, "_HELD", {})
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    environ: dict[str, str] = {}
    folders.keep_for_metrics(environ)
    own = Path(environ[folders.METRICS])
    folders.keep_for_metrics(environ)
    assert environ[folders.METRICS] == str(own)
    moved = own.rename(tmp_path / "moved")
    if instead == "link":
        own.symlink_to(moved)
    elif instead == "folder":
        own.mkdir()
    folders.keep_for_metrics(environ)
    assert environ[folders.METRICS] != str(own)


def test_a_new_master_counts_in_no_strangers_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_HELD", {})
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    strangers = tmp_path / "rowcast-metrics-x"
    strangers.mkdir()
    environ = {folders.METRICS: str(strangers)}
    with mock.patch.object(os, "geteuid", return_value=os.geteuid() + 1):
        folders.keep_for_metrics(environ)
    assert environ[folders.METRICS] != str(strangers)
