"""The wall as a program: `python app.py` serves it, and so does `gunicorn app:app`."""

from gevent import monkey

monkey.patch_all()  # before anything that imports sockets

import errno
import os
import socket
import sys

import click
from flask import Flask

from wall import create_app
from wall.settings import PROJECT, SettingsError, WallSettings

__all__ = ["create_app"]


def __getattr__(name: str) -> Flask:
    """`app` is made when gunicorn asks for it, so that an import needs no environment."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["app"] = app = create_app()
    return app


@click.command()
def main() -> None:
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
