"""Which file a path names."""

from pathlib import Path

import pytest

from poller.doctor import diagnose
from poller.reading.dialects import file_identity
from poller.reading.dialects.file_identity import birth_of
from poller.reading.dialects.file_identity import file_identity as identity_of
from poller.runtime.settings import Settings
from tests.harness import sql

NO_BIRTH = "the file system does not tell when the database's file was created"


def test_a_file_is_the_same_whatever_is_written_into_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a")
    before = identity_of(str(path))
    path.write_text("ab")
    path.chmod(0o600)
    assert identity_of(str(path)) == before


def test_a_file_that_was_removed_and_created_again_is_another(tmp_path: Path) -> None:
    """Also if it has the same inode, as on ext4."""
    path = tmp_path / "file"
    path.touch()
    if not birth_of(str(path)):
        pytest.skip("the file system of the temporary folder does not tell when a file was created")
    found = set()
    for _ in range(3):
        found.add(identity_of(str(path)))
        path.unlink()
        path.touch()
    assert len(found) == 3


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        identity_of(str(tmp_path / "none"))


def test_a_file_whose_birth_is_unknown_is_named_until_the_remedy(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_identity, "_call", None)
    if birth_of(__file__):
        pytest.skip("this system tells the birth of a file without the call")
    sql.execute(sqlite_url, "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT)")
    (finding,) = diagnose(sqlite_url, "notes", Settings()).exceptions
    assert finding.fact == NO_BIRTH
    sql.execute(sqlite_url, finding.remedy[finding.remedy.index("PRAGMA") :])
    assert not diagnose(sqlite_url, "notes", Settings()).exceptions
