"""What a browser makes of it: is it a stream for one, how many may be open, may caches keep it, and
may pages of another origin read it?"""

from __future__ import annotations

from poller.probing.finding import EVENT_STREAM, GOOD, Finding, Seen, counted, media_type, seconds
from poller.probing.observed import Answer

BY_HTTP_1 = 6  # connections that a browser opens to one host, for all its tabs
ENDS_FOR_GOOD = "a browser's EventSource gives up for good"
CURES_OF_STATUS = {
    204: "it is the answer for a stream that has ended for good; watch the table again",
    401: "say who you are: -H 'Authorization: Bearer …', or -H 'Cookie: …'",
    403: "the application refuses: say who you are with -H, or ask for a signed address",
    404: "look at the address: is the feed's name in it?",
    429: "you asked too often: wait",
    500: "look into the server's log",
    502: "the server behind the proxy is away: let the proxy answer 200 with a line retry: 2000",
    503: "the server behind the proxy is away: let the proxy answer 200 with a line retry: 2000",
    504: "the server behind the proxy does not answer: look at both",
}
# Headers that a page may send to another origin without asking. Cookies are not a page's to send.
ASKED_BY_NOBODY = {"accept", "accept-language", "content-language", "cookie"}


def answer(seen: Seen) -> Finding:
    """Is it a stream for a browser at all?"""
    first = seen.observed.first
    content_type = first.header("Content-Type")
    kind = media_type(content_type)
    send = f"send Content-Type: {EVENT_STREAM}"
    if first.status != GOOD:
        cure = CURES_OF_STATUS.get(first.status, "answer a stream with 200")
        return _bad(f"The answer has status {first.status}: {ENDS_FOR_GOOD}.", cure)
    if kind != EVENT_STREAM:
        named = f"Content-Type {kind}" if kind else "no Content-Type"
        return _bad(f"The answer has {named}: {ENDS_FOR_GOOD}.", send)
    charset = content_type.lower().partition("charset=")[2].strip('"; ')
    if charset not in ("", "utf-8", "utf8"):
        return _bad(f"The answer says charset={charset}; browsers read a stream as UTF-8.", send)
    whose = "a stream of Rowcast" if seen.is_ours else "an event stream"
    hops = len(seen.observed.redirects)
    led = f", after {counted(hops, 'redirect')}" if hops else ""
    return Finding("answer", "ok", f"It is {whose}{led}.", f"status 200, {EVENT_STREAM}")


def nothing(seen: Seen) -> Finding:
    """Instead of all others, where no head came. A proxy that buffers keeps the head, too."""
    looked = seconds(seen.observed.first.end_s)
    server = seen.observed.server
    sentence = f"Nothing came within {looked}, not even the head of an answer"
    if server is not None and server.status:
        sentence += ", though HEAD is answered: a buffer on the way waits to be full."
        named = server.header("Server")
        evidence = f"HEAD: status {server.status}" + (f", Server: {named}" if named else "")
        cure = "tell the proxy not to buffer the stream"
        return Finding("buffering", "attention", sentence, evidence, cure, "buffering")
    cure = "ask the server itself, past the proxy; is it up, and not full?"
    return Finding("answer", "attention", f"{sentence}.", next=cure)


def versions(seen: Seen) -> Finding:
    """How many streams a browser may hold there."""
    observed = seen.observed
    if observed.http2:
        most = "as many as you like" if observed.streams is None else f"{observed.streams}"
        sentence = f"HTTP/2 is spoken: a browser may hold {most} streams in one connection."
        if observed.streams is not None and observed.streams <= BY_HTTP_1:
            return Finding("streams", "attention", sentence, next="raise the proxy's limit")
        return Finding("streams", "ok", sentence)
    sentence = f"A browser may hold {BY_HTTP_1} streams to this host, in all its tabs together."
    spoken = f"HTTP/{observed.first.http}"
    if observed.here and not observed.tls:
        evidence = f"{spoken} without TLS, on this machine"
        return Finding("streams", "ok", sentence, evidence, "serve users HTTP/2, by a proxy")
    evidence = spoken if observed.tls else f"{spoken} without TLS, and browsers need it for HTTP/2"
    cure = "serve HTTP/2 over https, or share one stream among all tabs, as rowcast.js does"
    return Finding("streams", "attention", sentence, evidence, cure, "http2")


