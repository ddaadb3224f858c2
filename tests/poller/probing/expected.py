"""What is to be found in each scene of `make probes`: the findings that need attention."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from poller.probing.finding import Finding

RECORDED = Path(__file__).parent / "recorded"
# Each look is as a page of another site, which none of these servers but nchan allows.
WELL = {"origin"}
NOTHING_COMES = {"buffering"}
WITHOUT_IDS = {"origin", "ids"}  # sse-starlette's example
EXPECTED: Mapping[str, set[str]] = {
    "rowcast": WELL,
    "rowcast-quiet": WELL,
    "rowcast-full": WELL | {"end"},
    "rowcast-without-its-table": WELL | {"table"},
    "nginx": WELL,
    "caddy": WELL,
    "haproxy": WELL,
    "apache": WELL,
    "nginx-buffers": NOTHING_COMES,
    "nginx-compresses": WELL,  # and each row passes at once
    "nginx-compresses-and-buffers": NOTHING_COMES,
    "nginx-cuts": WELL | {"end"},
    "nginx-drops-the-id": WELL | {"resume"},
    "nginx-of-http-1": WELL | {"streams"},
    "caddy-compresses": WELL | {"compression"},  # and holds each row back
    "haproxy-cuts": WELL | {"end"},
    "haproxy-compresses": WELL,  # it heeds no-transform
    "apache-compresses": WELL,
    "apache-cuts": WELL | {"end"},
    "nginx-buffers-large-rows": WELL | {"buffering", "first byte"},
    "nchan": {"framing", "caches"},
    "sse-starlette": WITHOUT_IDS,
    "nginx-sse-starlette": WITHOUT_IDS,
    "nginx-buffers-sse-starlette": NOTHING_COMES,
    "caddy-compresses-sse-starlette": {"origin", "compression"},
    "haproxy-compresses-sse-starlette": WITHOUT_IDS,
}


def attention_in(findings: Iterable[Finding]) -> set[str]:
    return {finding.name for finding in findings if finding.state == "attention"}


def differs(name: str, findings: Iterable[Finding]) -> str:
    """How, empty if it does not."""
    found, expected = attention_in(findings), EXPECTED[name]
    said = [f"missed {one}" for one in sorted(expected - found)]
    return ", ".join(said + [f"{one} is too much" for one in sorted(found - expected)])
