"""`make release-check`: the check-list of a release. Exit status 1 if anything fails.

It takes some minutes: two new environments are made.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import poller
from tests.campaigns.release import said
from tests.campaigns.release.smoke import new_environment, smoke
from tests.docs.pages import AROUND, PAGES, PROJECT

VERSION = poller.__version__
LICENCES = ("LICENSE", "poller/static/status/uPlot.LICENSE.txt")
TOOLS = PROJECT / "requirements-release.txt"
TESTS = ("tests/docs/test_names.py", "tests/poller/wire/test_former_ids.py")
Check = tuple[str, Callable[[], str]]


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="rowcast-release-") as name:
        failed = [told for told, check in checks(Path(name)) if not _passes(told, check)]
    _say(f"{len(failed)} failed" if failed else f"{VERSION} is fit to be released")
    return 1 if failed else 0


def checks(folder: Path) -> list[Check]:
    """In their order; each needs those before it."""
    text = {str(page.relative_to(PROJECT)): page.read_text() for page in [*PAGES, *AROUND]}
    today = datetime.now(UTC).date()
    return [
        ("the version is one to release", lambda: said.version(VERSION)),
        ("the changelog has it", lambda: said.changelog(text["CHANGELOG.md"], VERSION, today)),
        ("the pages name no other", lambda: said.pages(text, VERSION)),
        ("nothing is left to commit", lambda: _git("status", "--porcelain")),
        ("its tag is free", lambda: _git("tag", "--list", f"v{VERSION}")),
        ("links, settings and ids of the docs are true", lambda: _tests(folder)),
        ("the wheel and the sources are built", lambda: _build(folder)),
        ("the wheel has what it needs", lambda: _wheel(folder)),
        ("its metadata can be published", lambda: _metadata(folder)),
        ("it is installed, and serves the README's program", lambda: _smoke(folder)),
    ]


def _passes(told: str, check: Callable[[], str]) -> bool:
    try:
        problem = check()
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        problem = str(error) or type(error).__name__
    _say(f"{'fails' if problem else 'ok':<6} {told}")
    for line in problem.splitlines():
        _say(f"         {line}")
    return not problem


def _git(*arguments: str) -> str:
    """What it says, which is nothing if all is well."""
    done = subprocess.run(
        ["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _tests(folder: Path) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    (folder / "tests.log").write_text(done.stdout)
    return done.stdout[-2000:] if done.returncode else ""


def _build(folder: Path) -> str:
    tools = new_environment(folder / "tools", "-r", str(TOOLS))
    tools.run("python", "-m", "build", "--outdir", str(folder / "dist"), folder=PROJECT)
    built = sorted(path.name for path in (folder / "dist").iterdir())
    expected = [f"rowcast-{VERSION}-py3-none-any.whl", f"rowcast-{VERSION}.tar.gz"]
    return "" if built == expected else f"built: {', '.join(built)}"


def _wheel(folder: Path) -> str:
    with zipfile.ZipFile(_built(folder)) as built:
        metadata = built.read(f"rowcast-{VERSION}.dist-info/METADATA").decode()
        return said.wheel(built.namelist(), metadata, VERSION, LICENCES)


def _metadata(folder: Path) -> str:
    files = [str(path) for path in (folder / "dist").iterdir()]
    done = subprocess.run(
        [folder / "tools" / "bin" / "twine", "check", "--strict", *files],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout if done.returncode else ""


def _smoke(folder: Path) -> str:
    environment = new_environment(folder / "environment", str(_built(folder)))
    smoke(environment, VERSION, folder)
    return ""


def _built(folder: Path) -> Path:
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what it is for


if __name__ == "__main__":
    sys.exit(main())
