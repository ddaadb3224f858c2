"""Which tests run in one process when there are several (pytest-xdist, `--dist loadgroup`).

A group stays together. One group a database, so that its server is started once; and one a file for
what needs no server, so that a wall which the file shares is served once. Campaigns are left apart:
each of their tests takes long and shares nothing.

Long groups begin first, so that the processes end at about the same time.
"""

import pytest

# Fixture, or value of a parameter that names one → group.
DATABASES = {
    "postgres_server": "postgresql",
    "postgresql": "postgresql",
    "mariadb_server": "mariadb",
    "mariadb": "mariadb",
    "mariadb_mdl_server": "mariadb",
    "mariadb_mdl": "mariadb",
}
FOLDERS = ("serving", "browser", "clients", "campaigns")  # the others' tests are short


def group_for_processes(items: list[pytest.Item]) -> None:
    """Marks each test with its group, and puts the long groups first."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=_rank)


def _group(item: pytest.Item) -> str:
    file, _, name = item.nodeid.partition("::")
    if databases := _databases(item):
        return databases[0]
    return f"{file}-{name}" if "campaigns" in item.path.parts else file


def _databases(item: pytest.Item) -> list[str]:
    """Those it needs, PostgreSQL first."""
    params = (
        item.callspec.params.values()
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
        else ()
    )
    asked = {*getattr(item, "fixturenames", ()), *(one for one in params if isinstance(one, str))}
    return sorted({group for name, group in DATABASES.items() if name in asked}, reverse=True)


def _rank(item: pytest.Item) -> tuple[bool, int]:
    folders = [name in item.path.parts for name in FOLDERS]
    return not _databases(item), folders.index(True) if True in folders else len(folders)
