"""Rows that the driver or JSON cannot take, in the middle of a batch: the others pass.

Each kind of database has its own. Where a value can be read after all, it is sent as it is.
"""

import pytest

from tests.harness import sql
from tests.harness.sse import Stream
from tests.serving.conftest import Wall
from tests.serving.helpers import OpenStream

pytestmark = pytest.mark.serving

UNREADABLE = object()
DEPTH = 5_000  # of nesting: more than a reader that calls itself can take

# What is in place of the wall's columns, which are stricter. The author names the case.
TABLES = {
    "sqlite": "id INTEGER PRIMARY KEY AUTOINCREMENT, author, body, created_at",
    "postgresql": "id bigserial PRIMARY KEY, author text, body json, created_at timestamptz",
    "mariadb": "id BIGINT AUTO_INCREMENT PRIMARY KEY, author TEXT, body LONGBLOB, "
    "created_at DATETIME(6)",
}
GOOD = {
    "sqlite": "('good', 'text', NULL)",
    "postgresql": """('good', '"text"', NULL)""",
    "mariadb": "('good', 'text', NULL)",
}
# Values → what is sent of column `body`, or that the row is called unreadable.
POISON = {
    "sqlite": {
        "('invalid UTF-8', CAST(x'fffe41' AS TEXT), NULL)": UNREADABLE,
        "('half a surrogate pair', CAST(x'eda080' AS TEXT), NULL)": UNREADABLE,
        "('no date', 'text', 'tomorrow')": UNREADABLE,
        "('number as date', 'text', 5)": UNREADABLE,
        "('bytes', x'fffe', NULL)": "//4=",
        "('infinity', 9e999, NULL)": None,
        "('NUL', CAST(x'610062' AS TEXT), NULL)": "a\0b",
    },
    "postgresql": {
        "('infinite', '1', 'infinity')": UNREADABLE,
        "('ended', '1', '-infinity')": UNREADABLE,
        "('year 20000', '1', '20000-01-01')": UNREADABLE,
        "('before our era', '1', '0044-03-15 BC')": UNREADABLE,
        r"""('half a surrogate pair', '"\ud800"', NULL)""": UNREADABLE,
        f"('deep', (repeat('[', {DEPTH}) || repeat(']', {DEPTH}))::json, NULL)": UNREADABLE,
        "('exact', '9007199254740993', NULL)": "9007199254740993",
    },
    "mariadb": {
        "('no day at all', 'text', '0000-00-00')": UNREADABLE,
        "('no such day', 'text', '2024-02-31')": UNREADABLE,
        "('no month', 'text', '2024-00-10')": UNREADABLE,
        "('bytes', x'fffe', NULL)": "//4=",
        "('last day', 'text', '9999-12-31 23:59:59.999999')": "dGV4dA==",
    },
}


def fill(url: str, values: list[str]) -> None:
    """Rows in one transaction, and so in one batch."""
    with sql.Transaction(url) as writer:
        if writer.dialect == "mariadb":
            writer.execute("SET sql_mode = 'ALLOW_INVALID_DATES'")
        for one in values:
            writer.execute(f"INSERT INTO posts (author, body, created_at) VALUES {one}")
        writer.commit()


def sent(stream: Stream) -> list[object]:
    """For each event the row's body, or that it was unreadable."""
    return [
        UNREADABLE if event.type == "unreadable" else event.json["body"] for event in stream.events
    ]


def test_poison_rows_are_one_event_each_among_good_ones(
    start_wall: Wall, open_stream: OpenStream, database_url: str
) -> None:
    dialect = sql.dialect_of(database_url)
    sql.execute(database_url, f"CREATE TABLE posts ({TABLES[dialect]})")
    wall = start_wall(database_url, {"ROWCAST_LOG_CAPACITY": "1"})
    live = open_stream(wall.stream_url).wait_open()
    values = [GOOD[dialect]]
    for poison in POISON[dialect]:
        values += [poison, GOOD[dialect]]
    fill(database_url, values)
    later = open_stream(wall.stream_url, "0").wait_open()  # from the table, the log is too short
    for stream in (live, later):
        stream.wait_for(lambda it: len(it.events) >= len(values), what="an event for each row")
        assert [event.json["id"] for event in stream.events] == sql.post_ids(database_url)
        good = sent(stream)[0]
        assert sent(stream)[::2] == [good] * (len(POISON[dialect]) + 1)
        assert sent(stream)[1::2] == list(POISON[dialect].values())
        assert all(event.json["reason"] for event in stream.of_type("unreadable"))
    unreadable = list(POISON[dialect].values()).count(UNREADABLE)
    assert wall.metric("rowcast_rows_unreadable_total") == unreadable
    assert wall.log().count("row unreadable") == unreadable
