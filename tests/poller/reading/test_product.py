"""Products that only speak a protocol are told from the real ones by what they say of themselves.

The texts are those that users of each product have published.
"""

import pytest

from poller.reading.dialects.product import not_mysql, not_postgresql

GNU = "on x86_64-pc-linux-gnu, compiled by"
POSTGRESQL = [
    f"PostgreSQL 18.4 {GNU} gcc (GCC) 14.2.1 20250110 (Red Hat 14.2.1-11), 64-bit",
    f"PostgreSQL 17.2 (Debian 17.2-1.pgdg120+1) {GNU} gcc (Debian 12.2.0-14) 12.2.0, 64-bit",
    f"PostgreSQL 14.11 (Ubuntu 14.11-0ubuntu0.22.04.1) {GNU} gcc (Ubuntu 11.4.0) 11.4.0, 64-bit",
    "PostgreSQL 16.4 on x86_64-pc-linux-musl, compiled by gcc (Alpine 13.2.1) 13.2.1, 64-bit",
    "PostgreSQL 17.5 (6bc9ef8) on aarch64-unknown-linux-gnu, compiled by clang 14.0.6, 64-bit",
    "PostgreSQL 16.2, compiled by Visual C++ build 1937, 64-bit",
    f"PostgreSQL 19beta1 {GNU} gcc (GCC) 14.2.1, 64-bit",
    f"PostgreSQL 17.4 - Percona Server for PostgreSQL 17.4.1 {GNU} gcc (GCC) 11.5.0, 64-bit",
]
NOT_POSTGRESQL = {
    "CockroachDB CCL v24.3.5 (x86_64-pc-linux-gnu, built 2025/02/03 17:28:15)": "CockroachDB",
    f"PostgreSQL 11.2-YB-2.18.1.0-b0 {GNU} clang version 15.0.3 (https://github.com/yugabyte/"
    "llvm-project.git 0b8d1183), 64-bit": "YugabyteDB",
    f"PostgreSQL 15.2-YB-2025.1.2.0-b0 {GNU} clang version 17.0.6, 64-bit": "YugabyteDB",
    "PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 (Red Hat "
    "3.4.2-6.fc3), Redshift 1.0.10936": "Redshift",
    "PostgreSQL 9.4.26 (Greenplum Database 6.24.4 build commit:d1b94743b5 Open Source) on x86_64-"
    "unknown-linux-gnu, compiled by gcc (Ubuntu 7.5.0-3ubuntu1~18.04) 7.5.0, 64-bit": "Greenplum",
    "PostgreSQL 16": "PostgreSQL 16",  # Aurora DSQL: no build
    "PostgreSQL 13.14.0-RisingWave-2.0.0 (unknown)": "RisingWave",
    f"PostgreSQL 16.4-Fork {GNU} gcc, 64-bit": f"PostgreSQL 16.4-Fork {GNU} gcc, 64-bit",
    "": "a server that does not say what it is",
}


@pytest.mark.parametrize("version", POSTGRESQL)
def test_postgresql_is_taken_for_postgresql(version: str) -> None:
    assert not_postgresql(version) == ""


@pytest.mark.parametrize(("version", "product"), NOT_POSTGRESQL.items())
def test_what_speaks_postgresqls_protocol_is_named(version: str, product: str) -> None:
    assert not_postgresql(version) == product


MYSQL = [
    ("10.11.19-MariaDB-0+deb12u1", "Debian 12"),
    ("10.11.16-MariaDB-ubu2204-log", "mariadb.org binary distribution"),
    ("10.3.8-MariaDB-log", "Source distribution"),
    ("11.8.2-MariaDB", "MariaDB Server"),
    ("8.0.36", "MySQL Community Server - GPL"),
    ("8.0.36-0ubuntu0.22.04.1", "(Ubuntu)"),
    ("8.0.36-28", "Percona Server (GPL), Release 28, Revision 47601f19"),
    ("8.0.31-google", "(Google)"),
    ("5.7.44-log", "MySQL Community Server (GPL)"),
]
NOT_MYSQL = {
    ("5.7.25-TiDB-v7.0.0", "TiDB Server (Apache License 2.0) Community Edition"): "TiDB",
    ("8.0.11-TiDB-v7.5.0", "TiDB Server (Apache License 2.0)"): "TiDB",
    ("5.7.9-vitess-10.0.0-SNAPSHOT", "Version: 10.0.0-SNAPSHOT (Git revision d54b87c83)"): "Vitess",
    ("8.0.30-Vitess", "Version: 20.0.1"): "Vitess",
    ("5.7.32", "SingleStoreDB source distribution (compatible; MySQL Enterprise)"): "SingleStore",
    ("5.7.25", "OceanBase_CE 4.2.1.2 (r102000042023120514) (Built Dec  5 2023)"): "OceanBase",
    ("5.7.99", "Doris version doris-2.0.3"): "Apache Doris",
    ("8.0.33", "Dolt"): "Dolt",
    ("8.0.30-txsql", "20221230"): "8.0.30-txsql",
}


@pytest.mark.parametrize("told", MYSQL, ids=lambda told: told[0])
def test_mariadb_and_mysql_are_taken_for_themselves(told: tuple[str, str]) -> None:
    assert not_mysql(*told) == ""


@pytest.mark.parametrize(("told", "product"), NOT_MYSQL.items(), ids=str)
def test_what_speaks_mysqls_protocol_is_named(told: tuple[str, str], product: str) -> None:
    assert not_mysql(*told) == product
