"""A look at a stream: a glance, a long look as a browser would hold the stream, and short ones
beside and after it.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import msgspec

from poller.probing import http2
from poller.probing.address import Address
from poller.probing.browser import ASKED_BY_NOBODY
from poller.probing.exchange import Enough, Exchange, Request, context_of
from poller.probing.finding import EVENT_STREAM, GOOD, media_type, read, started
from poller.probing.frames import Body, body_of
from poller.probing.observed import Answer, Arrival, Observed, Resumed
from poller.probing.resuming import HEADER, known, place

SHORT_S = 5.0  # for what comes at once if it comes at all
SHORT_BYTES = 1 << 20  # a server that begins anew may have much to send
MOST_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
# As a browser's EventSource asks. The long look is at what can be unpacked here.
EVENT_SOURCE = {"Accept": EVENT_STREAM, "Cache-Control": "no-store"}
GLANCE = {**EVENT_SOURCE, "Accept-Encoding": "gzip, deflate, br, zstd"}
LONG = {**EVENT_SOURCE, "Accept-Encoding": "gzip, deflate"}
SHORT = {**EVENT_SOURCE, "Accept-Encoding": "identity"}
# By which a server may let a first request begin behind an id: Rowcast's two, and Mercure's.
PARAMETERS = ("lastEventId", "last_event_id", "lastEventID")


@dataclass(frozen=True, slots=True)
class Asked:
    """What to look at, and how: `headers` go along with each request, `origin` is a page's."""

    address: Address
    seconds: float
    headers: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""
    insecure: bool = False
    short_s: float = SHORT_S


def look(asked: Asked) -> Observed:
    """It takes the seconds that were asked for, and some more. Raises ValueError where a redirect
    leads nowhere."""
    glance, asked, redirects = _follow(asked)
    address = asked.address
    observed = Observed(
        url=address.shown,
        tls=address.scheme == "https",
        here=address.is_here,
        redirects=redirects,
        first=glance,
        encoding=glance.header("Content-Encoding"),
        origin=asked.origin,
        same_origin=asked.origin == address.origin,
        asked_headers=[*asked.headers],
    )
    return observed if glance.problem else _Looker(asked).complete(observed)


def _follow(asked: Asked) -> tuple[Answer, Asked, list[str]]:
    """The answer where redirects lead to. Headers for one host are not for another."""
    redirects: list[str] = []
    while True:
        answer = _Looker(asked).ask(GLANCE, bool)
        location = answer.header("Location")
        if answer.status not in REDIRECTS or not location or len(redirects) == MOST_REDIRECTS:
            return answer, asked, redirects
        there = asked.address.joined(location)
        kept = asked.headers if there.origin == asked.address.origin else {}
        asked = replace(asked, address=there, headers=kept)
        redirects.append(there.shown)


class _Looker:
    """Looks at one address."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._context: ssl.SSLContext | None = None
        if asked.address.scheme == "https":
            self._context = context_of(insecure=asked.insecure)

    def complete(self, observed: Observed) -> Observed:
        """The same, with all that was seen beside the glance and after it."""
        glance = observed.first
        kind = media_type(glance.header("Content-Type"))
        is_stream = glance.end == "silent" or (glance.status == GOOD and kind == EVENT_STREAM)
        with ThreadPoolExecutor() as pool:
            spoken = pool.submit(self._http2)
            cors, preflight = pool.submit(self._cors), pool.submit(self._preflight)
            first = self._long() if is_stream else glance
            resumed = self._resume(pool, read(first)) if is_stream else []
            spoken_http2, streams = spoken.result()
            return msgspec.structs.replace(
                observed,
                first=first,
                server=self._server() if first.end == "silent" else None,
                resumed=resumed,
                http2=spoken_http2,
                streams=streams,
                cors=cors.result(),
                preflight=preflight.result(),
            )

    def ask(
        self,
        headers: Mapping[str, str],
        enough: Enough,
        *,
        method: str = "GET",
        address: Address | None = None,
    ) -> Answer:
        """A short look."""
        asked = self._asked
        return self._run(
            Request(address or asked.address, asked.short_s, self._with(headers), method, enough)
        )

    def _long(self) -> Answer:
        asked = self._asked
        return self._run(Request(asked.address, asked.seconds, self._with(LONG)))

    def _server(self) -> Answer:
        return self.ask(SHORT, bool, method="HEAD")

    def _http2(self) -> tuple[bool, int | None]:
        if self._context is None:
            return False, None
        both = context_of(insecure=self._asked.insecure, protocols=("h2", "http/1.1"))
        try:
            return http2.agreed(self._asked.address, both)
        except OSError:
            return False, None

    def _cors(self) -> Answer | None:
        if not self._asked.origin:
            return None
        return self.ask({**SHORT, "Origin": self._asked.origin}, bool)

    def _preflight(self) -> Answer | None:
        """A browser sends none of the headers that it asks for, and no cookie."""
        asked = self._asked
        if not asked.origin:
            return None
        names = {name.lower() for name in asked.headers} - ASKED_BY_NOBODY
        headers = {
            "Origin": asked.origin,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": ",".join(sorted(names | {"last-event-id"})),
        }
        return self._run(Request(asked.address, asked.short_s, headers, "OPTIONS"))

    def _resume(self, pool: ThreadPoolExecutor, first: Body) -> list[Resumed]:
        """By the header, and by each parameter, all at once: a server may heed none of them."""
        after = place(first)
        if not after:
            return []
        names = PARAMETERS[:1] if started(first) is not None else PARAMETERS
        addresses = {name: self._asked.address.with_query(name, after) for name in names}

        def enough(arrivals: Sequence[Arrival]) -> bool:
            size = sum(len(arrival.data) for arrival in arrivals)
            return size > SHORT_BYTES or known(first, after, body_of(arrivals))

        answers = {HEADER: pool.submit(self.ask, {**SHORT, HEADER: after}, enough)}
        for name, address in addresses.items():
            answers[name] = pool.submit(self.ask, SHORT, enough, address=address)
        return [Resumed(by, after, answer.result()) for by, answer in answers.items()]

    def _with(self, headers: Mapping[str, str]) -> dict[str, str]:
        login = self._asked.address.authorization
        return {**headers, **({"Authorization": login} if login else {}), **self._asked.headers}

    def _run(self, request: Request) -> Answer:
        return Exchange(request, self._context).run()
