"""What `pip install` brings, and the commands that come with it."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import poller
from tests.docs.pages import blocks
from tests.harness import sql
from tests.package.helpers import DATABASE, MAY_INSTALL, PROJECT, TEN_LINES, Environment, write

pytestmark = [pytest.mark.package, MAY_INSTALL]

NO_MODULES = {"py.typed", "static/rowcast.js", "static/rowcast.d.ts", "watching/page/watch.html"}


def test_the_wheel_has_the_package_alone(
    installed: Environment, checkout: Path, tmp_path: Path
) -> None:
    before = {path.relative_to(checkout) for path in checkout.rglob("*")}
    installed.run("pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path), str(checkout))
    assert {path.relative_to(checkout) for path in checkout.rglob("*")} == before
    (wheel,) = tmp_path.glob("rowcast-*.whl")
    assert wheel.name.startswith(f"rowcast-{poller.__version__}-py3-none-any")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {
        "poller",
        f"rowcast-{poller.__version__}.dist-info",
    }
    files = {path for path in checkout.glob("poller/**/*") if path.is_file()}
    ours = {str(path.relative_to(checkout)) for path in files}
    assert {f"poller/{one}" for one in NO_MODULES} <= ours
    assert {name for name in names if name.startswith("poller/")} == ours


def test_only_what_was_asked_for_is_installed(installed: Environment) -> None:
    packages = installed.run("pip", "list", "--format", "freeze").stdout
    assert f"rowcast=={poller.__version__}" in packages
    assert "psycopg-binary==" in packages
    for absent in ("PyMySQL", "cryptography", "Flask-WTF", "limits"):
        assert absent not in packages
    assert "No broken requirements" in installed.run("pip", "check").stdout


def test_the_command_tells_its_version(installed: Environment) -> None:
    said = f"rowcast, version {poller.__version__}\n"
    assert installed.run("rowcast", "--version").stdout == said
    assert installed.run("python", "-m", "poller", "--version").stdout == said


def test_doctor_looks_at_a_table(installed: Environment, shop: Path) -> None:
    said = installed.run("rowcast", "doctor", "orders", folder=shop, **DATABASE).stdout
    assert said.endswith("orders can be watched; the promise holds in full.\n")
    misspelt = installed.run_any("rowcast", "doctor", "oders", folder=shop, **DATABASE)
    assert (misspelt.returncode, "Did you mean orders?" in misspelt.stdout) == (2, True)


def test_two_commands_lead_to_the_rows_of_a_table(
    installed: Environment, shop: Path, order: Callable[[str], None]
) -> None:
    listed = installed.run("rowcast", "tables", "shop.db", folder=shop).stdout
    assert re.search(r"^orders +table +id +0 +in full$", listed, re.MULTILINE)
    order("Ada")
    given = ("tail", "shop.db", "orders", "--from", "0", "--exit-after", "1", "--format", "json")
    for program in (["rowcast"], ["python", "-m", "poller"]):
        ended = installed.run(*program, *given, folder=shop)
        assert ended.stdout == '{"id":1,"customer":"Ada","total":5}\n'
        assert "1 row; to go on: --from " in ended.stderr


def test_an_application_says_which_extra_is_missing(installed: Environment, shop: Path) -> None:
    write(shop, shop=TEN_LINES)
    env = {"DATABASE_URL": "mysql://ann:s3cr3t@127.0.0.1/shop"}
    told = installed.run_any("python", "-c", "import shop", folder=shop, **env)
    last = told.stderr.splitlines()[-1]
    assert (told.returncode, last.endswith(": pip install 'rowcast[mysql]'")) == (1, True), last
    assert "s3cr3t" not in told.stderr


def test_doctor_says_which_extra_is_missing(installed: Environment, shop: Path) -> None:
    told = installed.run_any("rowcast", "doctor", "mysql://127.0.0.1/shop", "orders", folder=shop)
    assert (told.returncode, "pip install 'rowcast[mysql]'" in told.stdout) == (2, True)


def test_doctor_looks_at_the_applications_own_feeds(installed: Environment, shop: Path) -> None:
    write(shop, shop=TEN_LINES)
    sql.execute(f"sqlite:///{shop / 'shop.db'}", "ALTER TABLE orders DROP COLUMN total")
    said = installed.run_any("flask", "--app", "shop", "rowcast", "doctor", folder=shop, **DATABASE)
    assert (said.returncode, "orders has no column total" in said.stdout) == (2, True)
    assert "doctor" in installed.run("flask", "rowcast", "--help", folder=shop).stdout


def test_a_setting_of_the_wall_is_told_as_such(installed: Environment, shop: Path) -> None:
    write(shop, shop=TEN_LINES)
    env = {**DATABASE, "ROWCAST_PROXIES": "1"}
    told = installed.run_any("python", "-c", "import shop", folder=shop, **env).stderr
    assert "ROWCAST_PROXIES is a setting of Rowcast's example wall" in told
    assert "ProxyFix" in told
    common = {**DATABASE, "HOST": "0.0.0.0", "PORT": "http"}
    installed.run("python", "-c", "import shop", folder=shop, **common)


def test_the_users_own_tests_pass(installed: Environment, shop: Path) -> None:
    """Those of docs/testing.md, in a process that is not patched."""
    for block in blocks(PROJECT / "docs" / "testing.md"):
        if "file" in block.options:
            (shop / block.options["file"]).write_text(block.text)
    told = installed.run("python", "-m", "pytest", "-q", "-W", "error", folder=shop)
    assert "3 passed" in told.stdout
