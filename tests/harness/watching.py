"""A running `rowcast watch`, and pages of a browser that looks at it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.harness.http import Reply, request
from tests.poller.commands.programs import Program, running

ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)/\?token=(\S+)")
EXPECT_MS = 30_000
# Chromium's own line for an answer that was refused, or for a server that is not there.
OF_THE_NETWORK = "Failed to load resource"

expect.set_options(timeout=EXPECT_MS)


class Watching:
    """`url` is without the token."""

    def __init__(self, program: Program) -> None:
        self.program = program
        while (found := ADDRESS.search(line := program.line())) is None:
            assert line, f"it ended:\n{program.stderr}"
        self.url, self.token = found[1], found[2]
        self.cookie = ""

    @property
    def address(self) -> str:
        return f"{self.url}/?token={self.token}"

    def enter(self) -> Watching:
        """Use the token, for requests."""
        jar = SimpleCookie(request(self.address).headers["set-cookie"])
        self.cookie = "; ".join(f"{name}={one.value}" for name, one in jar.items())
        return self

    def get(self, path: str, method: str = "GET", **headers: str) -> Reply:
        return request(self.url + path, method, headers={"Cookie": self.cookie, **headers})


@contextmanager
def watching(*arguments: str, **env: str) -> Iterator[Watching]:
    """`rowcast watch`, ended with the block."""
    with running("watch", *arguments, **env) as program:
        yield Watching(program)


class Viewer:
    """A browser's window. `problems` has what the page complained of: errors, and what its
    Content-Security-Policy refused."""

    def __init__(self, browser: Browser, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(EXPECT_MS)
        self.problems: list[str] = []
        self.page = self.new_page()

    def new_page(self) -> Page:
        page = self.context.new_page()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: self.problems.append(dialog.message))
        return page

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(OF_THE_NETWORK):
            self.problems.append(message.text)


@contextmanager
def viewing(browser: Browser, address: str, **options: Any) -> Iterator[Page]:
    """A page at `address`, in a context of its own. Fails if it complains."""
    viewer = Viewer(browser, **options)
    try:
        viewer.page.goto(address)
        yield viewer.page
        assert viewer.problems == []
    finally:
        viewer.context.close()