def chunks(seen: Seen) -> Finding | None:
    """Can a client tell an end from a cut?"""
    first = seen.observed.first
    chunked = first.header("Transfer-Encoding").lower() == "chunked"
    if first.header("Content-Length"):
        sentence = (
            f"The answer has a Content-Length of {first.header('Content-Length')}: it will end."
        )
        return Finding("framing", "attention", sentence, next="send a stream without a length")
    if chunked:
        return None
    sentence = "The body comes without chunks: its end cannot be told from a cut."
    cure = "speak HTTP/1.1 on the way; some clients also wait for a full buffer"
    return Finding("framing", "attention", sentence, f"HTTP/{first.http}", cure)


def caching(seen: Seen) -> Finding:
    """May a cache keep a stream, or did one?"""
    first = seen.observed.first
    said = first.header("Cache-Control").lower()
    kept = first.header("Age") not in ("", "0") or "hit" in first.header("X-Cache").lower()
    if kept:
        evidence = f"Age {first.header('Age') or 'missing'}, X-Cache {first.header('X-Cache')}"
        sentence = "The answer came out of a cache: it is somebody else's stream."
        return Finding("caches", "attention", sentence, evidence, "let no cache keep it", "cache")
    if any(word in said for word in ("no-store", "no-cache")):
        return Finding("caches", "ok", "Caches are told to keep nothing.", f"Cache-Control: {said}")
    sentence = "Caches are not told to leave it alone."
    evidence = f"Cache-Control: {said}" if said else "no Cache-Control"
    return Finding(
        "caches", "attention", sentence, evidence, "send Cache-Control: no-store", "cache"
    )


# -- other origins --------------------------------------------------------------------------------


def origins(seen: Seen) -> Finding | None:
    """May pages of the given origin read it?"""
    observed = seen.observed
    if not observed.origin:
        return None
    if observed.same_origin:
        sentence = f"Pages of {observed.origin} are of the same origin: they may read it."
        return Finding("origin", "ok", sentence)
    problem = _unreadable(seen, observed.cors)
    if not problem:
        problem, needed = _preflight(seen)
        if problem and needed:
            return _foreign(seen, problem)
        sentence = f"Pages of {observed.origin} may read it."
        return Finding(
            "origin", "ok", sentence, next=f"only EventSource: {problem}" if problem else ""
        )
    return _foreign(seen, problem)


def _unreadable(seen: Seen, given: Answer | None) -> str:
    """Why a browser keeps the answer from the page; empty if it does not."""
    if given is None or given.problem or not given.status:
        return "no answer came to a request with this origin"
    allowed = given.all("Access-Control-Allow-Origin")
    if given.status != GOOD:
        return f"the status is {given.status} for this origin"
    if not allowed:
        return "there is no Access-Control-Allow-Origin"
    if len(allowed) > 1:
        return "Access-Control-Allow-Origin stands there twice: server and proxy both send it"
    if allowed[0] not in ("*", seen.observed.origin):
        return f"Access-Control-Allow-Origin is {allowed[0]}"
    if _with_cookies(seen) and allowed[0] == "*":
        return "cookies are not for Access-Control-Allow-Origin: *"
    if _with_cookies(seen) and given.header("Access-Control-Allow-Credentials") != "true":
        return "there is no Access-Control-Allow-Credentials: true, and a cookie was given"
    return ""


def _preflight(seen: Seen) -> tuple[str, bool]:
    """Why fetch() may not send the headers, and whether it has to: EventSource needs to ask for
    nothing, its Last-Event-ID goes along by right."""
    names = {name.lower() for name in seen.observed.asked_headers} - ASKED_BY_NOBODY
    wanted = names | {"last-event-id"}
    given = seen.observed.preflight
    if given is None or not 200 <= given.status < 300:
        return "a preflight is refused, so fetch() may not send Last-Event-ID", bool(names)
    said = given.header("Access-Control-Allow-Headers").lower()
    allowed = {name.strip() for name in said.split(",")}
    if missing := sorted(wanted - allowed if "*" not in allowed else names & {"authorization"}):
        return f"fetch() may not send {', '.join(missing)}", bool(names & {*missing})
    return "", False


def _foreign(seen: Seen, problem: str) -> Finding:
    sentence = f"Pages of {seen.observed.origin} cannot read it: {problem}."
    cure = "Rowcast: init_app(origins=[…]); others: let the application send the headers"
    return Finding("origin", "attention", sentence, next=cure, problem="cors")


def _with_cookies(seen: Seen) -> bool:
    return any(name.lower() == "cookie" for name in seen.observed.asked_headers)


def _bad(sentence: str, cure: str) -> Finding:
    return Finding("answer", "attention", sentence, next=cure)
