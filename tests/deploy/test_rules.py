"""The alerts of deploy/rules.yml by their times, and the docs that say what to do at each."""

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import EXERCISED
from tests.docs.pages import PROJECT
from tests.harness.process import PartMissing, run
from tests.harness.proxies import DEPLOY, find

ALERT = re.compile(r"\bRowcast[A-Z]\w+")


@pytest.fixture(scope="module")
def promtool() -> Path:
    try:
        return find("promtool")
    except PartMissing as reason:
        EXERCISED.skip("promtool", str(reason))


def test_the_rules_are_rules(promtool: Path) -> None:
    assert "SUCCESS" in run([promtool, "check", "rules", DEPLOY / "rules.yml"])


def test_each_alert_fires_in_time_and_none_in_a_healthy_hour(
    promtool: Path, tmp_path: Path
) -> None:
    shutil.copy(DEPLOY / "rules.yml", tmp_path)
    shutil.copy(Path(__file__).with_name("rules_test.yml"), tmp_path)
    assert "SUCCESS" in run([promtool, "test", "rules", tmp_path / "rules_test.yml"])


def test_the_docs_say_what_to_do_at_each() -> None:
    rules = (DEPLOY / "rules.yml").read_text(encoding="utf-8")
    named = re.findall(r"alert: (\w+)", rules)
    pages = {name: (PROJECT / name).read_text("utf-8") for name in ("docs/operations.md",)}
    for page in pages.values():
        assert sorted(set(ALERT.findall(page))) == sorted(named)


def test_each_alert_is_tried() -> None:
    rules = (DEPLOY / "rules.yml").read_text(encoding="utf-8")
    for place in ("rules_test.yml", "test_prometheus.py"):
        tried = ALERT.findall(Path(__file__).with_name(place).read_text(encoding="utf-8"))
        assert set(tried) == set(re.findall(r"alert: (\w+)", rules)), place
