"""A real Prometheus scrapes a real server, and each alert of deploy/rules.yml fires for its reason.

Their times are checked by `test_rules.py`.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import EXERCISED
from tests.harness import sql
from tests.harness.gunicorn import OPERATOR, Gunicorn
from tests.harness.http import request
from tests.harness.postgres import Postgres
from tests.harness.process import PartMissing, wait_until
from tests.harness.prometheus import Prometheus
from tests.harness.proxies import DEPLOY
from tests.harness.sse import Stream

PATIENCE_S = 90.0
TABLES = """
CREATE TABLE late (id bigserial PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE held (id bigserial PRIMARY KEY, body text);
CREATE TABLE renamed (id bigserial PRIMARY KEY, body text);
CREATE TABLE truncated (id bigserial PRIMARY KEY, body text);
CREATE VIEW slow AS SELECT id, body FROM held, (SELECT pg_sleep(0.7)) AS pause;
CREATE TABLE rows (id bigserial PRIMARY KEY, body text);
CREATE VIEW broken AS SELECT id, body,
  CASE WHEN current_query() LIKE '%body%note%' THEN (1 / (id - id))::text END AS note FROM rows;
INSERT INTO truncated (body) VALUES ('one'), ('two'), ('three');
"""
STREAMS = 3  # and no more than that


NOT_THE_WALL = {"SECRET_KEY": "", "HOST": "", "ROWCAST_POST_RATE": ""}

OpenStream = Callable[..., Stream]


@pytest.fixture
def url(postgres_server: Postgres) -> Iterator[str]:
    url = postgres_server.create_database()
    sql.run_script(url, TABLES)
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def server(url: str, tmp_path: Path) -> Iterator[Gunicorn]:
    settings = {
        **NOT_THE_WALL,
        "DATABASE_URL": url,
        "ROWCAST_MAX_STREAMS": str(STREAMS),
        "ROWCAST_IDLE_INTERVAL": "0.5",
    }
    with Gunicorn(tmp_path, settings, app="tests.deploy.troubled:app") as server:
        yield server


@pytest.fixture
def prometheus(server: Gunicorn) -> Iterator[Prometheus]:
    try:
        prometheus = Prometheus(server.port, OPERATOR)
    except PartMissing as reason:
        EXERCISED.skip("Prometheus", str(reason))
    EXERCISED.use("Prometheus", prometheus.version)
    with prometheus:
        wait_until(prometheus.is_scraped, PATIENCE_S, "the server is scraped")
        yield prometheus


def test_each_alert_fires_for_its_reason_on_postgresql(
    url: str, server: Gunicorn, prometheus: Prometheus, open_stream: OpenStream
) -> None:
    seen: dict[str, set[str]] = {}

    def fires(alert: str, feed: str = "") -> Callable[[], bool]:
        def look() -> bool:
            for name, feeds in prometheus.firing().items():
                seen.setdefault(name, set()).update(feeds)
            return feed in seen.get(alert, ())

        return look

    server.wait_ready()
    request(f"{server.url}/stream/private")  # nobody can say who may read it
    for feed in ("truncated", "late", "held"):
        open_stream(f"{server.url}/stream/{feed}").wait_open()
    request(f"{server.url}/stream/held")  # one more than there are places for
    sql.execute(url, "INSERT INTO rows (body) VALUES ('it cannot be read with its note')")
    sql.execute(url, "INSERT INTO late (created_at) VALUES (now() - interval '1 minute')")
    sql.execute(url, "TRUNCATE truncated RESTART IDENTITY")
    sql.execute(url, "ALTER TABLE renamed RENAME TO elsewhere")
    with sql.Transaction(url) as holder:
        holder.execute("INSERT INTO held (body) VALUES ('open')")
        sql.execute(url, "INSERT INTO held (body) VALUES ('above it')")
        expected = {
            "RowcastTurnsAway": "held",
            "RowcastAuthorizeFails": "private",
            "RowcastRowUnreadable": "broken",
            "RowcastRowsLate": "late",
            "RowcastResets": "truncated",
            "RowcastPollsFail": "renamed",
            "RowcastDoesNotPoll": "renamed",
            "RowcastPollsSlowly": "slow",
            "RowcastDegraded": "slow",
            "RowcastGapHeld": "held",
        }
        for alert, feed in expected.items():
            wait_until(fires(alert, feed), PATIENCE_S, f"{alert} of {feed}; seen: {seen}", 0.2)
    for expression in expressions_of_the_dashboard():
        assert prometheus.query(expression), f"{expression}: nothing"
    server.end()
    wait_until(fires("RowcastDown"), PATIENCE_S, "RowcastDown", 0.2)
    assert seen.keys() == {*expected, "RowcastDown"}


def expressions_of_the_dashboard() -> list[str]:
    """With its variables as Grafana fills them in for all feeds."""
    dashboard = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert found
    return [one.replace("$feed", ".*").replace("$__rate_interval", "10s") for one in found]
