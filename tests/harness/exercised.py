"""What the session really used, said in its last line: no green run hides a skipped database."""

from typing import NoReturn

import pytest

PROXIES = ("nginx", "Caddy", "HAProxy", "Apache")
PARTS = (
    "SQLite",
    "PostgreSQL",
    "PgBouncer",
    "MariaDB",
    "Chromium",
    "Firefox",
    "Node",
    *PROXIES,
    "Prometheus",
)


class Exercised:
    """Versions of the parts used, and the reasons for those that were not."""

    def __init__(self) -> None:
        self.used: dict[str, str] = {}
        self.missing: dict[str, str] = {}

    def use(self, part: str, version: str) -> None:
        self.used[part] = version

    def skip(self, part: str, reason: str) -> NoReturn:
        """Leaves a test out, for a reason that the last line repeats."""
        self.missing[part] = reason
        pytest.skip(f"{part}: {reason}")

    def as_data(self) -> dict[str, dict[str, str]]:
        """What one process of several hands to the one that writes the last line."""
        return {"used": self.used, "missing": self.missing}

    def add(self, data: dict[str, dict[str, str]]) -> None:
        """Takes in what another process used and missed, see `as_data()`."""
        self.used |= data["used"]
        self.missing |= data["missing"]

    def lines(self) -> list[str]:
        """One line for what was used, one for each part that could not be had."""
        used = ", ".join(f"{part} {self.used[part]}" for part in PARTS if part in self.used)
        without = [part for part in PARTS if part not in self.used]
        reasons = [f"{part} ({self.missing.get(part, 'no test chosen')})" for part in without]
        lines = [f"not exercised: {', '.join(reasons)}"] if reasons else []
        return [*lines, f"exercised: {used or 'nothing but Python'}"]
