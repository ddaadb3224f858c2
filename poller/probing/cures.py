"""The line for each proxy, and which proxy it is, as far as an answer's head tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from poller.probing.observed import Answer

Problem = Literal["buffering", "compression", "time-out", "http2", "cors", "cache"]
NGINX, CADDY, HAPROXY, APACHE, ALB, CLOUDFLARE = PROXIES = (
    "nginx",
    "Caddy",
    "HAProxy",
    "Apache",
    "ALB",
    "Cloudflare",
)
CURES: Mapping[Problem, Mapping[str, str]] = {
    "buffering": {
        NGINX: "proxy_buffering off; and no proxy_ignore_headers X-Accel-Buffering;",
        CADDY: "@page not path /stream /stream/* and encode @page gzip: no encode for the stream",
        HAPROXY: "no compression algo in the stream's backend; it holds nothing back otherwise",
        APACHE: "ProxyPass /stream http://127.0.0.1:8000/stream flushpackets=on",
        ALB: "it holds nothing back: look at what is behind it",
        CLOUDFLARE: "send Cache-Control: no-store, no-transform; Cache Rules: bypass the cache",
    },
    "compression": {
        NGINX: "gzip off; in the stream's location",
        CADDY: "@page not path /stream /stream/* and encode @page gzip",
        HAPROXY: "no compression algo in the stream's backend",
        APACHE: "SetEnvIf Request_URI ^/stream no-gzip=1",
        ALB: "it does not compress: look at what is behind it",
        CLOUDFLARE: "send Cache-Control: no-store, no-transform",
    },
    "time-out": {
        NGINX: "proxy_read_timeout 1h;",
        CADDY: "remove read_timeout and stream_timeout from the stream's reverse_proxy",
        HAPROXY: "timeout client 1m and timeout server 1m",
        APACHE: "ProxyTimeout 60, or timeout=60 behind the ProxyPass",
        ALB: "idle_timeout.timeout_seconds=120 (it is 60)",
        CLOUDFLARE: "its 100 s are fixed: the heartbeat must come more often",
    },
    "http2": {
        NGINX: "listen 443 ssl http2; (from 1.25.1 on: http2 on;)",
        CADDY: "nothing: it speaks HTTP/2 over https, unless protocols h1 says otherwise",
        HAPROXY: "bind :443 ssl crt FILE alpn h2,http/1.1",
        APACHE: "Protocols h2 http/1.1, with mod_http2",
        ALB: "routing.http2.enabled=true, and an HTTPS listener",
        CLOUDFLARE: "switch HTTP/2 on, under Speed",
    },
    "cors": {
        NGINX: 'add_header Access-Control-Allow-Origin "ORIGIN" always; add_header Vary Origin;',
        CADDY: "header Access-Control-Allow-Origin ORIGIN and header +Vary Origin",
        HAPROXY: "http-response set-header Access-Control-Allow-Origin ORIGIN",
        APACHE: 'Header always set Access-Control-Allow-Origin "ORIGIN"',
        ALB: "routing.http.response.access_control_allow_origin.header_value=ORIGIN",
        CLOUDFLARE: "a Transform Rule that sets Access-Control-Allow-Origin",
    },
    "cache": {
        NGINX: "proxy_cache off; in the stream's location",
        CADDY: "header /stream* Cache-Control no-store",
        HAPROXY: "no http-request cache-use for the stream",
        APACHE: "CacheDisable /stream",
        ALB: "it has no cache: look at what is behind it",
        CLOUDFLARE: "Cache Rules: bypass the cache",
    },
}
# What names a proxy: the beginning of Server, a word of Via, or a header that only it sets.
_SERVERS = {"nginx": NGINX, "openresty": NGINX, "caddy": CADDY, "apache": APACHE}
_SERVERS |= {"awselb": ALB, "cloudflare": CLOUDFLARE, "haproxy": HAPROXY}
_MARKS = {"cf-ray": CLOUDFLARE, "x-amzn-trace-id": ALB}


def proxies_in(answers: Iterable[Answer | None]) -> list[str]:
    """Those that are named in the heads of answers, each once. HAProxy does not tell."""
    found: dict[str, None] = {}
    for answer in answers:
        for name, value in answer.headers if answer else ():
            found.update(dict.fromkeys(_named(name.lower(), value.lower())))
    return [*found]


def _named(name: str, value: str) -> Iterable[str]:
    if name in _MARKS:
        yield _MARKS[name]
    if name == "server":
        yield from (proxy for start, proxy in _SERVERS.items() if value.startswith(start))
    if name == "via":
        yield from (proxy for word, proxy in _SERVERS.items() if word in value)


def cures_of(problem: Problem | None, proxies: Iterable[str]) -> dict[str, str]:
    """The lines for these proxies, or for all if none is known."""
    if problem is None:
        return {}
    lines = CURES[problem]
    return {name: lines[name] for name in proxies} or dict(lines)
