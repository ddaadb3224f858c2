"""A database URL: its driver, and the options that it brings beside ours.

An option in the URL wins over a default of ours, or is merged with it. What cannot be is refused
with the reason; nothing is overwritten in silence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sqlalchemy.engine import URL, make_url

# One for each: it waits cooperatively, and a session is told what it needs (session.py).
DRIVERS = {
    "postgresql": "psycopg",
    "postgres": "psycopg",
    "mysql": "pymysql",
    "mariadb": "pymysql",
    "sqlite": "pysqlite",
}
AUTOCOMMIT = "each read has to be a transaction of its own"
AS_BYTES = "text would arrive as bytes"
OPTIONS_REFUSED: Mapping[str, Mapping[str, str]] = {
    "postgresql": {
        "prepare_threshold": "behind a transaction pooler a prepared statement is somebody else's",
        "autocommit": AUTOCOMMIT,
    },
    "mysql": {"autocommit": AUTOCOMMIT, "use_unicode": AS_BYTES, "binary_prefix": AS_BYTES},
    "sqlite": {
        "timeout": "ROWCAST_QUERY_TIMEOUT says how long a lock is waited for",
        "isolation_level": AUTOCOMMIT,
    },
}
CHARSET = "utf8mb4"  # of MariaDB and MySQL: each other one turns some characters into "?"
# Of PostgreSQL's `options`. The driver reads dates and intervals in these styles only, and a pass
# needs a snapshot for each of its statements.
SETTINGS_FIXED = {
    "datestyle": "iso",
    "intervalstyle": "postgres",
    "default_transaction_isolation": "read committed",
}
WORD = re.compile(r"(?:\\.|[^\s\\])+", re.DOTALL)  # as pg_split_opts() of PostgreSQL splits


def parsed(url: str) -> URL:
    """The URL with its driver. Raises ValueError for what cannot be used, and says what to do."""
    found = make_url(url)
    backend, _, driver = found.drivername.partition("+")
    known = DRIVERS.get(backend)
    if known is None:
        return found
    if driver not in ("", known):
        raise ValueError(
            f"the database URL begins with {found.drivername}://, but Rowcast reads {backend} "
            f"through {known}, which waits without stopping the other streams; write {backend}://"
        )
    name = "postgresql" if backend == "postgres" else backend
    _refuse_options("mysql" if name == "mariadb" else name, found)
    return found if name == "sqlite" else found.set(drivername=f"{name}+{known}")


def split_settings(url: URL) -> tuple[URL, dict[str, str]]:
    """PostgreSQL's settings out of `?options=-c name=value`, and the URL without them.

    As a start-up parameter `options` is refused by many poolers; a session can be told the same.
    What else is in `options` stays there. Raises ValueError for a setting that is fixed.
    """
    options = url.query.get("options", ())
    words = WORD.findall(options if isinstance(options, str) else " ".join(options))
    settings: dict[str, str] = {}
    left: list[str] = []
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            word += words.pop(0)
        name, equals, value = re.sub(r"\\(.)", r"\1", word).removeprefix("-c").partition("=")
        if word.startswith("-c") and equals:
            settings[name.strip().lower()] = value
        else:
            left.append(word)
    for name, value in settings.items():
        if value.lower() != SETTINGS_FIXED.get(name, value.lower()):
            raise ValueError(
                f"options in the database URL: {name}={value} cannot be used, since Rowcast "
                f"needs {SETTINGS_FIXED[name]}; leave it out"
            )
    query = {key: value for key, value in url.query.items() if key != "options"}
    return url.set(query=query | ({"options": " ".join(left)} if left else {})), settings


def _refuse_options(backend: str, url: URL) -> None:
    for option, reason in OPTIONS_REFUSED[backend].items():
        if option in url.query:
            raise ValueError(f"{option} in the database URL cannot be used: {reason}")
    charset = url.query.get("charset", CHARSET)
    if backend == "mysql" and charset != CHARSET:
        raise ValueError(
            f"charset={charset} in the database URL cannot hold every character that a row may "
            f"have; write charset={CHARSET}, or leave it out: the server converts from any other"
        )
