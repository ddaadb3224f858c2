"""What the docs name exists: links, settings, metrics, log messages, files."""

import ast
import re
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram

from poller.runtime import metrics
from tests.docs.pages import AROUND, PAGES, PROJECT, anchors, blocks, links, prose, quoted
from tests.docs.session import commands
from wall.settings import WallSettings

EVERY_PAGE = [*PAGES, *AROUND]
OPERATIONS = PROJECT / "docs" / "operations.md"
HOW_IT_WORKS = PROJECT / "docs" / "how-it-works.md"
SETTING = re.compile(r"\bROWCAST_[A-Z][A-Z_]*")
METRIC = re.compile(r"\browcast_[a-z_]+")
SUFFIXES = ("", "_bucket", "_sum", "_count")
FILE = re.compile(r"(?:benchmarks|docs|models|poller|static|templates|tests|wall)/[\w./-]*")

each_page = pytest.mark.parametrize(
    "page", EVERY_PAGE, ids=lambda page: str(page.relative_to(PROJECT))
)


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{link}: no such file"
        assert target.is_relative_to(PROJECT), f"{link}: leads out of the repository"
        if anchor:
            assert anchor in anchors(target), f"{link}: no such heading"


@each_page
def test_settings_that_are_named_exist(page: Path) -> None:
    assert set(SETTING.findall(page.read_text(encoding="utf-8"))) <= WallSettings.names().keys()


@each_page
def test_metrics_that_are_named_exist(page: Path) -> None:
    shown = {name + suffix for name in exposed() for suffix in SUFFIXES}
    assert set(METRIC.findall(prose(page))) <= shown


@each_page
def test_files_that_are_named_exist(page: Path) -> None:
    named = {text for text in quoted(page) if FILE.fullmatch(text)}
    missing = sorted(name for name in named if not (PROJECT / name).exists())
    assert not missing


@each_page
def test_make_targets_that_are_named_exist(page: Path) -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)
    typed = [command for block in blocks(page) for command, _ in commands(block.text)]
    found = [re.match(r"make ([a-z-]+)", text) for text in [*quoted(page), *typed]]
    named = {target[1] for target in found if target}
    assert named <= set(targets)


def test_files_of_the_map_exist() -> None:
    files = {path.name for path in (PROJECT / "poller").rglob("*.py")}
    named = {text for text in quoted(HOW_IT_WORKS) if re.fullmatch(r"\w+\.py", text)}
    assert named
    assert named <= files


def test_every_metric_is_explained() -> None:
    rows = {cells[0] for cells in table("## Metrics")}
    assert rows == exposed()


def test_log_messages_that_are_named_exist() -> None:
    named = {one for cells in table("## The log") for one in cells[0].split("`, `")}
    texts = {
        node.value
        for path in (PROJECT / "poller").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert named
    assert named <= texts


def exposed() -> set[str]:
    """The names under which Prometheus sees the metrics, a histogram's without its suffixes."""
    names = set()
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            (family,) = metric.describe()
            names.add(f"{family.name}_total" if isinstance(metric, Counter) else family.name)
    return names


def table(heading: str) -> list[list[str]]:
    """The rows under a heading of the operations page whose first cell is code."""
    _, _, after = OPERATIONS.read_text(encoding="utf-8").partition(f"{heading}\n")
    section = re.split(r"^## ", after, flags=re.MULTILINE)[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    cells = [row.strip("| ").split(" | ") for row in rows]
    return [[first.strip("`"), *others] for first, *others in cells]
