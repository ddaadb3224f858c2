"""Every command and every block of code in README and docs is run, or says why not."""

import ast
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from poller.doctor import diagnose
from poller.runtime.settings import Settings
from tests.docs.pages import BLOCKS, PAGES, PROJECT, Block, blocks, of
from tests.docs.session import Session, commands, matches

LANGUAGES = {"console", "python", "javascript", "sql", "ini", "dockerfile", "text"}
LANGUAGES |= {"nginx", "caddyfile", "haproxy", "apache", "yaml"}  # test_deploy.py
LANGUAGES |= {"html", "jsx"}  # tests/recipes
OPTIONS = {
    "console": {"serve", "open", "more", "status", "in"},
    "python": {"file", "fragment", "in"},
    "html": {"recipe"},
    "jsx": {"recipe"},
    "sql": {"recipe"},  # tests/poller/reading/test_versions.py
}
TYPED = ("console", "python")
MOST_NOT_RUN = 5
INSTRUCTIONS = {"FROM", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "CMD", "ENV", "ENTRYPOINT"}

TYPED_PAGES = [page for page in PAGES if any(one.language in TYPED for one in blocks(page))]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    reader = Session(tmp_path)
    yield reader
    reader.end()


@pytest.mark.serving
@pytest.mark.parametrize("page", TYPED_PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_a_reader_who_types_the_page_sees_what_it_shows(page: Path, session: Session) -> None:
    for block in blocks(page):
        if block.language in TYPED and "no-run" not in block.options:
            try:
                session.run(block)
            except (AssertionError, SyntaxError) as error:
                raise AssertionError(f"{block}\n{error}") from error


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_each_block_says_how_it_is_tested(block: Block) -> None:
    assert block.language in LANGUAGES, f"{block}: no language that is tested"
    unknown = block.options.keys() - OPTIONS.get(block.language, set()) - {"no-run"}
    assert not unknown, f"{block}: {unknown}"
    assert len(block.options.get("no-run", "a reason")) >= 8, f"{block}: no reason"
    if block.language in ("html", "jsx"):
        assert "recipe" in block.options, f"{block}: no recipe"
    if block.language == "console" and "more" not in block.options:
        assert list(commands(block.text)), f"{block}: no line begins with $"


def test_few_blocks_are_not_run() -> None:
    left_out = [str(one) for one in BLOCKS if "no-run" in one.options]
    assert len(left_out) <= MOST_NOT_RUN, left_out


def test_what_is_shown_is_compared() -> None:
    shown = 'retry: 2000\n\nid: 01beef0000000000.7\ndata: {"id":7}\n'
    assert matches('retry: 2000\n\nid: 3f2a09c41e37a1b2.7\ndata: {"id":7}', shown)
    assert matches("retry: 2000\n…\ndata: {…}", shown)
    assert not matches('retry: 2000\n\nid: 3f2a09c41e37a1b2.8\ndata: {"id":7}', shown)
    assert not matches("retry: 2000", shown)


@pytest.mark.parametrize("block", of("javascript"), ids=str)
def test_javascript_can_be_parsed(block: Block) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    command = [node, "--check", "--input-type=module", "-"]
    subprocess.run(command, input=block.text, text=True, check=True, timeout=30)


@pytest.mark.parametrize("block", [one for one in of("sql") if not one.options], ids=str)
def test_sql_makes_a_table_that_can_be_watched(block: Block, postgresql_url: str) -> None:
    database = create_engine(postgresql_url.replace("postgresql:", "postgresql+psycopg:"))
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id uuid PRIMARY KEY, customer text)"))
        connection.execute(text(block.text))
    database.dispose()
    report = diagnose(postgresql_url, "orders", Settings(), "number")
    assert report.status == 0, [*report.lines()]


@pytest.mark.parametrize("block", of("dockerfile"), ids=str)
def test_an_image_starts_the_documented_worker(block: Block) -> None:
    lines = [line.split(" ", 1) for line in block.text.splitlines()]
    assert {instruction for instruction, _ in lines} <= INSTRUCTIONS
    (command,) = [json.loads(rest) for instruction, rest in lines if instruction == "CMD"]
    assert command[:3] == ["gunicorn", "-k", "poller.Worker"]


@pytest.mark.parametrize("block", of("python"), ids=str)
def test_python_imports_the_public_names_only(block: Block) -> None:
    """What the docs show of the notifier can be had from `poller` itself."""
    if block.options.get("in") == "clone":
        return
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("poller"):
            assert node.module in ("poller", "poller.testing"), f"{block}: {node.module}"
