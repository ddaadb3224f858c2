"""A row's event for those who may not see all of its columns.

It is cut from the JSON that all others get, value by value, as bytes: so a value looks the same to
everybody, and no row is encoded twice. Pure.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from poller.wire import row

DATA = b"data: "

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_reasons = msgspec.json.Decoder(dict[str, str])


def cut(lines: bytes, shown: Collection[str]) -> bytes:
    """The lines of a row's event with the columns in `shown`. Events with a name of their own, such
    as `unreadable`, tell no column but the key."""
    if not lines.startswith(DATA):
        return lines
    members = _members.decode(lines[len(DATA) :])
    kept: dict[str, object] = {name: members[name] for name in members if name in shown}
    if row.WITHHELD in members:
        reasons = _reasons.decode(members[row.WITHHELD])
        if told := {name: reasons[name] for name in reasons if name in shown}:
            kept[row.WITHHELD] = told
    return DATA + row.to_json(kept).encode() + b"\n"
