"""A database URL's own options win, are merged, or are refused in words."""

from urllib.parse import quote

import pytest

from poller.reading.database import Database
from poller.reading.url import parsed, split_settings


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql+psycopg2://u:geheim@h/d", "through psycopg,.*write postgresql://"),
        ("postgresql+asyncpg://u:geheim@h/d", "write postgresql://"),
        ("postgresql+psycopg_async://u:geheim@h/d", "write postgresql://"),
        ("mysql+mysqldb://u:geheim@h/d", "through pymysql,.*write mysql://"),
        ("mariadb+mariadbconnector://u:geheim@h/d", "write mariadb://"),
        ("sqlite+aiosqlite:///x.db", "write sqlite://"),
        ("mysql://u:geheim@h/d?charset=latin1", "charset=latin1.*write charset=utf8mb4"),
        ("mariadb://u:geheim@h/d?charset=utf8", "charset=utf8 .*write charset=utf8mb4"),
        ("mysql://u:geheim@h/d?use_unicode=0", "use_unicode.*bytes"),
        ("postgresql://u:geheim@h/d?prepare_threshold=5", "prepare_threshold.*pooler"),
        ("postgresql://u:geheim@h/d?options=-cdatestyle%3DGerman", "datestyle=German.*iso"),
        ("postgresql://h/d?options=-c%20intervalstyle%3Diso_8601", "intervalstyle=iso_8601"),
        ("sqlite:///x.db?timeout=20", "timeout.*ROWCAST_QUERY_TIMEOUT"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_to_do(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refusal:
        Database(url)
    assert "geheim" not in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "settings", "left"),
    [
        ("-csearch_path=shop", {"search_path": "shop"}, None),
        ("-c search_path=shop,public", {"search_path": "shop,public"}, None),
        (r"-c search_path=a\ b -c TimeZone=UTC", {"search_path": "a b", "timezone": "UTC"}, None),
        ("endpoint=ep-cool -c geqo=off", {"geqo": "off"}, "endpoint=ep-cool"),
        ("--cluster=mine", {}, "--cluster=mine"),
        ("-c", {}, "-c"),
        ("", {}, None),
    ],
)
def test_settings_are_taken_out_of_postgresql_s_options(
    options: str, settings: dict[str, str], left: str | None
) -> None:
    url, found = split_settings(
        parsed(f"postgresql://h/d?sslmode=require&options={quote(options)}")
    )
    assert found == settings
    assert url.query.get("options") == left
    assert url.query["sslmode"] == "require"
