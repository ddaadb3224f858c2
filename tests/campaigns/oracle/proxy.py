"""A network path that can fail: forwards TCP. `… oracle.proxy PORT TO_PORT`.

Nothing more is needed: stopped by SIGSTOP it is a path that is frozen, and killed one that is cut.
"""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

from tests.harness.ports import free_port
from tests.harness.process import Child, wait_until

HOST = "127.0.0.1"
READ_BYTES = 65_536


class NetworkPath:
    """The path as a child process; `port` stays the same when it is cut."""

    def __init__(self, folder: Path, to_port: int) -> None:
        self.port = free_port()
        self._log_path = folder / "proxy.log"
        self._command = [sys.executable, "-m", "tests.campaigns.oracle.proxy", self.port, to_port]
        self._child = self._start()

    def freeze(self) -> None:
        """Nothing passes any more, and nobody is told."""
        self._child.freeze()

    def thaw(self) -> None:
        self._child.thaw()

    def cut(self) -> None:
        """Every connection breaks; new ones are possible again."""
        self._child.end()
        self._child = self._start()

    def end(self) -> None:
        self._child.end()

    def _start(self) -> Child:
        lines = self._lines()
        child = Child(self._command, self._log_path, cwd=Path(__file__).parents[3])
        wait_until(lambda: self._lines() > lines, 30, "the proxy listens")
        return child

    def _lines(self) -> int:
        """It says a line once it listens."""
        return len(self._log_path.read_bytes().splitlines()) if self._log_path.exists() else 0


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(READ_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()


async def serve(port: int, to_port: int) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(HOST, to_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_forward(reader, far_writer), _forward(far_reader, writer))

    server = await asyncio.start_server(connected, HOST, port)
    print("listening", flush=True)  # noqa: T201
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
