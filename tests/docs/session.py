"""A reader who types what a page says, in an empty folder or in a fresh clone, with one server.

The clone holds what git tracks, and borrows this environment, so that nothing is installed. In the
empty folder only the package `poller` can be imported, as after `pip install`.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.docs.pages import PROJECT, Block
from tests.harness.http import request
from tests.harness.ports import free_port
from tests.harness.process import Child, wait_until

START_TIMEOUT_S = 60.0
COMMAND_TIMEOUT_S = 60.0
DOCUMENTED_PORT = "8000"
ENVIRONMENT = Path(sys.prefix)


class Session:
    """Runs the blocks of one page, in order. `end()` ends what they started."""

    def __init__(self, folder: Path) -> None:
        self._folders = {"app": folder / "app", "clone": folder / "clone"}
        self._folder = folder
        self._port = free_port()
        self._server: Child | None = None
        self._open: Child | None = None
        self._seen = 0  # characters of the open command's output
        self._logs = 0
        self._folders["app"].mkdir()
        (folder / ".curlrc").write_text("no-progress-meter\n")  # as where it writes to a terminal
        _installed(folder / "installed")
        _commands(folder / "bin")

    def run(self, block: Block) -> None:
        """Does what the block says. Raises AssertionError where something else happens."""
        options = block.options
        if block.language == "python":
            self._python(block)
        elif "serve" in options:
            self._serve(block)
        elif "open" in options:
            self._start_open(block)
        elif "more" in options:
            self._expect_of_open(block.text)
        else:
            for command, expected in commands(block.text):
                self._command(block, command, expected)

    def end(self) -> None:
        for child in (self._open, self._server):
            if child is not None:
                child.end()
        self._open = self._server = None

    # -- commands ---------------------------------------------------------------------------

    def _command(self, block: Block, command: str, expected: str) -> None:
        child = self._child(command, block)
        try:
            child.wait(COMMAND_TIMEOUT_S)
        finally:
            child.end()
        shown = self._as_documented(child.log())
        status = int(block.options.get("status", "0"))
        assert child.exit_code == status, f"$ {command}\n{shown}\nexit status {child.exit_code}"
        if expected:
            assert matches(expected, shown), f"$ {command}\n{shown}\nexpected:\n{expected}"

    def _serve(self, block: Block) -> None:
        self.end()
        ((command, _),) = commands(block.text)
        server = self._server = self._child(command, block)

        def ready() -> bool:
            assert server.alive, f"$ {command}\nended with {server.exit_code}:\n{server.log()}"
            try:
                return request(f"http://127.0.0.1:{self._port}/readyz").status == 200
            except OSError:
                return False

        try:
            wait_until(ready, START_TIMEOUT_S, f"$ {command} is ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{server.log()}") from None

    def _start_open(self, block: Block) -> None:
        if self._open is not None:
            self._open.end()
        ((command, expected),) = commands(block.text)
        self._open, self._seen = self._child(command, block), 0
        self._expect_of_open(expected)

    def _expect_of_open(self, expected: str) -> None:
        child = self._open
        assert child is not None, "no command is open"

        def shown() -> bool:
            found = pattern(expected).match(self._as_documented(child.log()), self._seen)
            self._seen = found.end() if found else self._seen
            assert found or child.alive, f"it ended:\n{child.log()}"
            return found is not None

        try:
            wait_until(shown, COMMAND_TIMEOUT_S, f"the open command shows\n{expected}")
        except AssertionError as error:
            raise AssertionError(f"{error}\nshown so far:\n{child.log()}") from None

    def _child(self, command: str, block: Block) -> Child:
        self._logs += 1
        log = self._folder / f"{self._logs}.log"
        here = command.replace(f":{DOCUMENTED_PORT}", f":{self._port}")
        child = ["bash", "-c", here]
        return Child(child, log, env=self._environment(block), cwd=self._where(block))

    def _as_documented(self, shown: str) -> str:
        return shown.replace(f":{self._port}", f":{DOCUMENTED_PORT}")

    # -- Python -----------------------------------------------------------------------------

    def _python(self, block: Block) -> None:
        code = compile(block.text, str(block), "exec")
        if "file" in block.options:
            (self._where(block) / block.options["file"]).write_text(block.text, encoding="utf-8")
            return
        source = block.text
        if "fragment" in block.options:
            found = re.findall(r"^(?:from|import) .*$", source, re.MULTILINE)
            source = "\n".join(found)
        done = subprocess.run(
            [ENVIRONMENT / "bin" / "python", "-c", source],
            cwd=self._where(block),
            env=self._environment(block),
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{code.co_filename}\n{done.stdout}{done.stderr}"

    # -- where ------------------------------------------------------------------------------

    def _where(self, block: Block) -> Path:
        folder = self._folders[block.options.get("in", "app")]
        if not folder.exists():
            _clone(folder)
        return folder

    def _environment(self, block: Block) -> dict[str, str]:
        path = [self._folder / "bin", ENVIRONMENT / "bin", "/usr/local/bin", "/usr/bin", "/bin"]
        installed = {} if "in" in block.options else {"PYTHONPATH": f"{self._folder / 'installed'}"}
        return {
            "PATH": ":".join(map(str, path)),
            "HOME": str(self._folder),
            "TMPDIR": str(self._folder),
            "PORT": str(self._port),
            "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{self._port}",
            **installed,
        }


def commands(text: str) -> Iterator[tuple[str, str]]:
    """The lines after `$`, each with what stands below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected.strip("\n")


def matches(expected: str, shown: str) -> bool:
    return pattern(expected).fullmatch(shown.rstrip()) is not None


def pattern(expected: str) -> re.Pattern[str]:
    """`…` stands for anything, the name of a history for any other; blank lines around are free."""
    text = re.escape(expected.strip("\n")).replace("…", ".*?")
    text = re.sub(r"^(id:\\ )[0-9a-z]{16}(?=\\\.)", r"\1[0-9a-z]{16}", text, flags=re.MULTILINE)
    return re.compile(rf"\s*{text}", re.DOTALL)


# -- what a reader has -----------------------------------------------------------------------


def _clone(folder: Path) -> None:
    """The files of the repository, and an environment that counts as installed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (PROJECT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, target)
    environment = folder / ".venv"
    environment.mkdir(parents=True)
    for part in ("bin", "include", "lib", "pyvenv.cfg"):
        (environment / part).symlink_to(ENVIRONMENT / part)
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    for stamp in set(re.findall(r"\$\(VENV\)/([\w.-]*stamp[\w.-]*)", makefile)):
        (environment / stamp).touch()


def _installed(folder: Path) -> None:
    """The package, and what tells Flask of its commands."""
    folder.mkdir()
    (folder / "poller").symlink_to(PROJECT / "poller")
    told = folder / "rowcast-0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: rowcast\nVersion: 0\n")
    lines = []
    for group, names in _project().get("entry-points", {}).items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in names.items())]
    (told / "entry_points.txt").write_text("\n".join(lines))


def _commands(folder: Path) -> None:
    """The commands that `pip install` would make, from the project's own list of them."""
    folder.mkdir()
    for name, target in _project().get("scripts", {}).items():
        module, _, function = target.partition(":")
        code = f"import sys; from {module} import {function}; sys.exit({function}())"
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec "{ENVIRONMENT}/bin/python" -c "{code}" "$@"\n')
        script.chmod(0o755)


def _project() -> dict[str, Any]:
    """The table `project` of pyproject.toml."""
    written = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    project: dict[str, Any] = written.get("project", {})
    return project
