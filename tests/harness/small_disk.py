"""A disk that is soon full: a small tmpfs, which only root may mount."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness.process import PartMissing, run, server_folder

STEP_BYTES = 4_096


class SmallDisk:
    """A mounted folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def folder_of(self, user: str | None) -> Path:
        """A new folder in it that is this user's own."""
        folder = self.folder / "own"
        folder.mkdir()
        if user is not None:
            shutil.chown(folder, user)
        return folder

    def fill(self, leave_bytes: int) -> None:
        """Takes all room but this."""
        with self._filler.open("ab", buffering=0) as filler:
            while True:
                try:
                    filler.write(bytes(STEP_BYTES))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    break
            os.ftruncate(filler.fileno(), max(0, filler.tell() - leave_bytes))

    def free(self) -> None:
        """Gives back what `fill()` took."""
        self._filler.unlink()


@contextmanager
def small_disk(size_mb: int) -> Iterator[SmallDisk]:
    """Raises PartMissing where none can be mounted."""
    if os.geteuid() != 0:
        raise PartMissing("only root may mount a small disk")
    folder = server_folder("small-disk", None)
    folder.chmod(0o755)
    try:
        run(["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=0755", "tmpfs", folder])
    except (AssertionError, OSError) as error:
        raise PartMissing(f"no small disk can be mounted here: {error}") from None
    try:
        yield SmallDisk(folder)
    finally:
        run(["umount", "--lazy", folder])  # a server may still look at it
