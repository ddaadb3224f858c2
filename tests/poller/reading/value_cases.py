"""Types and values of each database, and how they go out: what test_values.py inserts and what
docs/values.md lists. Each list is in the order of the page."""

from collections.abc import Mapping
from dataclasses import dataclass

SHOWN = "text, as the client shows it"
DEEP = 500


@dataclass(frozen=True)
class Case:
    """`values`: an SQL literal → what a reader of the stream finds in JSON."""

    type: str
    form: str
    values: Mapping[str, object]
    setup: tuple[str, ...] = ()
    column: str = ""  # how it is declared, where it is not by the type alone

    @property
    def is_shown(self) -> bool:
        """Whether the JSON is just what the database's own client shows."""
        return self.form.startswith(SHOWN)


INTEGER = "number; beyond ±(2^53 - 1) a string of its digits"
FLOAT = 'number; `"NaN"`, `"Infinity"`, `"-Infinity"`'
BASE64 = "base64"
ISO = "ISO 8601: text as the client shows it, with a `T`"
ARRAY = "array of what its members are"

INTEGERS = {
    "9007199254740991": 9007199254740991,
    "9007199254740992": "9007199254740992",
    "-9223372036854775808": "-9223372036854775808",
}

POSTGRESQL = [
    Case("smallint", "number", {"-32768": -32768}),
    Case("integer", "number", {"2147483647": 2147483647}),
    Case("bigint", INTEGER, INTEGERS),
    Case("oid", "number", {"4294967295": 4294967295}),
    Case(
        "real",
        FLOAT,
        {"3.14": 3.14, "1e-45": 1e-45, "'NaN'": "NaN", "'-Infinity'": "-Infinity"},
    ),
    Case(
        "double precision",
        FLOAT,
        {
            "3.141592653589793": 3.141592653589793,
            "0.1": 0.1,
            "'-0'": -0.0,
            "1e300": 1e300,
            "'5e-324'": 5e-324,
            "'NaN'": "NaN",
            "'Infinity'": "Infinity",
        },
    ),
    Case(
        "numeric",
        SHOWN,
        {
            "1.10": "1.10",
            "0.00000000001": "0.00000000001",
            "12345678901234567890.123456789": "12345678901234567890.123456789",
            "1e40": "1" + "0" * 40,
            "'NaN'": "NaN",
            "'Infinity'": "Infinity",
            "'-Infinity'": "-Infinity",
        },
    ),
    Case("numeric(10,2)", SHOWN, {"3.14159": "3.14", "0": "0.00"}),
    Case("money", SHOWN, {"1234.5": "$1,234.50"}),
    Case("boolean", "boolean", {"true": True, "false": False, "NULL": None}),
    Case(
        "text",
        SHOWN,
        {"''": "", "'a ''b'' \" \\ é 🎉'": "a 'b' \" \\ é 🎉", r"E'a\r\nb\tc'": "a\r\nb\tc"},
    ),
    Case("varchar(9)", SHOWN, {"'abc '": "abc "}),
    Case("char(5)", SHOWN, {"'ab'": "ab   "}),
    Case('"char"', SHOWN, {"'a'": "a"}),
    Case("name", SHOWN, {"'a name'": "a name"}),
    Case("bytea", BASE64, {r"'\x00ff'": "AP8=", "''": ""}),
    Case(
        "date",
        ISO,
        {
            "'2026-11-22'": "2026-11-22",
            "'infinity'": "infinity",
            "'-infinity'": "-infinity",
            "'0044-03-15 BC'": "0044-03-15 BC",
            "'20000-01-01'": "20000-01-01",
        },
    ),
    Case(
        "timestamp",
        ISO,
        {
            "'2026-11-22 14:56:00'": "2026-11-22T14:56:00",
            "'2026-11-22 14:56:00.5'": "2026-11-22T14:56:00.5",
            "'infinity'": "infinity",
            "'0044-03-15 12:00 BC'": "0044-03-15T12:00:00 BC",
            "'294276-12-31 23:59:59.999999'": "294276-12-31T23:59:59.999999",
        },
    ),
    Case(
        "timestamptz",
        "ISO 8601 in UTC",
        {
            "'2026-11-22 14:56:00.123456+02'": "2026-11-22T12:56:00.123456Z",
            "'infinity'": "infinity",
            "'-infinity'": "-infinity",
            "'0044-03-15 12:00+00 BC'": "0044-03-15T12:00:00Z BC",
            "'20000-01-01 00:00+00'": "20000-01-01T00:00:00Z",
        },
    ),
    Case("time", SHOWN, {"'14:56:00.5'": "14:56:00.5", "'24:00'": "24:00:00"}),
    Case("timetz", SHOWN, {"'14:56+02'": "14:56:00+02", "'24:00:00+05:30'": "24:00:00+05:30"}),
    Case(
        "interval",
        SHOWN,
        {
            "'1 mon 2 days 03:04:05'": "1 mon 2 days 03:04:05",
            "'1 year -1 day'": "1 year -1 days",
            "'-00:00:01.5'": "-00:00:01.5",
            "'0'": "00:00:00",
            "'infinity'": "infinity",
        },
    ),
    Case(
        "uuid",
        SHOWN,
        {"'00000000-0000-0000-0000-000000000007'": "00000000-0000-0000-0000-000000000007"},
    ),
    Case(
        "inet",
        SHOWN,
        {
            "'10.0.0.1'": "10.0.0.1",
            "'10.0.0.1/8'": "10.0.0.1/8",
            "'::ffff:1.2.3.4'": "::ffff:1.2.3.4",
        },
    ),
    Case("cidr", SHOWN, {"'10.0.0.0/8'": "10.0.0.0/8", "'2001:db8::/32'": "2001:db8::/32"}),
    Case("macaddr", SHOWN, {"'08:00:2b:01:02:03'": "08:00:2b:01:02:03"}),
    Case("macaddr8", SHOWN, {"'08:00:2b:01:02:03:04:05'": "08:00:2b:01:02:03:04:05"}),
    Case("bit(4)", SHOWN, {"B'0101'": "0101"}),
    Case("bit varying", SHOWN, {"B'101'": "101", "B''": ""}),
    Case(
        "json",
        "the JSON itself, every character; its numbers that a double cannot hold are strings",
        {
            """'{"a": 1.10, "b": [1e400, 9007199254740993]}'""": {
                "a": 1.10,
                "b": ["1e400", "9007199254740993"],
            },
            "'\"text\"'": "text",
            "'null'": None,
            "'[\n1]'": [1],
            f"(repeat('[', {DEEP}) || repeat(']', {DEEP}))::json": "[" * DEEP + "]" * DEEP,
            r"""'"\ud800"'""": r'"\ud800"',
            "'3.141592653589793238'": "3.141592653589793238",
        },
    ),
    Case(
        "jsonb",
        "as json",
        {
            """'{"b": 1, "a": {"n": 18446744073709551616}}'""": {
                "a": {"n": "18446744073709551616"},
                "b": 1,
            },
            "'[1e2, 0.50]'": [100, 0.5],
        },
    ),
    Case("jsonpath", SHOWN, {"'$.a[*]'": '$."a"[*]'}),
    Case("tsvector", SHOWN, {"'a fat cat'": "'a' 'cat' 'fat'"}),
    Case("tsquery", SHOWN, {"'fat & cat'": "'fat' & 'cat'"}),
    Case("point", SHOWN, {"'(1,2.5)'": "(1,2.5)"}),
    Case("line", SHOWN, {"'{1,2,3}'": "{1,2,3}"}),
    Case("box", SHOWN, {"'(2,2),(1,1)'": "(2,2),(1,1)"}),
    Case("path", SHOWN, {"'[(1,1),(2,2)]'": "[(1,1),(2,2)]"}),
    Case("polygon", SHOWN, {"'((1,1),(2,2))'": "((1,1),(2,2))"}),
    Case("circle", SHOWN, {"'<(1,1),2>'": "<(1,1),2>"}),
    Case("int4range", SHOWN, {"'[1,5]'": "[1,6)", "'empty'": "empty"}),
    Case("int8range", SHOWN, {"'[9007199254740993,)'": "[9007199254740993,)"}),
    Case("numrange", SHOWN, {"'(1.10,NaN]'": "(1.10,NaN]"}),
    Case("daterange", SHOWN, {"'[2026-11-22,infinity)'": "[2026-11-22,infinity)"}),
    Case("tsrange", SHOWN, {"'[2026-11-22,infinity]'": '["2026-11-22 00:00:00",infinity]'}),
    Case("tstzrange", SHOWN, {"'[2026-11-22 00:00+00,)'": '["2026-11-22 00:00:00+00",)'}),
    Case("int8multirange", SHOWN, {"'{[1,3),[9007199254740993,)}'": "{[1,3),[9007199254740993,)}"}),
    Case("datemultirange", SHOWN, {"'{[2026-11-22,2026-11-24)}'": "{[2026-11-22,2026-11-24)}"}),
    Case("pg_lsn", SHOWN, {"'16/B374D848'": "16/B374D848"}),
    Case("pg_snapshot", SHOWN, {"'10:20:10,14'": "10:20:10,14"}),
    Case("xid8", SHOWN, {"'18446744073709551615'": "18446744073709551615"}),
    Case("tid", SHOWN, {"'(1,2)'": "(1,2)"}),
    Case("xid", SHOWN, {"'5'": "5"}),
    Case("lseg", SHOWN, {"'[(1,1),(2,2)]'": "[(1,1),(2,2)]"}),
    Case("aclitem", SHOWN, {"'rowcast=r/rowcast'": "rowcast=r/rowcast"}),
    Case(
        "vector",
        SHOWN,
        {"'[1,2.5]'": "[1,2.5]"},
        ("CREATE EXTENSION vector",),
    ),
    Case("regclass", SHOWN, {"'pg_class'": "pg_class"}),
    Case("int2vector", SHOWN, {"'1 2'": "1 2"}),
    Case(
        "an enum",
        SHOWN,
        {"'happy'": "happy", "'a, \"b\"'": 'a, "b"'},
        ("CREATE TYPE mood AS ENUM ('happy', 'a, \"b\"')",),
        "mood",
    ),
    Case(
        "a domain",
        "as the type that it is of",
        {"7": 7, "9007199254740993": "9007199254740993"},
        ("CREATE DOMAIN big AS bigint CHECK (VALUE > 0)", "CREATE DOMAIN bigger AS big"),
        "bigger",
    ),
    Case(
        "a composite type",
        SHOWN,
        {"ROW(1, 'a b', NULL)": '(1,"a b",)'},
        ("CREATE TYPE triple AS (n int, t text, d date)",),
        "triple",
    ),
    Case(
        "bigint[]",
        ARRAY,
        {
            "'{1,NULL,9007199254740993}'": [1, None, "9007199254740993"],
            "'{{1,2},{3,4}}'": [[1, 2], [3, 4]],
            "'{}'": [],
        },
    ),
    Case("text[]", ARRAY, {'\'{a,"b,c",NULL,"NULL",""}\'': ["a", "b,c", None, "NULL", ""]}),
    Case("boolean[]", ARRAY, {"'{t,f,NULL}'": [True, False, None]}),
    Case("float8[]", ARRAY, {"'{0.1,NaN,-Infinity}'": [0.1, "NaN", "-Infinity"]}),
    Case("numeric[]", ARRAY, {"'{1.10,NaN,NULL}'": ["1.10", "NaN", None]}),
    Case("bytea[]", ARRAY, {r"""'{"\\x00ff",NULL}'""": ["AP8=", None]}),
    Case("date[]", ARRAY, {"'{2026-11-22,infinity}'": ["2026-11-22", "infinity"]}),
    Case(
        "timestamptz[]",
        ARRAY,
        {"'{2026-11-22 00:00+00,infinity}'": ["2026-11-22T00:00:00Z", "infinity"]},
    ),
    Case("interval[]", ARRAY, {"'{1 mon}'": ["1 mon"]}),
    Case("inet[]", ARRAY, {"'{10.0.0.1}'": ["10.0.0.1"]}),
    Case(
        "uuid[]",
        ARRAY,
        {"'{00000000-0000-0000-0000-000000000007}'": ["00000000-0000-0000-0000-000000000007"]},
    ),
    Case(
        "jsonb[]",
        ARRAY,
        {"""ARRAY['{"a":9007199254740993}'::jsonb]""": [{"a": "9007199254740993"}]},
    ),
    Case("int8range[]", ARRAY, {"ARRAY['[1,5)'::int8range]": ["[1,5)"]}),
    Case(
        "an array of an enum",
        ARRAY,
        {"ARRAY['happy','sad']::mood[]": ["happy", "sad"]},
        ("CREATE TYPE mood AS ENUM ('happy', 'sad')",),
        "mood[]",
    ),
    Case(
        "an array of a composite type",
        SHOWN,
        {"ARRAY[ROW(1,'a')]::pair[]": '{"(1,a)"}'},
        ("CREATE TYPE pair AS (n int, t text)",),
        "pair[]",
    ),
    Case(
        "a generated column",
        "as its type",
        {"DEFAULT": "2.20"},
        column="numeric GENERATED ALWAYS AS (1.10 * 2) STORED",
    ),
]

