"""A filter that the application forces is not widened by anything that a client can send.

Each database compares in its own way: MariaDB takes `ann` for `Ann`, `ann ` and `änn`, and a text
for a number. So a model in Python says which rows a client may have, and clients ask for others in
all the ways that there are: query, header, ids of other users, the other forms, signed addresses.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask, Request
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from poller import Access, Database, Notifier, Settings, testing
from tests.harness import sql
from tests.harness.greenlets import unpatched
from tests.poller.web.rooms import LINES

KEY = {
    "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "postgresql": "bigserial PRIMARY KEY",
    "mariadb": "bigint AUTO_INCREMENT PRIMARY KEY",
}
ROOMS: list[int | None] = [7, 8, 70, 0, -7, 1, None]
AUTHORS: list[str | None] = [
    *("ann", "Ann", "ANN", "ann ", " ann", "\u00e4nn", "a\u0308nn", "ann\t", "\uff41nn"),
    *("7", "07", "7.0", " 7", "+7", "7e0", "0", "", "null", "true", "1", None),
]
CODES: list[str | None] = ["a", "A", "ab", "a b", None]
# How the same may be written otherwise, and what may be taken for it.
ROOM_TRICKS = [
    "7",
    "07",
    "7.0",
    " 7",
    "7 ",
    "+7",
    "7e0",
    "0x7",
    "\u0667",
    "\uff17",
    "7\0",
    "ann",
    "",
]
TEXT_TRICKS = ["ann%", "a", "A ", "a ", "' OR 1=1 --", "ann\0", "ANN ", "\u00c4nn", "%", "_nn"]
COLUMNS = ["id", "room", "author", "code"]
FEW = Settings(history_rows=10, log_capacity_rows=10, batch_rows=7)

Row = Mapping[str, Any]
Filter = Mapping[str, Sequence[Any]]
Query = list[tuple[str, str]]


class Site:
    """An application on a table that has each combination once; `forced` is for who asks next."""

    def __init__(self, url: str) -> None:
        kind = "varchar(20) COLLATE NOCASE" if url.startswith("sqlite") else "varchar(20)"
        sql.execute(
            url,
            f"CREATE TABLE notes (id {KEY[sql.dialect_of(url)]}, room int, author {kind}, "
            "code char(5))",
        )
        rows = [(r, a, c) for a in AUTHORS for r, c in zip(ROOMS, CODES * 2, strict=False)]
        for row in rows:
            sql.execute(url, "INSERT INTO notes (room, author, code) VALUES (%s, %s, %s)", row)
        self.forced: Filter = {}
        self.app, self.notifier = Flask("site"), Notifier(authorize=self._authorize)
        self.app.secret_key = "a key"
        names = COLUMNS[1:]
        self.notifier.watch("notes", columns=COLUMNS, filters=names)
        self.notifier.watch("notes", name="all", columns=COLUMNS, filters=names, authorize="public")
        self.notifier.init_app(self.app, database=Database(url), settings=FEW)
        self.client = self.app.test_client()

    def _authorize(self, _: Request) -> Access:
        return Access(filter=self.forced)

    def signed(self, feed: str, filter: Filter) -> str:  # noqa: A002
        """What stands behind `signed=`."""
        with self.app.test_request_context():
            url = self.notifier.url_for(feed, expires_s=60, filter=filter)
        return parse_qs(urlsplit(url).query)["signed"][0]

    def all_of(self, forced: Filter) -> tuple[list[Row], str]:
        """All rows of somebody with this filter, and the id behind them."""
        self.forced = forced
        return self.answers("stream", Asked([], "0", None))[1:]

    def answers(self, form: str, asked: Asked) -> tuple[int, list[Row], str]:
        """The status, the rows until there are no more, and where the client would go on."""
        query = [*asked.query, *([("after", asked.after)] if asked.after is not None else [])]
        headers = {"Last-Event-ID": asked.header} if asked.header is not None else {}
        if form == "rows":
            return self._rows(query)
        wants = LINES if form == "lines" else {}
        path = "/stream/notes"
        with self.client.get(
            path, query_string=query, headers={**headers, **wants}, buffered=False
        ) as answer:
            if answer.status_code != 200:
                return answer.status_code, [], ""
            chunks = answer.iter_encoded()
            read = lines if form == "lines" else frames
            return 200, *read(chunks)

    def _rows(self, query: Query) -> tuple[int, list[Row], str]:
        found: list[Row] = []
        url = "/rows/notes"
        answer = self.client.get(url, query_string=[*query, ("limit", "9")])
        while answer.status_code == 200:
            assert answer.json is not None
            found += answer.json["rows"]
            if answer.json["live"]:
                return 200, found, answer.json["next"]
            link = answer.headers["Link"].partition(">")[0][1:]
            answer = self.client.get(url + link)
        return answer.status_code, found, ""


@dataclass(frozen=True)
class Asked:
    """What a client sends: a query, and where it says that it stands."""

    query: Query
    after: str | None
    header: str | None


def frames(chunks: Iterator[bytes]) -> tuple[list[Row], str]:
    """The rows of a stream until it is live, and its last id."""
    text = ""
    while "event: live" not in text:
        text += next(chunks).decode()
    found = [*testing._frames(text, "")]
    return [frame.json for frame in found if frame.event == "message"], found[-1].id


def lines(chunks: Iterator[bytes]) -> tuple[list[Row], str]:
    found: list[Any] = []
    while not (found and "live" in found[-1]):
        found += [json.loads(line) for line in next(chunks).splitlines() if line]
    return [line["row"] for line in found if "row" in line], found[-1]["next"]


# -- the model ----------------------------------------------------------------------------------


class Model:
    """Which rows have which values. `padded`: blanks at the end of a char column are the
    database's."""

    def __init__(self, url: str) -> None:
        self.padded = sql.dialect_of(url) != "sqlite"

    def same(self, column: str, held: object, wanted: object) -> bool:
        """By type and value."""
        if self.padded and column == "code" and isinstance(held, str) and isinstance(wanted, str):
            return held.rstrip(" ") == wanted.rstrip(" ")
        return type(held) is type(wanted) and held == wanted

    def has(self, row: Row, filter: Filter) -> bool:  # noqa: A002
        return all(
            any(self.same(column, row[column], value) for value in values)
            for column, values in filter.items()
        )

    def within(self, chosen: Filter, forced: Filter) -> bool:
        """Whether nothing is chosen beyond what is forced."""
        return all(
            any(self.same(column, value, one) for one in forced.get(column, values))
            for column, values in chosen.items()
            for value in values
        )


