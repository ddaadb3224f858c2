"""docs/clients.md, from what a run has seen."""

import json
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from tests.clients.browser import Browser
from tests.clients.cuts import CUTS
from tests.clients.reader import PROGRAMS
from tests.clients.roster import CLIENTS, Client
from tests.clients.trial import Outcome
from tests.harness.process import run

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "clients.md"
PINNED = ("requirements-dev.txt", "requirements-clients.txt", "tests/clients/sseclient.txt")
PROGRAMS_OF = {"Node": "node", "Python": sys.executable, "Java": "java", "PHP": "php"}
FILES = {
    "Chromium": "browser_client.mjs",
    "Node": "node_client.mjs",
    "Python": "python_client.py",
}


@dataclass(frozen=True)
class Run:
    """One run of the matrix: cut → client → what it had at the end."""

    date: str
    runtimes: Mapping[str, str]
    outcomes: Mapping[str, Mapping[Client, Outcome]]

    def of(self, client: Client) -> dict[str, Outcome]:
        return {cut: seen[client] for cut, seen in self.outcomes.items() if client in seen}


def runtimes(browsers: Mapping[str, Browser]) -> dict[str, str]:
    """Name → version of all that the clients run in."""
    found = {name: browser.version for name, browser in browsers.items()}
    for name, command in PROGRAMS_OF.items():
        if path := shutil.which(command):
            version = re.search(r"\d+(?:\.\d+)+", run([path, "--version"]))
            found[name] = version[0] if version else "unknown"
    return found


def pinned(client: Client) -> str:
    """The version of its package; empty for what comes with the runtime."""
    packages = json.loads((PROJECT / "tests/clients/package.json").read_text())["dependencies"]
    if client.runtime != "Python":
        return str(packages.get(client.package, "")).rpartition("@")[2]
    lines = "\n".join((PROJECT / name).read_text() for name in PINNED)
    (version,) = set(re.findall(rf"^{re.escape(client.package)}==(\S+)$", lines, re.MULTILINE))
    return str(version)


def page(seen: Run) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in seen.runtimes.items())
    parts = [
        INTRODUCTION.format(date=seen.date, versions=versions),
        "\n".join([CLIENTS_HEAD, *(_row(client, seen) for client in CLIENTS)]),
        CUTS_INTRODUCTION,
        "\n".join([CUTS_HEAD, *(f"| {cut} | {_said(cut)} |" for cut in CUTS)]),
        NOTES_INTRODUCTION,
        "\n".join(_notes()),
        CODE_INTRODUCTION,
        *(_code(client) for client in CLIENTS if client.shown),
    ]
    return "\n\n".join(parts) + "\n"


def _row(client: Client, matrix: Run) -> str:
    seen = matrix.of(client)
    received = sum(one.received for one in seen.values())
    wanted = sum(one.wanted for one in seen.values())
    lost = [f"{one.wanted - one.received} {cut}" for cut, one in seen.items() if not one.well]
    doubled = sum(one.doubled for one in seen.values())
    after_204 = "asks again" if client.keeps_asking else "stays away"
    version = pinned(client) or matrix.runtimes[client.runtime]
    cells = [
        _shown(client),
        client.runtime,
        version,
        "yes" if client.by_itself else "no: your loop",
        f"{received:,} of {wanted:,}",
        ", ".join(lost) or "–",
        str(doubled or "–"),
        after_204,
    ]
    return f"| {' | '.join(cells)} |"


def _shown(client: Client) -> str:
    package, _, way = client.name.partition(", ")
    return f"`{package}`, {way}" if way else f"`{package}`"


def _said(cut: str) -> str:
    """What the cut does, from its docstring."""
    return " ".join((CUTS[cut].__doc__ or "").split())


def _notes() -> list[str]:
    """One for each client that has something to know, the same text once."""
    lines: dict[str, list[str]] = {}
    for client in CLIENTS:
        for text in (*client.cannot.values(), client.note):
            if text:
                lines.setdefault(text, []).append(f"`{client.name}` ({client.runtime})")
    return [f"- {', '.join(names)}: {text}" for text, names in lines.items()]


def _code(client: Client) -> str:
    """The client's part of its program, as it ran."""
    source = (PROGRAMS / FILES[client.runtime]).read_text(encoding="utf-8")
    if client.runtime == "Python":
        return f"`{client.name}`:\n\n```python fragment\n{_python(client.name, source)}```"
    found = re.search(
        rf'^  "{re.escape(client.name)}": (async \(url\) => {{\n.*?^  }}),\n',
        source,
        re.MULTILINE | re.DOTALL,
    )
    assert found, client.name
    code = dedent("  const read = " + found[1])
    return f"`{client.name}` ({client.runtime}):\n\n```javascript\n{code};\n```"


def _python(name: str, source: str) -> str:
    function = re.search(rf'"{re.escape(name)}": (\w+),', source)
    assert function, name
    parts = [_definition(name, source) for name in (function[1], f"_{function[1]}")]
    if "frames(" in parts[0]:
        parts.append(_definition("frames", source))
    return "\n\n".join(part for part in parts if part)


def _definition(name: str, source: str) -> str:
    """The function of that name, up to what follows it; empty if there is none."""
    pattern = rf"^(?:async )?def {name}\(.*?(?=^\S)"
    found = re.search(pattern, source, re.MULTILINE | re.DOTALL)
    return found[0].strip("\n") + "\n" if found else ""


INTRODUCTION = """\
# Clients

Which clients read a stream, what each needs, and what it cannot do. `make clients` wrote this page
on {date}, from its own run: every client here, used as its manual says, through every cut below,
with {versions}.
`make test` runs the most common ones.

Each cut has thirty rows, or 6,000, some of which come while the client is away. Their text has
characters of four bytes, and some that others take for the end of a line. A row counts when it
arrived as it was written."""

CLIENTS_HEAD = """\
| client | runs in | version | comes back by itself | rows | lost | twice | after 204 |
|---|---|---|---|---|---|---|---|"""

CUTS_INTRODUCTION = """\
## The cuts

Each client has a proxy of its own, which cuts the connection at an exact byte."""

CUTS_HEAD = """\
| cut | what happens |
|---|---|"""

NOTES_INTRODUCTION = "## What to know"

CODE_INTRODUCTION = """\
## The code

For clients that need some lines from you: what was run here. `row` and `reset`, or `show`, are
what you do with an event."""
