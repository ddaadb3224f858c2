"""A short form of `make changes`: rows that change under every fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.campaigns.oracle import changing
from tests.harness import sql
from tests.harness.mariadb import MariaDB
from tests.harness.postgres import Postgres

SECONDS = 8.0


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql", "mariadb"], indirect=True)
def test_every_client_has_the_table_at_the_end(
    database_url: str, server_of: Callable[[str], Postgres | MariaDB], tmp_path: Path
) -> None:
    server = None if sql.dialect_of(database_url) == "sqlite" else server_of(database_url)
    result = changing.run(database_url, server, 1, SECONDS, tmp_path)
    assert not result.problems, "\n".join(result.problems)
    assert result.changes > 0
    assert result.deletions > 0
    assert result.naive_lost > 0, "nothing was made difficult"


def test_what_is_wrong_is_found() -> None:
    truth: dict[int, changing.State] = {1: (5, "now"), 2: (6, None), 3: (7, "there")}
    assert changing.wrong({1: (5, "now"), 2: (4, None), 3: (7, "there")}, truth) == []
    assert changing.wrong({1: (4, "before"), 2: (4, "there")}, truth) == [
        "row 1 is (4, 'before'), not (5, 'now')",
        "row 2 is (4, 'there'), not (6, None)",
        "row 3 is (0, None), not (7, 'there')",
    ]
