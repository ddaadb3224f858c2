"""The budgets that the page on security lists are the ones in the code."""

import re
from importlib import import_module

import pytest

from tests.docs.pages import PROJECT

PAGE = (PROJECT / "docs" / "security.md").read_text(encoding="utf-8")
BUDGETS = re.findall(r"^\| `([a-z_.]+)\.([A-Z_]+)` \| ([0-9.]+) \|", PAGE, re.MULTILINE)


def test_budgets_are_listed() -> None:
    assert len(BUDGETS) == len(re.findall(r"^\| `(?:poller|wall)", PAGE, re.MULTILINE)) > 9


@pytest.mark.parametrize(("module", "name", "value"), BUDGETS)
def test_a_budget_is_as_the_page_says(module: str, name: str, value: str) -> None:
    assert str(getattr(import_module(module), name)) == value
