"""The moderator: whoever has `WALL_MODERATOR_TOKEN`. A browser signs in with it and keeps a mark in
its session; a program sends it with each request, `Authorization: Bearer …`.

Invariant: the token itself is in no cookie, page or log, and is compared in a time that says
nothing of it. Another token, or another key, ends all marks.
"""

from __future__ import annotations

import hashlib
import hmac
import time

from flask import request, session

from wall.errors import Refused
from wall.rate import Limit

SIGNED_IN_S = 12 * 3600
KEY = "moderator"
NO_MODERATOR = "This wall has no moderator: WALL_MODERATOR_TOKEN is not set."

clock = time.time


class Moderation:
    """`token` is None where there is no moderator."""

    def __init__(self, token: str | None, secret_key: str, guesses: Limit) -> None:
        self._token = token
        self._guesses = guesses
        self._mark = _digest(secret_key, token or "")

    @property
    def wanted(self) -> bool:
        """Whether there is a moderator at all."""
        return self._token is not None

    def signed_in(self) -> bool:
        """Whether the current request has a mark that holds."""
        kept = session.get(KEY)
        if not self.wanted or not (isinstance(kept, list) and len(kept) == 2):
            return False
        mark, since = kept
        fresh = isinstance(since, int) and 0 <= clock() - since < SIGNED_IN_S
        return fresh and hmac.compare_digest(str(mark).encode(), self._mark.encode())

    def require(self) -> None:
        """Raises Refused(403) for anybody else; 404 without a moderator; 429 for who guesses."""
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            self._check(given.strip())
        elif not self.wanted:
            raise Refused(404, NO_MODERATOR)
        elif not self.signed_in():
            raise Refused(403, "Only the moderator may do that. Please sign in at /moderator.")

    def sign_in(self, given: str) -> None:
        """Raises Refused(403) for another token, Refused(429) for one of many."""
        self._check(given)
        session[KEY] = [self._mark, int(clock())]

    def sign_out(self) -> None:
        """Forgets the mark."""
        session.pop(KEY, None)

    def _check(self, given: str) -> None:
        if self._token is None:
            raise Refused(404, NO_MODERATOR)
        self._guesses.check()
        # Of equal length, so that not even the token's is told.
        if not hmac.compare_digest(_digest("", given), _digest("", self._token)):
            self._guesses.count()
            raise Refused(403, "This is not the moderator's token.")


def _digest(key: str, text: str) -> str:
    # A header has whatever bytes it came with.
    return hmac.new(key.encode(), text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
