# ruff: noqa: E501
"""Imports point one way, so that each file can be read on its own."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
POLLER = PROJECT / "poller"

# What a module may import besides the standard library.
ALLOWED = {
    "ids/cursor_token": set(),
    "ids/cursor": {"poller.ids.cursor_token"},
    "wire/sse": {"poller.ids.cursor"},
    "wire/row": {"poller.wire.sse", "msgspec"},
    "delivery/event_log": {"poller.ids.cursor", "gevent"},
    "runtime/settings": {"poller.access.capacity", "pydantic", "sqlalchemy"},
    "access/address": set(),
    "access/capacity": {"poller.runtime.log"},
    "access/admission": {"poller.access.address", "poller.runtime.log"},
    "runtime/metrics": {"prometheus_client"},
    "reading/database": {"gevent", "sqlalchemy", "tenacity"},
    "reading/conditions": {"poller.ids.cursor", "sqlalchemy"},
    "ids/gaps": {"poller.ids.cursor"},
    "reading/fence": {"poller.ids.cursor", "poller.ids.gaps", "sqlalchemy"},
    "reading/dialects/facts": {"poller.reading.fence", "sqlalchemy"},
    "reading/dialects/access": {"sqlalchemy"},
    "reading/dialects/key": {"poller.reading.dialects", "sqlalchemy"},
    "reading/dialects/mysql_findings": {"poller.reading.dialects", "poller.reading.fence", "sqlalchemy"},
    "reading/dialects/sqlite": {"poller.reading.dialects", "poller.reading.fence", "sqlalchemy"},
    "reading/dialects/postgresql": {"poller.ids.cursor", "poller.reading.dialects", "poller.reading.fence", "sqlalchemy"},
    "reading/dialects/mysql": {"poller.ids.cursor", "poller.reading.dialects", "poller.reading.fence", "poller.ids.gaps",
                       "poller.reading.conditions", "sqlalchemy"},
    "reading/dialects/__init__": {"poller.reading.dialects", "poller.reading.fence", "sqlalchemy"},
    "reading/table": {"poller.ids.cursor", "poller.reading.dialects", "poller.reading.conditions", "poller.wire.row", "sqlalchemy"},
    "polling/identity": {"poller.ids.cursor", "poller.wire.row"},
    "delivery/page": {"poller.ids.cursor", "poller.wire.sse", "poller.runtime.hub", "gevent"},
    "delivery/backfill": {"poller.ids.cursor", "poller.delivery.page", "poller.wire.row", "poller.runtime.log", "poller.runtime.hub",
                 "gevent"},
    "runtime/log": {"structlog"},
    "runtime/hub": {"gevent"},
    "serving/client": {"gevent"},
    "serving/handover": {"gevent"},
    "serving/wsgi_stream": {"poller.serving.client", "poller.delivery.subscriber", "poller.delivery.event_log",
                        "poller.runtime.settings", "poller.wire.sse", "gevent"},
    "serving/fanout": {"poller.serving.client", "poller.delivery.subscriber", "poller.delivery.event_log", "poller.runtime.metrics",
               "poller.runtime.settings", "poller.wire.sse", "poller.runtime.log", "poller.runtime.hub", "gevent"},
    "serving/streams": {"poller.delivery.backfill", "poller.serving.client", "poller.delivery.subscriber", "poller.delivery.event_log",
                "poller.serving.fanout", "poller.runtime.metrics", "poller.serving.wsgi_stream", "poller.runtime.settings",
                "poller.access.admission", "poller.wire.sse", "poller.runtime.log", "poller.runtime.hub", "gevent"},
    "polling/report": {"poller.ids.gaps", "poller.runtime.metrics"},
    "doctor": {"poller.ids.cursor", "poller.reading.database", "poller.reading.dialects", "poller.runtime.settings",
               "poller.reading.table", "sqlalchemy"},
}  # fmt: skip
KNOWS_NO_FLASK_NOR_SQL = (
    "polling/loop",
    "delivery/subscriber",
    "delivery/backfill",
    "delivery/page",
)
KNOWS_FLASK = ("notifier", "responses")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            room = node.module.startswith("poller") and node.module.count(".") < 2
            inner = POLLER.parent.joinpath(*node.module.split(".")).is_dir()
            named = {f"{node.module}.{a.name}" for a in node.names}
            found |= named if room and inner and "dialects" not in node.module else {node.module}
    return found


def third_party(modules: set[str]) -> set[str]:
    import sys

    def top(module: str) -> str:
        return ".".join(module.split(".")[: 3 if module.startswith("poller.") else 1])

    return {top(m) for m in modules} - set(sys.stdlib_module_names)


@pytest.mark.parametrize("module", ALLOWED)
def test_a_module_imports_no_more_than_its_share(module: str) -> None:
    assert third_party(imports(POLLER / f"{module}.py")) <= ALLOWED[module]


@pytest.mark.parametrize("module", KNOWS_NO_FLASK_NOR_SQL)
def test_the_loop_and_delivery_know_neither_flask_nor_sql(module: str) -> None:
    used = third_party(imports(POLLER / f"{module}.py"))
    assert not used & {
        "flask",
        "werkzeug",
        "sqlalchemy",
        "poller.reading.table",
        "poller.reading.database",
    }


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
