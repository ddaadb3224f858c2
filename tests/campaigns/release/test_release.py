"""The check-list finds what it is for, and what is said here is true of this checkout."""

from __future__ import annotations

from datetime import date

import pytest

import poller
from tests.campaigns.release import said
from tests.campaigns.release.smoke import first_program
from tests.docs.pages import PROJECT

TODAY = date(2026, 11, 26)
WELL = "# Changelog\n\n## Unreleased\n\n## 1.2.0 - 2026-11-26\n\n- A\n\n## 1.1.0 - 2026-01-01\n"


@pytest.mark.parametrize(
    ("version", "well"), [("1.2.0", True), ("1.2.0.dev0", False), ("1", False)]
)
def test_a_version_in_the_making_is_none(version: str, well: bool) -> None:
    assert (said.version(version) == "") == well


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("", "", ""),
        ("## Unreleased\n\n", "", ""),
        ("Unreleased\n", "Unreleased\n\n- B\n", "has entries under Unreleased"),
        ("1.2.0 - 2026-11-26", "1.3.0 - 2026-11-26", "'1.3.0 - 2026-11-26', not 1.2.0"),
        ("1.2.0 - 2026-11-26", "1.2.0", "'1.2.0', not 1.2.0 - YYYY-MM-DD"),
        ("2026-11-26", "2026-11-27", "yet to come"),
        ("- A\n", "", "says nothing of 1.2.0"),
        (WELL, "# Changelog\n", "no section ## 1.2.0"),
    ],
)
def test_the_changelog(old: str, new: str, words: str) -> None:
    problem = said.changelog(WELL.replace(old, new) if old else WELL, "1.2.0", TODAY)
    assert words in problem
    assert bool(words) == bool(problem)


def test_a_page_that_installs_another_version() -> None:
    assert said.pages({"README.md": "pip install 'rowcast[mysql]==1.2.0'"}, "1.2.0") == ""
    assert "README.md" in said.pages({"README.md": "pip install rowcast==1.1.0"}, "1.2.0")


NAMES = [
    "poller/py.typed",
    *(f"rowcast-1.2.0.dist-info/{one}" for one in ("METADATA", "licenses/L")),
]


@pytest.mark.parametrize(
    ("names", "metadata", "words"),
    [
        (NAMES, "Version: 1.2.0\n", ""),
        ([*NAMES, "tests/x.py"], "Version: 1.2.0\n", "tests beside the package"),
        (NAMES[:-1], "Version: 1.2.0\n", "lacks the licence L"),
        (NAMES[1:], "Version: 1.2.0\n", "py.typed"),
        (NAMES, "Version: 1.1.0\n", "not of 1.2.0"),
    ],
)
def test_the_wheel(names: list[str], metadata: str, words: str) -> None:
    problem = said.wheel(names, metadata, "1.2.0", ["L"])
    assert words in problem
    assert bool(words) == bool(problem)


def test_the_first_program_of_the_readme_is_found() -> None:
    module, program, table = first_program()
    assert module == "shop"
    assert "notifier.init_app(app)" in program
    assert table.startswith("CREATE TABLE orders")


def test_this_checkout_names_its_version_in_the_changelog_once_it_is_one_to_release() -> None:
    text = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    if said.version(poller.__version__) == "":
        assert f"## {poller.__version__} - " in text
    else:
        assert f"## {said.UNRELEASED}" in text
