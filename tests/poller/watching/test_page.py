"""What the browser gets holds to the page's Content-Security-Policy, and to itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from poller.watching.app import PAGE

FILES = sorted(PAGE.iterdir())
MARKUP = [path for path in FILES if path.suffix == ".html"]
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
INLINE = re.compile(r"\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\ssrc=)|javascript:")
AS_MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function"
)


@pytest.mark.parametrize("path", MARKUP, ids=lambda path: path.name)
def test_nothing_is_inline(path: Path) -> None:
    assert INLINE.findall(path.read_text()) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_value_becomes_markup(path: Path) -> None:
    assert AS_MARKUP.findall(path.read_text()) == []


@pytest.mark.parametrize("path", MARKUP, ids=lambda path: path.name)
def test_what_a_page_names_is_there(path: Path) -> None:
    named = re.findall(r'(?:href|src)="/page/([^"]+)"', path.read_text())
    assert named
    assert {*named} <= {one.name for one in FILES}


def test_tokens_that_are_used_are_there_and_the_others_are_not() -> None:
    sheets = {path.name: path.read_text() for path in FILES if path.suffix == ".css"}
    used = {name for text in sheets.values() for name in re.findall(r"var\((--[a-z0-9-]+)", text)}
    there = {*re.findall(r"^\s+(--[a-z0-9-]+):", sheets["tokens.css"], re.MULTILINE)}
    dark = {*re.findall(r"^\s+(--[a-z0-9-]+):", sheets["dark.css"], re.MULTILINE)}
    assert used - {"--least"} == there
    assert dark <= there


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_the_scripts_can_be_parsed(path: Path, tmp_path: Path) -> None:
    if (node := shutil.which("node")) is None:
        pytest.skip("node is not installed")
    copy = tmp_path / f"{path.stem}.mjs"
    shutil.copy(path, copy)
    subprocess.run([node, "--check", str(copy)], check=True, timeout=60)
