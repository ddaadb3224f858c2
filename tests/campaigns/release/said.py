"""What a checkout says of its version: the package, the changelog, the docs. Pure, given the texts.

Each check gives what is wrong, empty if nothing is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date

FINAL = re.compile(r"\d+\.\d+\.\d+")
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
RELEASED = re.compile(r"(\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)")
PINNED = re.compile(r"\browcast(?:\[\w+\])?==(\d+(?:\.\d+)+)")
UNRELEASED = "Unreleased"


def version(said: str) -> str:
    """Whether it is one that can be released."""
    return "" if FINAL.fullmatch(said) else f"{said} is no version to release: X.Y.Z"


def changelog(text: str, said: str, today: date) -> str:
    """The version comes first, has a date that is not in the future, and says something. What is
    not released stands above it, and is empty."""
    parts = HEADING.split(text)[1:]
    sections = list(zip(parts[::2], parts[1::2], strict=True))
    if sections and sections[0][0] == UNRELEASED:
        if sections[0][1].strip():
            return f"CHANGELOG.md has entries under {UNRELEASED}: they belong to {said}"
        sections = sections[1:]
    if not sections:
        return f"CHANGELOG.md has no section ## {said} - YYYY-MM-DD"
    heading, body = sections[0]
    found = RELEASED.fullmatch(heading)
    if found is None or found[1] != said:
        return f"the first section of CHANGELOG.md is {heading!r}, not {said} - YYYY-MM-DD"
    if date.fromisoformat(found[2]) > today:
        return f"CHANGELOG.md dates {said} on {found[2]}, which is yet to come"
    return "" if body.strip() else f"CHANGELOG.md says nothing of {said}"


def pages(texts: Mapping[str, str], said: str) -> str:
    """No page tells to install another version."""
    for name, text in texts.items():
        if others := {found for found in PINNED.findall(text) if found != said}:
            return f"{name} names rowcast=={', '.join(sorted(others))}"
    return ""


def wheel(names: Iterable[str], metadata: str, said: str, licences: Iterable[str]) -> str:
    """It has the package alone, of this version, and the licence of each part."""
    names = [*names]
    info = f"rowcast-{said}.dist-info"
    if strangers := {name.split("/")[0] for name in names} - {"poller", info}:
        return f"the wheel has {', '.join(sorted(strangers))} beside the package"
    for licence in licences:
        if f"{info}/licenses/{licence}" not in names:
            return f"the wheel lacks the licence {licence}: name it in license-files"
    if f"Version: {said}\n" not in metadata:
        return f"the wheel's metadata is not of {said}"
    return "" if "poller/py.typed" in names else "the wheel lacks py.typed"
