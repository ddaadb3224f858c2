"""Imports point one way, so that each file can be read on its own."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
POLLER = PROJECT / "poller"

# What a module may import besides the standard library.
ALLOWED = {
    "cursor_token": set(),
    "cursor": {"poller.cursor_token"},
    "sse": {"poller.cursor"},
    "row": {"poller.sse", "msgspec"},
    "event_log": {"poller.cursor", "gevent"},
    "settings": {"poller.capacity", "pydantic", "sqlalchemy"},
    "address": set(),
    "capacity": {"structlog"},
    "slots": {"poller.address", "structlog"},
    "metrics": {"prometheus_client"},
    "database": {"gevent", "sqlalchemy", "tenacity"},
    "ranges": {"poller.cursor", "sqlalchemy"},
    "gaps": {"poller.cursor"},
    "fence": {"poller.cursor", "poller.gaps", "sqlalchemy"},
    "dialects/examined": {"poller.fence", "sqlalchemy"},
    "dialects/access": {"sqlalchemy"},
    "dialects/key": {"poller.dialects", "sqlalchemy"},
    "dialects/mysql_findings": {"poller.dialects", "poller.fence", "sqlalchemy"},
    "dialects/sqlite": {"poller.dialects", "poller.fence", "sqlalchemy"},
    "dialects/postgresql": {"poller.cursor", "poller.dialects", "poller.fence", "sqlalchemy"},
    "dialects/mysql": {"poller.cursor", "poller.dialects", "poller.fence", "poller.gaps",
                       "poller.ranges", "sqlalchemy"},
    "dialects/__init__": {"poller.dialects", "poller.fence", "sqlalchemy"},
    "table": {"poller.cursor", "poller.dialects", "poller.ranges", "poller.row", "sqlalchemy"},
    "newest": {"poller.cursor", "poller.row"},
    "backfill": {"poller.cursor", "poller.row", "gevent"},
    "connection": {"gevent"},
    "handover": {"gevent"},
    "response_stream": {"poller.connection", "poller.delivery", "poller.event_log",
                        "poller.settings", "poller.sse", "gevent"},
    "fanout": {"poller.connection", "poller.delivery", "poller.event_log", "poller.metrics",
               "poller.settings", "poller.sse", "gevent", "structlog"},
    "streams": {"poller.backfill", "poller.connection", "poller.delivery", "poller.event_log",
                "poller.fanout", "poller.metrics", "poller.response_stream", "poller.settings",
                "poller.slots", "poller.sse", "gevent", "structlog"},
    "report": {"poller.gaps", "poller.metrics"},
    "doctor": {"poller.cursor", "poller.database", "poller.dialects", "poller.settings",
               "poller.table", "sqlalchemy"},
}  # fmt: skip
KNOWS_NO_FLASK_NOR_SQL = ("loop", "delivery", "backfill")
KNOWS_FLASK = ("notifier", "stream_response")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = node.module == "poller"
            found |= {f"poller.{a.name}" for a in node.names} if whole else {node.module}
    return found


def third_party(modules: set[str]) -> set[str]:
    import sys

    def top(module: str) -> str:
        return ".".join(module.split(".")[: 2 if module.startswith("poller.") else 1])

    return {top(m) for m in modules} - set(sys.stdlib_module_names)


@pytest.mark.parametrize("module", ALLOWED)
def test_a_module_imports_no_more_than_its_share(module: str) -> None:
    assert third_party(imports(POLLER / f"{module}.py")) <= ALLOWED[module]


@pytest.mark.parametrize("module", KNOWS_NO_FLASK_NOR_SQL)
def test_the_loop_and_delivery_know_neither_flask_nor_sql(module: str) -> None:
    used = third_party(imports(POLLER / f"{module}.py"))
    assert not used & {"flask", "werkzeug", "sqlalchemy", "poller.table", "poller.database"}


def test_flask_is_known_to_the_extension_only() -> None:
    for path in POLLER.rglob("*.py"):
        knows = bool(third_party(imports(path)) & {"flask", "werkzeug"})
        assert knows == (path.stem in KNOWS_FLASK), path.name


def test_the_notifier_knows_no_wall_and_nothing_imports_app() -> None:
    for path in POLLER.rglob("*.py"):
        assert not third_party(imports(path)) & {"wall", "models", "app"}, path.name
    for folder in ("wall", "models"):
        for path in (PROJECT / folder).glob("*.py"):
            assert "app" not in imports(path), path.name


def test_importing_the_notifier_starts_and_connects_nothing() -> None:
    import subprocess
    import sys

    script = (
        "import gc, gevent, threading, poller;"
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


def test_wall_time_is_read_for_the_lag_metric_only() -> None:
    """A clock that jumps may spoil a number on a chart, never what is delivered."""
    readers = {
        (path.stem, name) for path in POLLER.rglob("*.py") for name in wall_time_read_in(path)
    }
    assert readers == {("loop", "_observe_lag")}
    for path in POLLER.rglob("*.py"):
        assert "from time import" not in path.read_text(), f"{path.name}: unseen by this test"
