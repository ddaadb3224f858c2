"""What a client holds, as it stands in an id: `COUNT.DIGEST`. Pure.

The digest is the sum, modulo 2^64, of a hash of each row. So it does not depend on the order in
which rows came, one change costs one addition, and every run of rows has its digest from two
prefix sums. Two sets of rows that differ have the same digest with a chance of one in 2^64.

An id has an epoch before it. The digest speaks for itself: whatever query and columns a client's
rows came from, it says which rows they are, so another query needs no other epoch. The epoch names
what gives the digest its meaning: the form of the hash, the feed, and the columns of the key.
Nothing in it is of one worker or one start, so all workers go on with each other's ids.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import NamedTuple

from poller.wire.row import to_json

FORM = "1"  # of the hash: another one makes every client begin anew
WEIGHT_BYTES = 8  # 4 bits of digest diverged in tests, 8 did not; nothing is gained by fewer
MODULUS = 1 << (8 * WEIGHT_BYTES)
EPOCH_BYTES = 4
SECRET_BYTES = 32
MAX_CHARS = 64

_ID = re.compile(r"([0-9a-z]{4,16}(?:\.[0-9a-z]{6})?)\.([0-9]{1,7})\.([0-9A-Za-z_-]{11})", re.ASCII)
FROM_THE_BEGINNING = "0"


class Token(NamedTuple):
    """So many rows, with this digest."""

    rows: int
    digest: int

    def with_row(self, weight: int) -> Token:
        return Token(self.rows + 1, (self.digest + weight) % MODULUS)

    def without_row(self, weight: int) -> Token:
        return Token(self.rows - 1, (self.digest - weight) % MODULUS)

    def __str__(self) -> str:
        digest = urlsafe_b64encode(self.digest.to_bytes(WEIGHT_BYTES, "big"))
        return f"{self.rows}.{digest[:-1].decode()}"


EMPTY = Token(0, 0)


def weight(identity: bytes, lines: bytes, secret: bytes = b"") -> int:
    """What a row adds to the digest: its key and all that is sent of it.

    It is of all columns, and each id tells it, also those who do not see all of them. So it needs a
    `secret`, alike in all workers: otherwise they would try values until one has this hash.
    """
    hashed = hashlib.blake2b(identity, digest_size=WEIGHT_BYTES, key=secret)
    hashed.update(b"\n")
    hashed.update(lines)
    return int.from_bytes(hashed.digest(), "big")


def secret_of(key: bytes) -> bytes:
    """The secret that is made of an application's key, for this alone."""
    return hashlib.blake2b(key, digest_size=SECRET_BYTES, person=b"rowcast.window").digest()


def epoch_of(feed: str, key: Sequence[str]) -> str:
    """The epoch of a feed's ids."""
    text = to_json([FORM, feed, [*key]])
    return hashlib.blake2s(text.encode(), digest_size=EPOCH_BYTES).hexdigest()


def parse(last_event_id: str, prefix: str) -> Token | None:
    """What a client with this id holds; None if that is none of the ids with this `prefix`, the
    epoch and perhaps the tag of a view: nobody knows.

    `0` is the id of a client that holds nothing. Raises ValueError for what is no id at all.
    """
    if last_event_id == FROM_THE_BEGINNING:
        return EMPTY
    found = _ID.fullmatch(last_event_id) if len(last_event_id) <= MAX_CHARS else None
    if found is None:
        raise ValueError("not an id of a window")
    if found[1] != prefix:
        return None
    return Token(int(found[2]), int.from_bytes(urlsafe_b64decode(f"{found[3]}="), "big"))
