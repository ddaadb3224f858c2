"""The clients of the matrix: what each is, where its version is pinned, what it needs or cannot.

`cannot` and `keeps_asking` are what was seen; a run in which something else is seen fails. `make
clients` writes docs/clients.md from this list and its own run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Runtime = Literal["Chromium", "Firefox", "Node", "Python", "Java", "PHP"]
ID_AT_ITS_LINE = {
    "before the blank line": "It takes an id at the id's line, before it hands out the event. A "
    "connection that breaks between that line and the blank line behind it, one byte of each "
    "frame, costs the row."
}


@dataclass(frozen=True, eq=False)
class Client:
    """One client. `name` is what its runtime's program calls it.

    `package` is the key of its version, in package.json or a requirements file; empty for what
    comes with the runtime. `by_itself`: it reconnects without a loop of its user's. `note` is for
    its users, and `shown` puts the code that was run on the page.
    """

    name: str
    runtime: Runtime
    package: str = ""
    by_itself: bool = True
    keeps_asking: bool = False  # after 204
    cannot: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    shown: bool = False
    core: bool = False  # part of `make test`

    @property
    def title(self) -> str:
        return f"{self.name}, {self.runtime}"


OURS = "It is Rowcast's own: [In the page](page.md) has what it does."

CLIENTS = (
    Client("rowcast.js", "Chromium", core=True, note=OURS),
    Client("rowcast.js", "Firefox", core=True, note=OURS),
    Client("EventSource", "Chromium", core=True),
    Client("EventSource", "Firefox", core=True),
    Client(
        "@microsoft/fetch-event-source",
        "Chromium",
        "@microsoft/fetch-event-source",
        keeps_asking=True,
        cannot=ID_AT_ITS_LINE,
        note="Without an `onclose` that throws, it stops at the end of an answer. The `onopen` of "
        "its manual compares the content type with `===` and refuses every stream that names its "
        "charset: use `startsWith`, or leave `onopen` out.",
    ),
    Client(
        "@microsoft/fetch-event-source, id kept",
        "Chromium",
        "@microsoft/fetch-event-source",
        note="With its id kept by you, it loses nothing.",
        shown=True,
    ),
    Client("event-source-polyfill", "Chromium", "event-source-polyfill"),
    Client(
        "reconnecting-eventsource",
        "Chromium",
        "reconnecting-eventsource",
        keeps_asking=True,
        note="It opens the stream again after any answer, 204 included: that is what it is for.",
    ),
    Client(
        "htmx",
        "Chromium",
        "htmx-ext-sse",
        keeps_asking=True,
        note="A stream brings JSON, not HTML: take it in `htmx:sseBeforeMessage`, and never swap "
        "it into the page. After an answer other than 200 it begins a new `EventSource`, which "
        "knows no id: what came meanwhile is lost. Behind a proxy, keep errors from it with "
        "`@away` ([deployment](deployment.md)).",
        shown=True,
    ),
    Client("eventsource 1", "Node", "eventsource1", cannot=ID_AT_ITS_LINE),
    Client("eventsource 2", "Node", "eventsource2", cannot=ID_AT_ITS_LINE),
    Client(
        "eventsource 2, id kept",
        "Node",
        "eventsource2",
        note="With its id kept by you, it loses nothing. Or use version 3 or newer.",
        shown=True,
    ),
    Client("eventsource 3", "Node", "eventsource3"),
    Client("eventsource 5", "Node", "eventsource", core=True),
    Client("eventsource-parser", "Node", "eventsource-parser", by_itself=False, shown=True),
    Client("launchdarkly-eventsource", "Node", "launchdarkly-eventsource"),
    Client(
        "requests",
        "Python",
        "requests",
        by_itself=False,
        note="Take `iter_lines()` as bytes: decoded, it splits lines at characters that end none.",
        shown=True,
    ),
    Client("requests-sse", "Python", "requests-sse", core=True),
    Client(
        "sseclient",
        "Python",
        "sseclient",
        keeps_asking=True,
        cannot={
            "chunks cut anew": "It reads the lines between chunks as lines of the stream, which "
            "breaks a row where a proxy puts a chunk's end into it. Use `sseclient-py`."
        },
        note="It comes back after a cut, but raises an error where nobody listens: begin again "
        "with `last_id`. It hands out empty events; skip them. Its module has the name of "
        "`sseclient-py`'s, so one environment cannot hold both.",
        shown=True,
    ),
    Client("sseclient-py", "Python", "sseclient-py", by_itself=False, shown=True, core=True),
    Client("httpx-sse", "Python", "httpx-sse", by_itself=False, shown=True, core=True),
    Client("aiohttp", "Python", "aiohttp", by_itself=False, shown=True),
    Client(
        "launchdarkly-eventsource",
        "Python",
        "launchdarkly-eventsource",
        keeps_asking=True,
        note="It reconnects only with `ErrorStrategy.always_continue()`, and at its own pace: it "
        "does not read `retry`.",
        shown=True,
    ),
    Client(
        "HttpClient",
        "Java",
        by_itself=False,
        note="The loop is in `tests/clients/programs/JavaClient.java`.",
    ),
    Client(
        "fopen",
        "PHP",
        by_itself=False,
        note="Set `protocol_version` to 1.0: of a chunked answer PHP's wrapper collects 8 KB "
        "before it gives out a line. The loop is in `tests/clients/programs/client.php`.",
    ),
)
