"""The shops: `shop/*.sql` as a database that somebody else made, and what is expected of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.harness import sql

FOLDER = Path(__file__).parent / "shop"
EXPECTED = re.compile(r"^-- expect: (.+)$", re.MULTILINE)


class Expected(NamedTuple):
    """What `rowcast tables` has to say of a table; `-` is nothing."""

    name: str
    kind: str
    key: str
    rows: str
    promise: str


@dataclass(frozen=True)
class Shop:
    url: str
    tables: dict[str, Expected]


def shop_on(url: str) -> Shop:
    """Make it in an empty database."""
    script = (FOLDER / f"{sql.dialect_of(url)}.sql").read_text(encoding="utf-8")
    sql.run_script(url, script)
    found = [Expected(*line.split(" | ")) for line in EXPECTED.findall(script)]
    return Shop(url, {one.name: one for one in found})
