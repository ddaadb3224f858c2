"""The target: the database that a command works on, and the password, which is best kept out of
the command.

A database is, in this order: the argument URL, `--database`, the application's own under `flask
rowcast`, DATABASE_URL. A password is: `--password-file`, what is typed at `--password`, the URL's,
PGPASSWORD or ~/.pgpass for PostgreSQL, MYSQL_PWD for MariaDB and MySQL.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from poller.commands.layout import safe

if TYPE_CHECKING:
    from poller.feed import Feed
    from poller.runtime.settings import Settings
    from poller.service import Service

DATABASE = """\b
The database:
  sqlite:///shop.db                     a file, relative to here; or just its name
  sqlite:////srv/shop.db                a file, by its absolute path
  postgresql://user@host:5432/shop
  mysql://user@host:3306/shop           MariaDB, too
Without URL and --database, the environment variable DATABASE_URL is used.
Keep a password out of the command, which other users see: PostgreSQL takes it
from PGPASSWORD or ~/.pgpass, MariaDB and MySQL from MYSQL_PWD. For both there
is --password-file, and --password asks for it.
"""
CTRL_C = 130  # as shells say it


class NotDone(click.ClickException):
    """The command could not be followed; the text says what to do."""

    exit_code = 2

    def format_message(self) -> str:
        """What a server said may be in it."""
        return "\n".join(map(safe, self.message.split("\n")))


class OwnProcess:
    """In a command's context: the process is `rowcast`'s own, and may be patched for gevent. In an
    application's it is too late for that, and a query is bounded by the server alone."""


@dataclass(frozen=True, slots=True)
class Target:
    """What was said of the database, beside the argument URL."""

    context: click.Context
    database: str | None
    ask: bool
    password_file: Path | None

    def url(self, argument: str | None) -> str:
        """The database's URL, with the password if it is known. Raises ClickException."""
        return self.urls(argument)[0]

    def urls(self, argument: str | None) -> list[str]:
        """The same; an application may have several. Raises ClickException."""
        if argument and self.database:
            raise click.UsageError("name one database: as URL or with --database")
        given = [one for one in (argument, self.database) if one]
        if not given:
            given = databases_of(feeds_here(self.context))
        if not given and (url := os.environ.get("DATABASE_URL")):
            given = [url]
        if not given:
            raise click.UsageError("name the database: set DATABASE_URL, or give --database")
        return [self._with_password(_as_url(one)) for one in given]

    def url_and_table(self, arguments: Sequence[str]) -> tuple[str, str]:
        """From `[URL] TABLE`. One argument alone is the URL if it looks like one."""
        given, usage = [*arguments], f"{self.context.info_name} [URL] TABLE"
        url = given.pop(0) if len(given) == 2 or (given and "://" in given[0]) else None
        if len(given) > 1:
            raise click.UsageError(f"name one database and one table: {usage}")
        found = self.url(url)
        if not given:
            raise click.UsageError(f"name the table, too: {usage}. rowcast tables lists them")
        return found, given[0]

    def _with_password(self, text: str) -> str:
        from sqlalchemy.engine import make_url

        url = make_url(text)
        if self.password_file is not None:
            lines = self.password_file.read_text(encoding="utf-8").splitlines()
            url = url.set(password=lines[0] if lines else "")
        elif self.ask:
            url = url.set(password=click.prompt("Password", hide_input=True, err=True))
        elif url.password is None and url.get_backend_name() in ("mysql", "mariadb"):
            url = url.set(password=os.environ.get("MYSQL_PWD"))
        return url.render_as_string(hide_password=False)


def for_a_database(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the options of the database. It is called with `target`."""

    @click.option("--database", metavar="URL", help="The database, instead of the argument.")
    @click.option("-W", "--password", "ask", is_flag=True, help="Ask for the password.")
    @click.option(
        "--password-file",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Read the password from the first line of FILE.",
    )
    @click.pass_context
    @functools.wraps(command)
    def with_target(
        context: click.Context,
        /,
        *,
        database: str | None,
        ask: bool,
        password_file: Path | None,
        **others: Any,
    ) -> Any:
        try:
            if context.find_object(OwnProcess):
                _make_cooperative()
            return command(Target(context, database, ask, password_file), **others)
        except KeyboardInterrupt:
            context.exit(CTRL_C)

    return with_target


def settings_of(context: click.Context) -> Settings:
    """Those of the application's first notifier under `flask rowcast`, else those of the
    environment. Raises NotDone."""
    from poller.runtime.environment import without_wall_settings
    from poller.runtime.settings import Settings, SettingsError

    for service in services_here(context).values():
        return service.settings
    try:
        return Settings.from_env(without_wall_settings(os.environ))
    except SettingsError as error:
        raise NotDone(str(error)) from None


def services_here(context: click.Context) -> dict[str, Service]:
    """Those of the application's notifiers under `flask rowcast`, by name: first the one that was
    given none. Raises NotDone if there is none."""
    cli = sys.modules.get("flask.cli")
    script = None if cli is None else context.find_object(cli.ScriptInfo)
    if script is None:
        return {}
    from poller.web.current import EXTENSION, services_of

    found = services_of(script.load_app())
    if not found:
        raise NotDone("this application has no notifier: call init_app() first")
    return dict(sorted(found.items(), key=lambda one: one[0] != EXTENSION))


class Watched(NamedTuple):
    """A feed of an application, and the settings that it has there."""

    feed: Feed
    settings: Settings

    @property
    def database(self) -> str:
        """The URL of its database."""
        return self.feed.database.url.render_as_string(hide_password=False)


def feeds_here(context: click.Context) -> dict[str, Watched]:
    """The feeds of the application under `flask rowcast`, by label: `orders`, or `archive/orders`
    of a notifier that is named archive. Raises NotDone if it has no notifier."""
    return {
        feed.label: Watched(feed, service.settings.model_copy(update=feed.watch.settings))
        for service in services_here(context).values()
        for feed in service.feeds.values()
    }


def databases_of(feeds: Mapping[str, Watched]) -> list[str]:
    """The URL of each of their databases, once."""
    return [*dict.fromkeys(one.database for one in feeds.values())]


def nearest(name: str, names: Sequence[str]) -> str:
    """` Did you mean …?`, or nothing."""
    import difflib

    found = difflib.get_close_matches(name, names, n=1)
    return f" Did you mean {found[0]}?" if found else ""


def _make_cooperative() -> None:
    """Before anything else is imported. It bounds every query, and lets signals through."""
    from gevent import get_hub, getcurrent, monkey

    monkey.patch_all()
    command, loop = getcurrent(), get_hub().loop

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        """Raised in the command, and not in the middle of one of the loop's callbacks: gevent would
        go on with that one afterwards, whose selector is closed by then."""
        if getcurrent() is command:
            raise KeyboardInterrupt
        loop.run_callback(command.throw, KeyboardInterrupt)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)


def _as_url(given: str) -> str:
    """`given`, which may name a file that is there. Raises NotDone."""
    from poller.runtime.database_url import checked_url

    if "://" not in given:
        if not Path(given).is_file():
            raise NotDone(f"{given} is neither an existing file nor the URL of a database")
        return f"sqlite:///{given}"
    try:
        return checked_url(given)
    except ValueError as error:
        raise NotDone(str(error)) from None