def meant(query: Iterable[tuple[str, str]]) -> Filter | None:
    """The filter that a query asks for, None if it is none."""
    found: dict[str, list[Any]] = {}
    for name, text in query:
        if name == "null":
            found.setdefault(text, []).append(None)
        elif name == "room":
            if text not in {str(room) for room in range(-100, 100)}:
                return None
            found.setdefault(name, []).append(int(text))
        elif "\0" in text:
            return None
        else:
            found.setdefault(name, []).append(text)
    return found


# -- what clients try ---------------------------------------------------------------------------

values = {
    "room": st.sampled_from(ROOMS),
    "author": st.sampled_from(AUTHORS),
    "code": st.sampled_from(CODES),
}
filters = st.dictionaries(
    st.sampled_from([*values]), st.just(None), min_size=1, max_size=2
).flatmap(
    lambda names: st.fixed_dictionaries(
        {name: st.lists(values[name], min_size=1, max_size=3, unique=True) for name in names}
    )
)
pairs = st.one_of(
    st.tuples(st.just("room"), st.sampled_from([*map(str, ROOMS[:-1]), *ROOM_TRICKS])),
    st.tuples(st.just("author"), st.sampled_from([*filter(None, AUTHORS), "", *TEXT_TRICKS])),
    st.tuples(st.just("code"), st.sampled_from([*filter(None, CODES), *TEXT_TRICKS])),
    st.tuples(st.just("null"), st.sampled_from([*values])),
)
queries = st.lists(pairs, max_size=3)


@contextmanager
def polled(site: Site) -> Iterator[None]:
    """Both feeds, polled once: nothing is inserted later."""
    with ExitStack() as stack:
        for name in ("notes", "all"):
            stack.enter_context(testing.feed(site.app, name))
        yield


# Ids of users who have all that is theirs, by what that is.
OTHERS: dict[str, Filter] = {"of all rows": {}, "of another room": {"room": [8]}}
PLACES = ["beginning", "own", "nowhere", *OTHERS]


def test_a_forced_filter_is_not_widened(database_url: str) -> None:
    site, model = Site(database_url), Model(database_url)
    with unpatched(), polled(site):
        everything = site.all_of({})[0]
        assert len(everything) == len(AUTHORS) * len(ROOMS)
        tokens = {whose: site.all_of(theirs)[1] for whose, theirs in OTHERS.items()}
        tokens |= {"beginning": "0", "nowhere": "x.1"}

        @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
        @given(
            forced=filters,
            query=queries,
            signed=st.sampled_from([None, None, "all", "notes"]),
            form=st.sampled_from(["stream", "lines", "rows"]),
            at=st.sampled_from(PLACES),
            by_header=st.booleans(),
        )
        def attempt(
            forced: Filter, query: Query, signed: str | None, form: str, at: str, by_header: bool
        ) -> None:
            chosen = meant(query)
            if signed is None:
                site.forced = forced
            else:  # nothing but the address counts then
                site.forced = {"room": [12345]}
                query = [*query, ("signed", site.signed(signed, forced))]
            token = tokens.get(at) or site.answers("stream", Asked(query, "0", None))[2] or "0"
            asked = Asked(query, None if by_header else token, token if by_header else None)
            status, rows, _ = site.answers(form, asked)
            note(f"{asked} → {status}, {len(rows)} rows")

            allowed = [row for row in everything if model.has(row, forced)]
            allowed = [row for row in allowed if model.has(row, chosen or {})]
            assert all(row in allowed for row in rows)
            assert len({row["id"] for row in rows}) == len(rows)
            if signed == "all":
                assert status == 403
            elif chosen is None:
                assert status in (400, 403)
            elif not model.within(chosen, forced):
                assert status == 403, "narrowed in silence"
            else:
                assert status in (200, 400, 410), "refused for nothing"  # the token may be none
            ignored = form == "rows" and by_header  # that is no header of theirs
            if status == 200 and at == "beginning" and not ignored:
                assert len(rows) == len(allowed), "a row is missing"

        attempt()