MARIADB = [
    Case("TINYINT(1), BOOLEAN", "number", {"TRUE": 1, "-128": -128}, column="TINYINT(1)"),
    Case("INT UNSIGNED", "number", {"7": 7, "4294967295": 4294967295}),
    Case("BIGINT", INTEGER, INTEGERS),
    Case("BIGINT UNSIGNED", INTEGER, {"18446744073709551615": "18446744073709551615"}),
    Case("FLOAT", "number, as many digits as the client shows", {"3.14": 3.14, "1e-30": 1e-30}),
    Case(
        "DOUBLE, REAL",
        "number",
        {
            "1e-12": 1e-12,
            "3.141592653589793": 3.141592653589793,
            "1e300": 1e300,
            "2.2250738585072014e-308": 2.2250738585072014e-308,
        },
        column="DOUBLE",
    ),
    Case(
        "DECIMAL",
        SHOWN,
        {
            "0": "0.0000000000",
            "1.1": "1.1000000000",
            "12345678901234567890": "12345678901234567890.0000000000",
        },
        column="DECIMAL(65,10)",
    ),
    Case(
        "BIT(n)",
        "number; " + INTEGER.split("; ")[1],
        {"b'1'": 1, "b'101'": 5, f"b'{'1' * 64}'": str(2**64 - 1)},
        column="BIT(64)",
    ),
    Case(
        "CHAR(n), VARCHAR(n)", SHOWN, {"''": "", "'a '": "a ", "'é🎉'": "é🎉"}, column="VARCHAR(9)"
    ),
    Case("TEXT and its kin", SHOWN, {"'a\\tb'": "a\tb", "'a\\0b'": "a\0b"}, column="LONGTEXT"),
    Case("TEXT in latin1", SHOWN, {"'é'": "é"}, column="TEXT CHARACTER SET latin1"),
    Case("ENUM", SHOWN, {"'b'": "b"}, column="ENUM('a', 'b')"),
    Case("SET", SHOWN, {"'c,a'": "a,c", "''": ""}, column="SET('a', 'b', 'c')"),
    Case("BINARY(n)", BASE64, {"x'00ff'": "AP8A"}, column="BINARY(3)"),
    Case("VARBINARY(n), BLOB and its kin", BASE64, {"x'00ff'": "AP8=", "''": ""}, column="BLOB"),
    Case(
        "DATE",
        SHOWN,
        {"'2026-11-22'": "2026-11-22", "'0000-00-00'": "0000-00-00", "'2026-02-31'": "2026-02-31"},
    ),
    Case(
        "DATETIME",
        ISO,
        {
            "'2026-11-22 14:56:00'": "2026-11-22T14:56:00.000000",
            "'9999-12-31 23:59:59.999999'": "9999-12-31T23:59:59.999999",
            "'0000-00-00'": "0000-00-00T00:00:00.000000",
            "'2026-00-10'": "2026-00-10T00:00:00.000000",
        },
        column="DATETIME(6)",
    ),
    Case(
        "TIMESTAMP",
        "ISO 8601 in UTC",
        {"'2026-11-22 14:56:00'": "2026-11-22T14:56:00Z", "0": "0000-00-00T00:00:00Z"},
        column="TIMESTAMP NULL",
    ),
    Case(
        "TIME",
        SHOWN,
        {"'30:00:00'": "30:00:00", "'-01:30:00'": "-01:30:00", "'838:59:59'": "838:59:59"},
    ),
    Case("TIME(6)", SHOWN, {"'-00:00:00.5'": "-00:00:00.500000"}),
    Case("YEAR", "number", {"2026": 2026, "0": 0}),
    Case(
        "JSON",
        SHOWN + ": MariaDB keeps it as text",
        {"""'{"a": 1e400, "a": 9007199254740993}'""": '{"a": 1e400, "a": 9007199254740993}'},
    ),
    Case(
        "UUID",
        SHOWN,
        {"'00000000-0000-0000-0000-000000000007'": "00000000-0000-0000-0000-000000000007"},
    ),
    Case("INET4", SHOWN, {"'10.0.0.1'": "10.0.0.1"}),
    Case("INET6", SHOWN, {"'::ffff:1.2.3.4'": "::ffff:1.2.3.4"}),
    Case(
        "POINT, GEOMETRY and their kin",
        "base64 of the SRID (4 bytes) and the WKB",
        {"POINT(1, 2)": "AAAAAAEBAAAAAAAAAAAA8D8AAAAAAAAAQA=="},
        column="POINT",
    ),
    Case(
        "a generated column",
        "as its type",
        {"DEFAULT": "2.20"},
        column="DECIMAL(5,2) AS (1.10 * 2)",
    ),
]

