"""A shop that knows nothing of Rowcast, on each database, and the command line in this process."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from poller.__main__ import main
from tests.poller.commands.shops import Shop, shop_on


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a shell has that never saw Rowcast."""
    for name in ("DATABASE_URL", "PORT", "WEB_CONCURRENCY", "PGPASSWORD", "MYSQL_PWD", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def shop(shared_url: str) -> Shop:
    """One of each kind, for the tests of a module that do not change it."""
    return shop_on(shared_url)


@pytest.fixture
def rowcast() -> Callable[..., Result]:
    """rowcast(*arguments, input=…, env=…, color=…): what the command says, and its exit status."""
    return lambda *arguments, **options: CliRunner().invoke(
        main, [*map(str, arguments)], prog_name="rowcast", **options
    )
