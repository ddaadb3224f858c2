"""A page whose streams a test plays by hand: no server, and nothing that has to be waited for.

`fetch()` is replaced in the page, so that a test says when which bytes come and how they end. A
stream of the real server is in test_live.py and its like.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext, Page, Route

from poller.web.script import TEXTS

ORIGIN = "http://localhost"  # where locks are allowed; no byte of it leaves the browser
FETCH = """
window.streams = [];
window.statuses = [];
window.fetch = async (url, { headers, signal, credentials }) => {
    const id = headers.get("Last-Event-ID");
    const stream = { url: String(url), id, credentials, over: false };
    streams.push(stream);
    const status = statuses.shift() ?? 200;
    if (status !== 200) return new Response("", { status });
    const body = new ReadableStream({ start: (controller) => (stream.controller = controller) });
    signal.addEventListener("abort", () => {
        if (!stream.over) stream.controller.error(signal.reason);
        stream.over = true;
    });
    const type = { "Content-Type": "text/event-stream", "Date": new Date().toUTCString() };
    return new Response(body, { headers: type });
};
window.push = (text) => streams.at(-1).controller.enqueue(new TextEncoder().encode(text));
window.end = () => { streams.at(-1).over = true; streams.at(-1).controller.close(); };
"""


def frame(event: str, data: object, id: str = "") -> str:  # noqa: A002
    name = "" if event == "message" else f"event: {event}\n"
    return f"{name}data: {json.dumps(data)}\n" + (f"id: {id}\n\n" if id else "\n")


def start(id: str = "", **more: Any) -> str:  # noqa: A002
    return frame("start", {"feed": "orders", "resumed": False, "key": ["id"], **more}, id)


def row(number: int, id: str = "", **columns: Any) -> str:  # noqa: A002
    return frame("message", {"id": number, **columns}, id)


def delete(number: int, id: str = "") -> str:  # noqa: A002
    return frame("delete", {"id": number}, id)


def live(id: str = "") -> str:  # noqa: A002
    return frame("live", {}, id)


class Stage:
    """Pages of one context that all have the same document."""

    def __init__(self, context: BrowserContext, html: str = "<!doctype html>") -> None:
        self._context = context
        self.html = html
        context.add_init_script(FETCH)
        context.route(f"{ORIGIN}/**", self._answer)

    def open(self) -> Actor:
        page = self._context.new_page()
        page.goto(f"{ORIGIN}/")
        return Actor(page)

    def _answer(self, route: Route) -> None:
        kind = route.request.url.rpartition(".")[2]
        if kind in TEXTS:
            route.fulfill(content_type="text/javascript", body=TEXTS[kind])
        else:
            route.fulfill(content_type="text/html; charset=utf-8", body=self.html)


class Actor:
    """One of them, and what its newest stream brings."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def wait_asked(self, how_many: int = 1) -> dict[str, Any]:
        """The newest of that many requests for a stream."""
        self.page.wait_for_function("many => streams.length >= many", arg=how_many)
        asked: dict[str, Any] = self.page.evaluate(
            "() => (({ url, id, credentials }) => ({ url, id, credentials }))(streams.at(-1))"
        )
        return asked

    @property
    def asked(self) -> int:
        return int(self.page.evaluate("streams.length"))

    def push(self, *frames: str) -> None:
        """In one piece, once somebody reads."""
        self.page.wait_for_function("streams.at(-1)?.controller && !streams.at(-1).over")
        self.page.evaluate("text => push(text)", "".join(frames))

    def end(self) -> None:
        """In good order, as a server does it."""
        self.page.evaluate("end()")

    def answer_next(self, status: int) -> None:
        self.page.evaluate("status => statuses.push(status)", status)


Open = Callable[..., Actor]
