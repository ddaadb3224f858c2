"""The wall as a program: `python app.py` serves it, and so does `gunicorn app:app`."""

from gevent import monkey

monkey.patch_all()  # before anything that imports sockets

import errno
import os
import socket
import sys

import click
from flask import Flask

from models import Post
from poller.doctor import NOT_WATCHED, diagnose
from wall import create_app
from wall.settings import PROJECT, SettingsError, WallSettings

__all__ = ["create_app"]


def __getattr__(name: str) -> Flask:
    """`app` is made when gunicorn asks for it, so that an import needs no environment."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["app"] = app = create_app()
    return app


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Rowcast's wall. Without a command: serve it on HOST and PORT."""
    if context.invoked_subcommand is None:
        context.invoke(serve)


@main.command()
def serve() -> None:
    """Serve the wall with gunicorn, as gunicorn.conf.py has it."""
    try:
        settings = WallSettings.from_env()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    address = free_address(settings.host, settings.port)
    click.echo(f"Rowcast: http://{address}  (Ctrl-C ends)")
    sys.stdout.flush()
    # In place of this process, so that a signal sent to it reaches the server. The path instead of
    # a change of folder, so that a relative database file is where the user is.
    paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    config = str(PROJECT / "gunicorn.conf.py")
    command = [sys.executable, "-m", "gunicorn", "-c", config, "-b", address, "app:app"]
    os.execve(sys.executable, command, env)  # noqa: S606 - no shell wanted


@main.command()
@click.argument("url", required=False)
@click.argument("table", required=False)
@click.option("--key", metavar="COLUMN", help="The integer id, where it is not the primary key.")
@click.pass_context
def doctor(context: click.Context, url: str | None, table: str | None, key: str | None) -> None:
    """Say what is promised for TABLE of the database URL, and why.

    Without them: for the wall's own posts. Nothing is written. Exit status: 0 the whole promise,
    1 with exceptions, which are named, 2 the table cannot be watched, or the database not asked.
    """
    if url and not table:
        raise click.UsageError("name the table, too: doctor URL TABLE")
    try:
        settings = WallSettings.from_env()
    except SettingsError as error:
        click.echo(f"Error: {error}", err=True)
        context.exit(NOT_WATCHED)
    report = diagnose(url or settings.where(), table or Post, settings, key)
    encoding = sys.stdout.encoding
    for line in report.lines():
        click.echo(line.encode(encoding, "backslashreplace").decode(encoding))
    context.exit(report.status)


def free_address(host: str, port: int) -> str:
    """`host:port` to bind; port 0 becomes a free one. Raises ClickException where it is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            advice = f"Stop what runs there, or take another port: PORT={port + 1} python app.py"
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                advice = "HOST must be an address of this machine, as in HOST=127.0.0.1"
            raise click.ClickException(
                f"HOST={host} PORT={port} cannot be used: {error.strerror}. {advice}"
            ) from None
        bound = probe.getsockname()[1]
    return f"[{host}]:{bound}" if family is socket.AF_INET6 else f"{host}:{bound}"


if __name__ == "__main__":
    main()