ANY = {
    "1": 1,
    "9007199254740993": "9007199254740993",
    "9223372036854775807": "9223372036854775807",
    "0.1": 0.1,
    "9e999": "Infinity",
    "-9e999": "-Infinity",
    "'tomorrow'": "tomorrow",
    "''": "",
    "x'00ff'": "AP8=",
    "CAST(x'610062' AS TEXT)": "a\0b",
    "NULL": None,
}
STORED = (
    "by what was stored, not by what was declared: an integer or real is a number (integers beyond "
    "±(2^53 - 1) and infinities are strings), text a string, a blob base64"
)
SQLITE = [
    Case(
        "none",
        STORED,
        ANY,
        column=" ",
    ),
    Case("INTEGER", "as above", {"'N/A'": "N/A", "x'00ff'": "AP8=", "2": 2}),
    Case(
        "NUMERIC, DECIMAL(10,2)",
        "as above",
        {"12345678901234567": "12345678901234567", "3.14159": 3.14159, "'N/A'": "N/A"},
        column="DECIMAL(10,2)",
    ),
    Case("BOOLEAN", "as above", {"TRUE": 1, "'false'": "false", "5": 5}),
    Case(
        "JSON",
        "as above: a string that holds JSON",
        {"'N/A'": "N/A", "'{\"a\": 1e400}'": '{"a": 1e400}'},
    ),
    Case(
        "DATE, DATETIME, TIMESTAMP, TIME",
        "as above",
        {"'2026-11-22T10:00Z'": "2026-11-22T10:00Z", "7": 7, "'24:00'": "24:00"},
        column="DATETIME",
    ),
    Case(
        "REAL, FLOAT, DOUBLE",
        "as above",
        {"1e-12": 1e-12, "1e300": 1e300, "'a'": "a"},
        column="REAL",
    ),
    Case(
        "TEXT, VARCHAR(3)",
        "as above",
        {"'longer than declared'": "longer than declared", "7": "7"},
        column="VARCHAR(3)",
    ),
    Case("BLOB", "as above", {"x'00'": "AA==", "'a'": "a"}),
    Case("any other", "as above", {"'(1,2)'": "(1,2)"}, column="POINT"),
    Case("a generated column", "as above", {"DEFAULT": 2.5}, column="AS (5 / 2.0)"),
]

DATABASES = {"postgresql": POSTGRESQL, "mariadb": MARIADB, "sqlite": SQLITE}
