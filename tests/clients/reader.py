"""One client at work, behind a proxy of its own: what it has read so far."""

import json
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.clients.browser import Browser
from tests.clients.proxy import CuttingProxy
from tests.clients.roster import Client
from tests.harness.process import Child, PartMissing

PROGRAMS = Path(__file__).parent / "programs"
# `sseclient` and `sseclient-py` are modules of one name, so one of them is kept apart.
SSECLIENT = Path(sys.prefix) / "sseclient"


class Reader:
    """`with Reader(client, server_port, folder, browsers) as reader`; then `reader.open(path)`."""

    def __init__(
        self, client: Client, server_port: int, folder: Path, browsers: Mapping[str, Browser]
    ) -> None:
        self.client = client
        self.proxy = CuttingProxy(server_port)
        self._browser = browsers.get(client.runtime)
        self._log = folder / f"{client.title.replace('/', ' ')}.log"
        self._child: Child | None = None
        self._read = 0  # lines taken of what it printed
        self.rows: list[str] = []
        self.resets: list[str] = []
        self.states: list[str] = []
        self.closed = False
        self.errors: list[str] = []

    def __enter__(self) -> Self:
        self.proxy.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._child is not None:
            self._child.end()
        if self._browser is not None:
            self._browser.remove(self._name)
        self.proxy.__exit__(kind, error, at)

    def open(self, path: str) -> None:
        """Start the client on that stream."""
        origin = f"http://127.0.0.1:{self.proxy.port}"
        if self._browser is not None:
            self._browser.show(self._name, self.client.name, origin, path)
            return
        command, env = _command(self.client)
        self._child = Child([*command, origin + path], self._log, env=env)

    def look(self) -> Self:
        """Take what the client has printed since."""
        lines = self._lines()
        for line in lines[self._read :]:
            with suppress(ValueError):  # `sseclient` prints its errors, too
                self._take(json.loads(line))
        self._read = len(lines)
        return self

    @property
    def died(self) -> bool:
        """Whether its program has ended without a word."""
        return self._child is not None and not self._child.alive and not self.look().closed

    def __repr__(self) -> str:
        return f"{self.client.title}: {len(self.rows)} rows, closed: {self.closed}, {self.states}"

    def log(self) -> str:
        """What it said, for a failure."""
        text = self._browser.log if self._browser else self._child.log() if self._child else ""
        return f"{self}\n{self.errors}\n{self.proxy.requests[-5:]}\n{text[-1_500:]}"

    @property
    def _name(self) -> str:
        """Of its frame: another one for each reader."""
        return f"{self.client.name} {self.proxy.port}"

    def _lines(self) -> list[str]:
        if self._browser is not None:
            return self._browser.lines(self._name)
        text = self._child.log() if self._child is not None else ""
        return text.split("\n")[:-1]

    def _take(self, value: Any) -> None:
        match value:
            case {"event": "message", "data": {"body": row}} | {"row": row}:
                self.rows.append(row)
            case {"event": "reset", "data": {"reason": reason}} | {"reset": reason}:
                self.resets.append(reason)
            case {"state": name}:
                self.states.append(name)
            case {"closed": True}:
                self.closed = True
            case {"error": error}:
                self.errors.append(error)


def _command(client: Client) -> tuple[list[object], dict[str, str]]:
    """What starts it, without the URL; PartMissing where the machine lacks its runtime."""
    match client.runtime:
        case "Python":
            path = str(SSECLIENT) if client.name == "sseclient" else ""
            env = {"PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
            return [sys.executable, PROGRAMS / "python_client.py", client.name], env
        case "Node":
            return [program("node"), PROGRAMS / "node_client.mjs", client.name], {}
        case "Java":
            return [program("java"), PROGRAMS / "JavaClient.java"], {}
        case "PHP":
            return [program("php"), PROGRAMS / "client.php"], {}
    raise PartMissing(f"{client.runtime} was not started")


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise PartMissing(f"{name} is not installed")
    return path
