"""Which product answers: many speak PostgreSQL's or MySQL's protocol and follow rules of their own.

The fences were argued for PostgreSQL, MariaDB and MySQL, for how they lock and number rows. So
whatever does not look like one of these by all that it says of itself gets no proof.
"""

from __future__ import annotations

import re

from sqlalchemy import Connection

# "PostgreSQL 16.4 (Debian 16.4-1) on x86_64-pc-linux-gnu, compiled by gcc …". A number with a tail
# (11.2-YB-…) is somebody else's, and so is a version without a build. Before 10 was another
# catalogue.
POSTGRESQL = re.compile(r"PostgreSQL [1-9]\d(\.\d+|devel|beta\d+|rc\d+)[ ,].*compiled by .+")
# "10.11.6-MariaDB-0+deb12u1-log", "8.0.36-0ubuntu0.22.04.1", "8.0.36-28", "8.4.0-google".
MYSQL = re.compile(r"\d+\.\d+\.\d+([-+.~_].*)?")
BUILD = re.compile(
    "mariadb|log|debug|ubu|ubuntu|deb|debian|el|fc|rds|azure|google|cloud|commercial|enterprise"
    "|community|percona|cll|lve|lts|u"
)
UNNAMED = "a server that does not say what it is"
FOREIGN = {  # what a product calls itself in version() or @@version_comment, in lower case
    "clickhouse": "ClickHouse",
    "cloudberry": "Cloudberry",
    "cockroach": "CockroachDB",
    "cratedb": "CrateDB",
    "dolt": "Dolt",
    "doris": "Apache Doris",
    "gaussdb": "GaussDB",
    "greenplum": "Greenplum",
    "materialize": "Materialize",
    "memsql": "SingleStore",
    "oceanbase": "OceanBase",
    "opengauss": "openGauss",
    "questdb": "QuestDB",
    "redshift": "Redshift",
    "risingwave": "RisingWave",
    "singlestore": "SingleStore",
    "spanner": "Spanner",
    "starrocks": "StarRocks",
    "tddl": "PolarDB-X",
    "tidb": "TiDB",
    "vitess": "Vitess",
    "x-cluster": "PolarDB-X",
    "xpand": "Xpand",
    "yugabyte": "YugabyteDB",
    "-yb-": "YugabyteDB",
}


def foreign_product(connection: Connection) -> str:
    """The product that only speaks this dialect's protocol; empty if it is what it seems to be."""
    match connection.dialect.name:
        case "postgresql":
            return not_postgresql(str(connection.exec_driver_sql("SELECT version()").scalar()))
        case "mysql" | "mariadb":
            told = connection.exec_driver_sql("SELECT version(), @@version_comment").one()
            return not_mysql(*map(str, told))
    return ""


def not_postgresql(version: str) -> str:
    """The product with this `version()`; empty if that is PostgreSQL."""
    if name := _named(version):
        return name
    return "" if POSTGRESQL.fullmatch(version) else version or UNNAMED


def not_mysql(version: str, comment: str) -> str:
    """The product with this `version()` and `@@version_comment`; empty if it is MariaDB or
    MySQL."""
    if name := _named(f"{version} {comment}"):
        return name
    words = re.findall(r"[a-z]+", version.lower())
    known = MYSQL.fullmatch(version) and all(map(BUILD.fullmatch, words))
    return "" if known else version or UNNAMED


def _named(text: str) -> str:
    names = (name for mark, name in FOREIGN.items() if mark in text.lower())
    return next(names, "")
