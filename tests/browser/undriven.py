"""Tabs of the same browser that playwright does not know.

It tells each of its own pages that it has the focus, and a page that is looked at is never frozen.
These are driven over the browser's own DevTools session.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Browser, Page

from tests.browser.conftest import until

ANSWER_S = 60.0


class Undriven:
    """A context of its own: `new_tab(url)`, and `close()` at the end."""

    def __init__(self, browser: Browser, pump: Page) -> None:
        """`pump` is any page of playwright's: messages arrive during its calls."""
        self._devtools = browser.new_browser_cdp_session()
        self._devtools.on("Target.receivedMessageFromTarget", self._receive)
        self._pump = pump
        self._answers: dict[tuple[str, int], Any] = {}
        self._loaded: set[tuple[str, str]] = set()
        self._asked = 0
        made = self._devtools.send("Target.createBrowserContext")
        self._context = made["browserContextId"]

    def new_tab(self, url: str) -> UndrivenTab:
        """Loaded: what is asked of a page that is about to be replaced may get no answer."""
        where = {"url": "about:blank", "browserContextId": self._context}
        target = self._devtools.send("Target.createTarget", where)["targetId"]
        how = {"targetId": target, "flatten": False}
        session: str = self._devtools.send("Target.attachToTarget", how)["sessionId"]
        self.ask(session, "Page.enable")
        self.ask(session, "Page.navigate", url=url)
        self.until(lambda: (session, url) in self._loaded)
        return UndrivenTab(self, session)

    def close(self) -> None:
        self._devtools.send("Target.disposeBrowserContext", {"browserContextId": self._context})
        self._devtools.detach()

    def until(self, fact: Callable[[], bool]) -> None:
        until(self._pump, fact, "what was waited for", ANSWER_S)

    def ask(self, session: str, method: str, **parameters: object) -> Any:
        self._asked += 1
        key = session, self._asked
        message = json.dumps({"id": self._asked, "method": method, "params": parameters})
        sent = {"sessionId": session, "message": message}
        self._devtools.send("Target.sendMessageToTarget", sent)
        self.until(lambda: key in self._answers)
        return self._answers.pop(key)["result"]

    def _receive(self, event: dict[str, str]) -> None:
        session, message = event["sessionId"], json.loads(event["message"])
        if "id" in message:
            self._answers[session, message["id"]] = message
        elif message["method"] == "Page.frameNavigated":
            self._loaded.add((session, message["params"]["frame"]["url"]))


class UndrivenTab:
    def __init__(self, browser: Undriven, session: str) -> None:
        self._browser = browser
        self._session = session

    def evaluate(self, expression: str) -> Any:
        options = {"awaitPromise": True, "returnByValue": True}
        answer = self._browser.ask(
            self._session, "Runtime.evaluate", expression=expression, **options
        )
        return answer["result"].get("value")

    def lifecycle(self, state: str) -> None:
        """`frozen`, as a browser does with a tab that nobody looks at, or `active`."""
        self._browser.ask(self._session, "Page.setWebLifecycleState", state=state)
