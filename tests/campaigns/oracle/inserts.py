"""How the writers insert: texts that no two rows share, and the statements of each database.

`ref` is a unique column beside the key, added to the wall's table: a row that meets another's is
skipped or becomes an update, and the id that it was given is burnt.
"""

import os
import random
from collections.abc import Sequence
from typing import Any

from tests.campaigns.oracle.records import payload_of

LONG_TEXT_SHARE = 0.05
SCRAPS = ("plain", "ünïcödé", "two\nlines", "cr\rlf\r\n", "data: no\n\nid: 7\n", "🐘🐬🪶", '"{}"')
LONG_TEXT_CHARS = 1_800
NEXTVAL = "SELECT nextval(pg_get_serial_sequence('posts', 'id'))"
# Only the process that does this moves the sequence, so that it never goes back.
JUMP = """
    SELECT setval(sequence, (SELECT last_value FROM posts_id_seq) + %s)
    FROM pg_get_serial_sequence('posts', 'id') AS sequence
"""
SKIP = {
    "sqlite": ("INSERT", "ON CONFLICT DO NOTHING"),
    "postgresql": ("INSERT", "ON CONFLICT DO NOTHING"),
    "mariadb": ("INSERT IGNORE", ""),
}
UPDATE = {
    "sqlite": "ON CONFLICT (ref) DO UPDATE SET author = excluded.author",
    "postgresql": "ON CONFLICT (ref) DO UPDATE SET author = excluded.author",
    "mariadb": "ON DUPLICATE KEY UPDATE author = VALUES(author)",
}

Inserted = tuple[int, str]  # id, text


def ref_of(text: str) -> int:
    return int(payload_of(text), 16) >> 1


class Inserts:
    """The statements of one author. What is inserted is (id, text) of each new row."""

    def __init__(self, dialect: str, author: str, chosen: random.Random) -> None:
        self.dialect = dialect
        self._author = author
        self._random = chosen
        self._mark = "?" if dialect == "sqlite" else "%s"
        self._texts = 0

    def plain(self, cursor: Any, count: int = 1) -> list[Inserted]:
        texts = [self.text() for _ in range(count)]
        return self._insert(cursor, texts, [ref_of(text) for text in texts])

    def with_id(self, cursor: Any, row_id: int) -> list[Inserted]:
        text = self.text()
        values = (row_id, self._author, text, ref_of(text))
        marks = ", ".join([self._mark] * len(values))
        cursor.execute(f"INSERT INTO posts (id, author, body, ref) VALUES ({marks})", values)
        return [(row_id, text)]

    def with_nextval(self, cursor: Any) -> int:
        """An id that this transaction may use."""
        cursor.execute(NEXTVAL)
        return int(cursor.fetchone()[0])

    def skipping(self, cursor: Any, count: int, taken: Sequence[int]) -> list[Inserted]:
        """Rows in one statement, of which those with a ref in `taken` are skipped where it is."""
        texts = [self.text(short=True) for _ in range(count + len(taken))]
        refs = [*taken, *(ref_of(text) for text in texts[len(taken) :])]
        verb, clause = SKIP[self.dialect]
        return self._insert(cursor, texts, refs, verb, clause)

    def bulk(self, cursor: Any, count: int) -> list[Inserted]:
        """Many rows in one statement, every third of which meets the one before it."""
        texts = [self.text(short=True) for _ in range(count)]
        refs = [ref_of(texts[at - (at % 3 == 2)]) for at in range(count)]
        verb, clause = SKIP[self.dialect]
        return self._insert(cursor, texts, refs, verb, clause)

    def upsert(self, cursor: Any, ref: int) -> list[Inserted]:
        """One row; none where it became an update of a row with that ref."""
        return self._insert(cursor, [self.text()], [ref], clause=UPDATE[self.dialect])

    def delete(self, cursor: Any, rows: Sequence[Inserted]) -> None:
        """By the text, too: after a truncation the id may be another row's."""
        where = f"id = {self._mark} AND body = {self._mark}"
        for row in rows:
            cursor.execute(f"DELETE FROM posts WHERE {where}", row)

    def text(self, *, short: bool = False) -> str:
        """A text that no other row has, also not one of this author before it was killed."""
        self._texts += 1
        scrap = self._random.choice(SCRAPS)
        if not short and self._random.random() < LONG_TEXT_SHARE:
            scrap = (scrap * LONG_TEXT_CHARS)[:LONG_TEXT_CHARS]
        return f"{self._author} {os.getpid()} {self._texts} {scrap}."

    def _insert(
        self,
        cursor: Any,
        texts: Sequence[str],
        refs: Sequence[int],
        verb: str = "INSERT",
        clause: str = "",
    ) -> list[Inserted]:
        row = f"({', '.join([self._mark] * 3)})"
        rows = ", ".join([row] * len(texts))
        values = [
            value
            for text, ref in zip(texts, refs, strict=True)
            for value in (self._author, text, ref)
        ]
        cursor.execute(
            f"{verb} INTO posts (author, body, ref) VALUES {rows} {clause} RETURNING id, body",
            values,
        )
        new = set(texts)  # an upsert also returns the row that it updated
        return [(int(row_id), text) for row_id, text in cursor.fetchall() if text in new]
