"""What a shell has that never saw Rowcast."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "PORT", "WEB_CONCURRENCY", "PGPASSWORD", "MYSQL_PWD"):
        monkeypatch.delenv(name, raising=False)
