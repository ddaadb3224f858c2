"""A headless browser that shows the clients it is asked for, each in a frame of one page.

The page asks a small server here which frames are wanted, and each frame posts what its client
read. So one way serves every browser, and none of them is driven.
"""

import json
import re
import shutil
import tempfile
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from tests.clients.proxy import PAGES
from tests.harness import chromium
from tests.harness.process import Child, PartMissing, run

HUB = Path(__file__).parent / "programs" / "hub.html"
IDLE_CONNECTION_S = 2.0  # browsers open some in advance
# No page but ours: no first-run pages, no telemetry, no look at the network.
FIREFOX_PREFERENCES: dict[str, object] = {
    "app.normandy.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.healthreport.uploadEnabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}


@dataclass(frozen=True)
class Kind:
    """A browser: its programs' names, and how one of them is started on a fresh profile."""

    name: str
    programs: Sequence[str]
    arguments: Sequence[str]
    profile_option: str

    @property
    def program(self) -> str | None:
        """Its path; None where it is not on this machine."""
        return next(filter(None, map(shutil.which, self.programs)), None)


CHROMIUM = Kind(
    "Chromium", chromium.NAMES, ["--headless=new", *chromium.ARGUMENTS], "--user-data-dir={}"
)
FIREFOX = Kind("Firefox", ("firefox-esr", "firefox"), ["--headless", "--profile"], "{}")
KINDS = (CHROMIUM, FIREFOX)


class Browser:
    """`with Browser(CHROMIUM) as browser`; PartMissing where it is not on this machine."""

    def __init__(self, kind: Kind) -> None:
        path = kind.program
        if path is None:
            raise PartMissing(f"no {kind.programs[0]} found (make test installs it as root)")
        self._path = path
        self._kind = kind
        self._wanted: dict[str, str] = {}  # a reader's name → its frame
        self._seen: dict[str, list[str]] = defaultdict(list)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="rowcast-browser-"))
        profile = self._folder / "profile"
        profile.mkdir()
        lines = [
            f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
            for name, value in FIREFOX_PREFERENCES.items()
        ]
        (profile / "user.js").write_text("".join(lines))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        option = self._kind.profile_option.format(profile)
        command = [self._path, *self._kind.arguments, option, f"{self._url}/hub"]
        env = {"HOME": str(self._folder), "MOZ_HEADLESS": "1"}
        self._child = Child(command, self._folder / "browser.log", env=env)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._child.end()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def version(self) -> str:
        said = run([self._path, "--version"], timeout_s=30)
        found: list[str] = re.findall(rf"{self._kind.name}\D* ([\d.]+)", said)
        return found[-1]

    def show(self, name: str, client: str, origin: str, stream: str) -> None:
        """A frame of `origin` with that client on that stream."""
        asked = f"client={quote(client)}&stream={quote(stream)}"
        self.show_page(name, f"{origin}{PAGES}programs/page.html?{asked}")

    def show_page(self, name: str, url: str) -> None:
        """A frame with that page, which posts its lines to `report`, an addition to its query."""
        report = f"{self._url}/seen/{quote(name, safe='')}"
        with self._lock:
            self._wanted[name] = f"{url}&report={quote(report)}"

    def remove(self, name: str) -> None:
        with self._lock:
            self._wanted.pop(name, None)

    def lines(self, name: str) -> list[str]:
        """What the client of that name has printed."""
        with self._lock:
            return list(self._seen[quote(name, safe="")])

    @property
    def log(self) -> str:
        return self._child.log()[-2_000:]

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        browser = self

        class Handler(BaseHTTPRequestHandler):
            timeout = IDLE_CONNECTION_S

            def do_GET(self) -> None:
                if self.path == "/hub":
                    self._reply(HUB.read_bytes(), "text/html; charset=utf-8")
                elif self.path == "/frames":
                    with browser._lock:
                        wanted = list(browser._wanted.values())
                    self._reply(json.dumps(wanted).encode(), "application/json")
                else:
                    self.send_error(404)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                with browser._lock:
                    browser._seen[self.path.removeprefix("/seen/")] += body.split("\n")
                self._reply(b"", "text/plain")

            def _reply(self, body: bytes, content_type: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
                """Nothing."""

        return Handler
