"""Fixtures of the end-to-end tests: a wall that is ready, and other programs at its database."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.harness.gunicorn import Gunicorn
from tests.serving.helpers import PATHS
from tests.serving.watch import Site

Wall = Callable[..., Gunicorn]


@pytest.fixture
def path_settings(request: pytest.FixtureRequest) -> dict[str, str]:
    """What makes the wall serve its streams by one path; the default one, unless `BOTH_PATHS`."""
    name = getattr(request, "param", None)
    return {} if name is None else PATHS[name]


@pytest.fixture
def start_wall(start_gunicorn: Callable[..., Gunicorn], path_settings: dict[str, str]) -> Wall:
    """start_wall(url, workers=…, settings={…}): the wall on that database, ready."""

    def start(url: str, settings: dict[str, str] | None = None, **options: Any) -> Gunicorn:
        env = {"DATABASE_URL": url, **path_settings, **(settings or {})}
        return start_gunicorn(env, **options).wait_ready()

    return start


@pytest.fixture(scope="module")
def shared_path(request: pytest.FixtureRequest) -> dict[str, str]:
    """As `path_settings`, for the wall that a module shares."""
    return PATHS[getattr(request, "param", "fanout")]


@pytest.fixture(scope="module")
def site(
    request: pytest.FixtureRequest,
    shared_url: str,
    shared_path: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """One wall for each kind of database, for the tests of a module that do not mind the others'
    rows. A module's `SHARED_WALL` gives its settings and its number of workers.

    A test waits for the rows it writes, on every worker: the next one's streams begin after them.
    """
    wanted = getattr(request.module, "SHARED_WALL", {})
    env = {"DATABASE_URL": shared_url, **shared_path, **wanted.get("settings", {})}
    folder = tmp_path_factory.mktemp("site")
    with Gunicorn(folder, env, workers=wanted.get("workers", 1)) as server:
        yield Site(server.wait_ready(), shared_url)


@pytest.fixture(scope="module")
def any_wall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    """One wall on SQLite for the tests of a module that ask nothing of its settings or its rows.

    It has one worker, and whoever posts waits for the row: the next stream begins after it.
    """
    folder = tmp_path_factory.mktemp("any-wall")
    with Gunicorn(folder, {}) as server:
        yield server.wait_ready()
