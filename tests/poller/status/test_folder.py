"""The files of a machine's workers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from poller.status import folder as folders
from poller.status.figures import KEPT_S
from poller.status.folder import MOST_LINES, Folder
from tests.harness.logged import logged
from tests.poller.status.machines import AT, sample, worker

NOW = worker().now


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[list[Folder]]:
    """Two workers of one server."""
    both = [Folder(), Folder()]
    for one in both:
        one.open(tmp_path)
    yield both
    for one in both:
        one.close()


def write(folder: Folder, times: int, first: int = 0) -> None:
    for number in range(first, first + times):
        told = replace(NOW, sample=sample(AT + 10 * number, {}))
        folder.write(told, sample=True)


def test_workers_see_each_other_and_not_themselves(opened: list[Folder]) -> None:
    one, two = opened
    assert [*one.others()] == []
    write(one, 3)
    write(two, 2)
    (told,) = one.others()
    assert (told.name, told.lives, len(told.hour)) == (two.name, True, 2)
    assert told.now.sample.at == AT + 10
    assert [len(own.own_hour()) for own in opened] == [3, 2]


def test_the_hour_of_a_worker_that_ended_stays(opened: list[Folder], tmp_path: Path) -> None:
    one, two = opened
    write(one, 3)
    one.close()  # as the kernel does when a process dies
    (told,) = two.others()
    assert (told.lives, len(told.hour)) == (False, 3)


def test_the_file_is_bounded(opened: list[Folder], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MOST_LINES", 10)
    one, two = opened
    write(one, 25)
    assert one.path is not None
    lines = (one.path / f"{one.name}.hour").read_bytes().splitlines()
    assert len(lines) == 15  # at 20 it was cut to 10
    (told,) = two.others()
    assert told.lives
    assert [round(one.at - AT) for one in told.hour] == [*range(150, 250, 10)]
    assert MOST_LINES == 360


def test_what_is_half_written_or_no_file_of_ours_is_left_out(opened: list[Folder]) -> None:
    one, two = opened
    write(one, 2)
    assert one.path is not None
    with (one.path / f"{one.name}.hour").open("ab") as file:
        file.write(b"[1800000020.0, 1.0, 9")
    (one.path / "1-x.now").write_text("{")
    (told,) = two.others()
    assert len(told.hour) == 2


def test_what_is_older_than_an_hour_is_removed_once_a_worker_begins(
    opened: list[Folder], tmp_path: Path
) -> None:
    one, two = opened
    write(one, 1)
    write(two, 1)
    two.close()
    old = time.time() - KEPT_S - 60
    path = tmp_path / folders.NAME
    for file in path.iterdir():
        os.utime(file, (old, old))
    three = Folder()
    three.open(tmp_path)
    left = {file.stem for file in path.glob("*.hour")}
    three.close()
    assert left == {one.name, three.name}


def test_without_a_folder_for_all_a_process_has_its_own() -> None:
    alone = Folder()
    alone.open(None)
    assert alone.path is not None
    assert alone.path.stat().st_mode & 0o077 == 0
    write(alone, 1)
    assert len(alone.own_hour()) == 1
    path = alone.path
    alone.close()
    assert not path.exists()


def test_a_folder_that_cannot_be_written_costs_the_history_alone(tmp_path: Path) -> None:
    (tmp_path / folders.NAME).write_text("in the way")
    folder = Folder()
    with logged() as lines:
        folder.open(tmp_path)
        write(folder, 1)
    assert [one["event"] for one in lines] == ["no history for the status page"]
    assert (folder.own_hour(), [*folder.others()]) == ([], [])
