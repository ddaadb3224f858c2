"""The clients of the matrix: what each is, where its version is pinned, what it needs or cannot.

`cannot` is what was seen, cut by cut; a run in which something else is seen fails. `make clients`
writes docs/clients.md from this list and from its own run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Runtime = Literal["Chromium", "Firefox", "Node", "Python", "Java", "PHP"]


@dataclass(frozen=True, eq=False)
class Client:
    """One client. `name` is its title here, and what its runtime's program calls it.

    `package` is the key of its version, in package.json or a requirements file; empty for what
    comes with the runtime. `by_itself`: it reconnects without a loop of its user's.
    """

    name: str
    runtime: Runtime
    package: str = ""
    by_itself: bool = True
    keeps_asking: bool = False  # after 204
    cannot: Mapping[str, str] = field(default_factory=dict)
    core: bool = False  # part of `make test`

    @property
    def title(self) -> str:
        return f"{self.name}, {self.runtime}"


CLIENTS = (
    Client("EventSource", "Chromium", core=True),
    Client("EventSource", "Firefox", core=True),
    Client("@microsoft/fetch-event-source", "Chromium", "@microsoft/fetch-event-source"),
    Client("@microsoft/fetch-event-source, id kept", "Chromium", "@microsoft/fetch-event-source"),
    Client("event-source-polyfill", "Chromium", "event-source-polyfill"),
    Client("reconnecting-eventsource", "Chromium", "reconnecting-eventsource"),
    Client("htmx", "Chromium", "htmx-ext-sse"),
    Client("eventsource 1", "Node", "eventsource1"),
    Client("eventsource 2", "Node", "eventsource2"),
    Client("eventsource 2, id kept", "Node", "eventsource2"),
    Client("eventsource 3", "Node", "eventsource3"),
    Client("eventsource 5", "Node", "eventsource", core=True),
    Client("eventsource-parser", "Node", "eventsource-parser", by_itself=False),
    Client("launchdarkly-eventsource", "Node", "launchdarkly-eventsource"),
    Client("requests", "Python", "requests", by_itself=False),
    Client("requests-sse", "Python", "requests-sse", core=True),
    Client("sseclient", "Python", "sseclient"),
    Client("sseclient-py", "Python", "sseclient-py", by_itself=False, core=True),
    Client("httpx-sse", "Python", "httpx-sse", by_itself=False, core=True),
    Client("aiohttp", "Python", "aiohttp", by_itself=False),
    Client("launchdarkly-eventsource", "Python", "launchdarkly-eventsource"),
    Client("HttpClient", "Java", by_itself=False),
    Client("fopen", "PHP", by_itself=False),
)
