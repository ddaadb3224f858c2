"""What can be told of the code without running it. The import contracts are in pyproject.toml."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import poller

PROJECT = Path(__file__).parents[1]
POLLER = PROJECT / "poller"
LONGEST_FILE = 250  # lines
OUTSIDE = [*PROJECT.glob("*.py"), *PROJECT.glob("wall/*.py"), *PROJECT.glob("models/*.py")]


def imports(path: Path) -> set[str]:
    """The modules that a file names, `from a import b` as `a.b`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_the_public_surface() -> None:
    assert set(poller.__all__) == {
        "Access",
        "Database",
        "DatabaseTimeout",
        "Feed",
        "Notifier",
        "Settings",
        "SettingsError",
        "TableError",
        "Worker",
        "__version__",
        "client_network",
        "history_reset",
        "row_added",
        "row_changed",
        "row_deleted",
    }
    for name in set(poller.__all__) - {"Worker"}:  # that one patches the process
        assert getattr(poller, name)


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: str(path.relative_to(PROJECT)))
def test_nobody_outside_imports_below_the_surface(path: Path) -> None:
    public = {f"poller.{name}" for name in poller.__all__} | {"poller"}
    assert {name for name in imports(path) if name.startswith("poller")} <= public


@pytest.mark.parametrize(
    "path", sorted(POLLER.rglob("*.py")), ids=lambda path: str(path.relative_to(POLLER))
)
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


def test_nothing_imports_app() -> None:
    for path in [*PROJECT.glob("wall/*.py"), *PROJECT.glob("models/*.py"), *POLLER.rglob("*.py")]:
        assert not [name for name in imports(path) if name.partition(".")[0] == "app"], path.name


def test_importing_the_notifier_starts_and_connects_nothing() -> None:
    script = (
        "import gc, gevent, threading; from poller import Notifier;"
        "assert threading.active_count() == 1;"
        "assert not [o for o in gc.get_objects() if isinstance(o, gevent.Greenlet)]"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, cwd=PROJECT)


WALL_TIME = {"now", "utcnow", "today", "time", "time_ns", "ctime", "localtime", "gmtime"}


def wall_time_read_in(path: Path) -> set[str]:
    """The functions of a module that ask what time it is; the module itself is ""."""
    tree = ast.parse(path.read_text())
    inner = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    readers = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or node.attr not in WALL_TIME:
            continue
        if isinstance(node.value, ast.Name) and node.value.id in ("time", "datetime", "date"):
            around = [one for one in inner if one.lineno <= node.lineno <= (one.end_lineno or 0)]
            readers.add(around[-1].name if around else "")
    return readers


def test_wall_time_is_read_for_log_lines_the_lag_metric_and_ends_of_access_only() -> None:
    """A clock that jumps may spoil a number on a chart, never what is delivered."""
    readers = {
        (path.stem, name) for path in POLLER.rglob("*.py") for name in wall_time_read_in(path)
    }
    ends_of_access = ("granted", "now")
    # Looks of several workers at the same moment cost fewer bytes; nothing else depends on it.
    looks = ("looker", "__init__")
    told = {("report", "encoded"), ("log", ""), ("log", "format")}
    status = {("recorder", "wall_time"), ("folder", "_age_s")}  # an axis, and which files are old
    assert readers == told | status | {ends_of_access, looks}
    for path in POLLER.rglob("*.py"):
        assert "from time import" not in path.read_text(), f"{path.name}: unseen by this test"
