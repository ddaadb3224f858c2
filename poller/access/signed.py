"""Signed addresses: what one is good for stands in the address itself, and nobody can change it.

It names the notifier, the feed, the rows, the columns and the end. Whoever has it has all that: it
is a key, for a page on another host, an e-mail or a widget, where there is no login. It takes the
place of `authorize` and ends by itself; there is no list of those that were given out. So a key
that got around is taken back by a new SECRET_KEY alone, not by `disconnect()`.
"""

from __future__ import annotations

import enum
import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from itsdangerous import BadSignature, URLSafeSerializer

from poller.access.granted import Access, values_of

PARAMETER = "signed"  # in the query
SALT = "rowcast.signed-address"  # so that nothing else that the application signs is one
MOST_CHARS = 4_096  # looked at before any work


class SignatureRefusedError(Exception):
    """The address is not good here; `reason` is for the operator, never for whoever asks."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Place(NamedTuple):
    """What an address is for: a feed of a notifier."""

    notifier: str
    feed: str


class Signer:
    """`keys` are secret: the newest signs, each is believed. In the order of itsdangerous, so the
    newest is the last."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._serializer = URLSafeSerializer(
            keys,
            salt=SALT,
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def sign(self, place: Place, access: Access) -> str:
        """What stands behind `signed=`. Raises ValueError, in words, for a value that no filter
        can have, and for more than fits into an address."""
        filter_ = {
            name: [_plain(name, value) for value in values]
            for name, values in values_of(access.filter).items()
        }
        columns = None if access.columns is None else [*access.columns]
        text = str(self._serializer.dumps([*place, filter_, columns, access.until]))
        if len(text) > MOST_CHARS:
            raise ValueError(f"{len(text)} characters are too many for a signed address")
        return text

    def read(self, text: str, place: Place, now: float) -> Access:
        """What the address grants at `place`; `now` is in seconds since 1970. Raises
        SignatureRefusedError."""
        if len(text) > MOST_CHARS:
            raise SignatureRefusedError("signature")
        try:
            *of, filter_, columns, until = self._serializer.loads(text)
            is_over = until <= now
        except (BadSignature, ValueError, TypeError):  # the latter two are of another version
            raise SignatureRefusedError("signature") from None
        if of != [*place]:
            raise SignatureRefusedError("other-feed")
        if is_over:
            raise SignatureRefusedError("expired")
        return Access(filter_, columns, until)


def end_of(expires_s: float, now: float) -> int:
    """When an address that is good for so long ends, in whole seconds since 1970. Raises ValueError
    if it would not be good for any time, or for ever."""
    if not (math.isfinite(expires_s) and expires_s >= 1):
        raise ValueError(f"expires_s={expires_s!r}: say for how many seconds the address is good")
    return math.floor(now + expires_s)


def _plain(name: str, value: object) -> object:
    """As JSON has it, and as a query could say it."""
    if isinstance(value, enum.Enum):
        return _plain(name, value.value)
    if isinstance(value, UUID):
        return str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    raise ValueError(f"{name}: rows cannot be chosen by a value of type {type(value).__name__}")


def keys_of(config: Mapping[str, Any]) -> list[bytes]:
    """An application's secret keys, the newest last, none if it has none. An empty one, as of an
    environment variable that is not set, would be everybody's."""
    if not config.get("SECRET_KEY"):
        return []
    keys = [*(config.get("SECRET_KEY_FALLBACKS") or []), config["SECRET_KEY"]]
    return [key.encode() if isinstance(key, str) else key for key in keys if key]
