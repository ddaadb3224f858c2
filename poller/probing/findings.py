"""All findings, in the order in which a reader of the stream meets their causes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from poller.probing import browser, lasting, passage, resuming, text
from poller.probing.cures import cures_of, proxies_in
from poller.probing.finding import Finding, Seen
from poller.probing.observed import Observed

WELL, ATTENTION = 0, 1
OF_A_STREAM: Sequence[Callable[[Seen], Finding | None]] = (
    passage.first_byte,
    passage.buffering,
    passage.compression,
    lasting.waiting,
    lasting.silence,
    lasting.end,
    lasting.unfinished,
    browser.versions,
    browser.chunks,
    browser.caching,
    browser.origins,
    resuming.ids,
    resuming.resume,
    resuming.retry,
    text.text,
)


def findings_of(observed: Observed) -> list[Finding]:
    """What was found. Where it is no stream, why."""
    seen = Seen(observed)
    if observed.first.end == "silent":
        return [browser.nothing(seen)]
    found = [browser.answer(seen)]
    checks = OF_A_STREAM if seen.is_stream else (browser.origins,)
    return found + [one for check in checks if (one := check(seen)) is not None]


def status_of(findings: Sequence[Finding]) -> int:
    """Of the command: 1 if anything needs attention."""
    return ATTENTION if any(one.state == "attention" for one in findings) else WELL


def proxies_of(observed: Observed) -> list[str]:
    """What names itself between here and the stream."""
    return proxies_in([observed.first, observed.server, observed.cors])


def as_data(observed: Observed, findings: Sequence[Finding], proxies: Sequence[str]) -> Any:
    """For programs. No row is in it, and no secret of the address."""
    return {
        "url": observed.url,
        "verdict": "attention" if status_of(findings) else "ok",
        "proxies": [*proxies],
        "findings": [_one(finding, proxies) for finding in findings],
    }


def _one(finding: Finding, proxies: Sequence[str]) -> dict[str, Any]:
    return {
        "name": finding.name,
        "state": finding.state,
        "sentence": finding.sentence,
        "evidence": finding.evidence,
        "next": finding.next,
        "cures": cures_of(finding.problem, proxies) if finding.state == "attention" else {},
    }
