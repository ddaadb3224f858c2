"""The lock files: the versions that are pinned, each with its hash, and no registry's address."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[1]
NPM = sorted(path.parent for path in PROJECT.glob("tests/*/package.json"))


def pins(text: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==(\S+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def test_what_make_run_installs_is_what_is_pinned_and_hashed() -> None:
    lock = (PROJECT / "requirements.lock").read_text()
    assert pins(lock) == pins((PROJECT / "requirements.txt").read_text())
    for block in re.split(r"\n(?=\S)", lock)[2:]:
        assert re.search(r" \\\n    --hash=sha256:[0-9a-f]{64}", block), block
    makefile = (PROJECT / "Makefile").read_text()
    assert "$(PIP) --require-hashes -r requirements.lock" in makefile


@pytest.mark.parametrize("folder", NPM, ids=lambda folder: folder.name)
def test_what_npm_installs_is_what_is_pinned_and_hashed(folder: Path) -> None:
    lock: dict[str, Any] = json.loads((folder / "package-lock.json").read_text())["packages"]
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    assert lock.pop("")["dependencies"] == wanted
    for name, version in wanted.items():
        assert lock[f"node_modules/{name}"]["version"] == version.rpartition("@")[2]
    assert all(one["integrity"].startswith("sha512-") for one in lock.values())


@pytest.mark.parametrize("folder", NPM, ids=lambda folder: folder.name)
def test_lock_files_name_no_registry(folder: Path) -> None:
    assert "resolved" not in (folder / "package-lock.json").read_text()
    assert (folder / ".npmrc").read_text() == "omit-lockfile-registry-resolved=true\n"
    assert "://" not in (PROJECT / "requirements.lock").read_text()
