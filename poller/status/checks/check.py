"""One check, and the three ways in which it ends."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

State = Literal["ok", "attention", "unknown"]
ORDER = {"attention": 0, "unknown": 1, "ok": 2}


class Check(msgspec.Struct, frozen=True):
    """`aside` is when or how often, in a few words. What wants a hand has `evidence`, a line a
    fact; the `next` step in words; and a `command` to copy, if there is one."""

    name: str
    state: State
    sentence: str
    aside: str = ""
    evidence: str = ""
    next: str = ""
    command: str = ""


def ok(name: str, sentence: str, aside: str = "") -> Check:
    """It was looked at, and is well."""
    return Check(name, "ok", sentence, aside)


def unknown(name: str, sentence: str, evidence: str = "", next_step: str = "") -> Check:
    """It could not be looked at."""
    return Check(name, "unknown", sentence, "", evidence, next_step)


def attention(
    name: str,
    sentence: str,
    aside: str,
    *,
    evidence: Iterable[str],
    next_step: str,
    command: str = "",
) -> Check:
    """It wants a hand."""
    return Check(name, "attention", sentence, aside, "\n".join(evidence), next_step, command)


def by_urgency(checks: Iterable[Check]) -> list[Check]:
    """What wants a hand before what is not known, and both before what is well."""
    return sorted(checks, key=lambda one: ORDER[one.state])
