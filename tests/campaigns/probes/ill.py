"""The proxies of deploy/ with one line that spoils a stream, as people write it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.harness.proxies import Apache, Caddy, HAProxy, Nginx, Proxy

# In a file of deploy/: what is replaced, and by what.
Edits = Mapping[str, str]
NGINX_READS = "proxy_read_timeout 1h;"
NGINX_BUFFERS = {
    NGINX_READS: f"{NGINX_READS} proxy_ignore_headers X-Accel-Buffering; proxy_buffering on;"
}
NGINX_COMPRESSES = {"gzip off;": "gzip on; gzip_types text/event-stream; gzip_min_length 0;"}
NGINX_COMPRESSES_AND_BUFFERS = {**NGINX_BUFFERS, **NGINX_COMPRESSES}
NGINX_CUTS = {NGINX_READS: "proxy_read_timeout 1s;"}
NGINX_DROPS_THE_ID = {"location /stream {": 'location /stream { proxy_set_header Last-Event-ID "";'}
NGINX_OF_HTTP_1 = {"ssl http2;": "ssl;"}
ALL_TEXT = ["gzip", "minimum_length 1", "match header Content-Type text/*"]
CADDY_COMPRESSES = {"encode @page gzip": "\n\t\t".join(["encode {", *ALL_TEXT]) + "\n\t}"}
HAPROXY_CUTS = {"timeout server 1m": "timeout server 1s"}
HAPROXY_COMPRESSES = {"compression type text/html": "compression type text/event-stream text/html"}
APACHE_COMPRESSES = {"DEFLATE text/html": "DEFLATE text/event-stream text/html"}
APACHE_CUTS = {"timeout=60": "timeout=1"}


def spoiled(kind: type[Proxy], edits: Edits) -> type[Proxy]:
    """The same proxy with these words of its file replaced."""

    class Spoiled(kind):  # type: ignore[valid-type,misc]
        def deployed(self, name: str, replaced: dict[str, str], text: str = "") -> Path:
            path: Path = super().deployed(name, replaced, text)
            spoiled_text = path.read_text(encoding="utf-8")
            for old, new in edits.items():
                assert old in spoiled_text, f"{name} has no {old}"
                spoiled_text = spoiled_text.replace(old, new)
            path.write_text(spoiled_text, encoding="utf-8")
            return path

    return Spoiled


KINDS: Mapping[str, type[Proxy]] = {
    "nginx": Nginx,
    "caddy": Caddy,
    "haproxy": HAProxy,
    "apache": Apache,
}
ILL: Mapping[str, tuple[str, Edits]] = {
    "nginx-buffers": ("nginx", NGINX_BUFFERS),
    "nginx-compresses": ("nginx", NGINX_COMPRESSES),
    "nginx-compresses-and-buffers": ("nginx", NGINX_COMPRESSES_AND_BUFFERS),
    "nginx-cuts": ("nginx", NGINX_CUTS),
    "nginx-drops-the-id": ("nginx", NGINX_DROPS_THE_ID),
    "nginx-of-http-1": ("nginx", NGINX_OF_HTTP_1),
    "caddy-compresses": ("caddy", CADDY_COMPRESSES),
    "haproxy-cuts": ("haproxy", HAPROXY_CUTS),
    "haproxy-compresses": ("haproxy", HAPROXY_COMPRESSES),
    "apache-compresses": ("apache", APACHE_COMPRESSES),
    "apache-cuts": ("apache", APACHE_CUTS),
}
