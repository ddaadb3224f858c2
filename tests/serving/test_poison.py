"""Values that a driver, a type or JSON cannot take, in the middle of a batch: the rest passes.

The wall's table has types of its own, which take less than the database does. What they cannot
take is null, and the row says so. `tests/poller/reading/test_values.py` has tables without.
"""

import pytest

from tests.harness import sql
from tests.harness.sse import Stream
from tests.serving.conftest import Wall
from tests.serving.helpers import OpenStream

pytestmark = pytest.mark.serving

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
# Values → what is sent of column `body`, and the columns that are withheld.
POISON: dict[str, dict[str, tuple[object, list[str]]]] = {
    "sqlite": {
        "('invalid UTF-8', CAST(x'fffe41' AS TEXT), NULL)": (None, ["body"]),
        "('half a surrogate pair', CAST(x'eda080' AS TEXT), NULL)": (None, ["body"]),
        "('both', CAST(x'ff' AS TEXT), 'tomorrow')": (None, ["body", "created_at"]),
        "('no date', 'text', 'tomorrow')": ("text", ["created_at"]),
        "('number as date', 'text', 5)": ("text", ["created_at"]),
        "('bytes', x'fffe', NULL)": ("//4=", []),
        "('infinity', 9e999, NULL)": ("Infinity", []),
        "('NUL', CAST(x'610062' AS TEXT), NULL)": ("a\0b", []),
    },
    "postgresql": {
        "('infinite', '1', 'infinity')": (1, ["created_at"]),
        "('ended', '1', '-infinity')": (1, ["created_at"]),
        "('year 20000', '1', '20000-01-01')": (1, ["created_at"]),
        "('before our era', '1', '0044-03-15 BC')": (1, ["created_at"]),
        r"""('half a surrogate pair', '"\ud800"', NULL)""": (None, ["body"]),
        f"('deep', (repeat('[', {DEPTH}) || repeat(']', {DEPTH}))::json, NULL)": (None, ["body"]),
        "('exact', '9007199254740993', NULL)": ("9007199254740993", []),
    },
    "mariadb": {
        "('no day at all', 'text', '0000-00-00')": ("dGV4dA==", ["created_at"]),
        "('no such day', 'text', '2024-02-31')": ("dGV4dA==", ["created_at"]),
        "('no month', 'text', '2024-00-10')": ("dGV4dA==", ["created_at"]),
        "('bytes', x'fffe', NULL)": ("//4=", []),
        "('last day', 'text', '9999-12-31 23:59:59.999999')": ("dGV4dA==", []),
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
    """For each row its body and the columns that were withheld from it."""
    rows = [event.json for event in stream.of_type("message")]
    return [(row["body"], list(row.get("_withheld", {}))) for row in rows]


def test_what_cannot_be_sent_is_withheld_among_values_that_can(
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
    expected = list(POISON[dialect].values())
    withheld = sum(len(columns) for _, columns in expected)

    def rows(stream: Stream) -> list[object]:
        stream.wait_for(
            lambda it: len(it.of_type("message")) >= len(values), what="a message for each row"
        )
        messages = stream.of_type("message")
        assert [event.json["id"] for event in messages] == sql.post_ids(database_url)
        return sent(stream)

    assert rows(live)[1::2] == expected
    assert set(map(str, sent(live)[::2])) == {str(sent(live)[0])}
    later = open_stream(wall.stream_url, "0").wait_open()  # from the table, the log is too short
    assert rows(later) == sent(live)
    assert wall.metric("rowcast_values_withheld_total") >= 2 * withheld
    columns = {column for _, columns in expected for column in columns}
    # Named once, by the poller and by the reader of pages.
    assert wall.log().count("value withheld") == 2 * len(columns)
    assert wall.metric("rowcast_rows_unreadable_total") == 0
