"""Who is here and who is coming."""

from pathlib import Path

from poller.serving import siblings
from poller.serving.moving.marks import Marks, Name

ONE, TWO = Name(4711, 1), Name(4711, 12)


def test_a_worker_comes_arrives_and_goes(marks: Marks) -> None:
    marks.announce(ONE)
    marks.announce(TWO)
    marks.socket(TWO).touch()
    marks.arrived(TWO)
    assert (marks.coming(), marks.here()) == ({ONE}, {TWO})
    marks.forget(TWO)
    marks.forget(TWO)
    assert (marks.coming(), marks.here()) == ({ONE}, set())


def test_other_files_are_no_workers(marks: Marks) -> None:
    for name in (
        "4711-0af3.sock",
        "x-1.coming",
        "4711.sock",
        "4711-1.new",
        "turn.lock",
        "4711-ab12cd34",
    ):
        (marks.folder / name).touch()
    assert (marks.coming(), marks.here()) == (set(), set())


def test_a_folder_that_is_gone_is_empty(tmp_path: Path) -> None:
    marks = Marks(tmp_path / "gone")
    marks.announce(ONE)
    marks.forget(ONE)
    assert (marks.coming(), marks.here()) == (set(), set())


def test_a_mark_is_never_what_a_link_leads_to(marks: Marks, tmp_path: Path) -> None:
    """A master that is root leaves marks in a folder that is its workers'."""
    target = tmp_path / "nologin"
    for suffix in (".coming", ".leaving"):
        (marks.folder / f".{ONE}{suffix}").symlink_to(target)
    marks.announce(ONE)
    marks.leave(ONE)
    assert not target.exists()


def test_the_longest_name_fits_into_an_address() -> None:
    """107 bytes, of which the folder may have as many as `siblings` allows."""
    folder = Path("/" + "x" * (siblings.MOST_PATH_BYTES - siblings.NAME_BYTES + 8 - 1))
    longest = Marks(folder).socket(Name(4_194_304, 9_999_999))
    assert len(str(longest.with_suffix(".sock"))) <= 107
