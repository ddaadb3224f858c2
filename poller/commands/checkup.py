"""A check-up of the place in which a server is to run: one `Checked` after the other."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import click
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from poller.access.capacity import FEW_STREAMS, MOST_PAGES, RESERVED_DESCRIPTORS, Capacity
from poller.commands.check import EXCEPTIONS, FAILED, WHOLE
from poller.commands.target import Target, settings_of
from poller.doctor import only_to_read, place_of, why
from poller.reading.database import Database
from poller.reading.turns import AHEAD, KEPT
from poller.runtime.settings import Settings

MOST_CONNECTIONS = {
    "postgresql": "SHOW max_connections",
    "mysql": "SELECT @@max_connections",
    "mariadb": "SELECT @@max_connections",
}
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MySQL"}
VERSION = {"sqlite": "SELECT sqlite_version()", "postgresql": "SHOW server_version"}
OF_A_WORKER = KEPT + AHEAD  # connections at most


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found, and what to do about it if it is not as it should be."""

    status: int
    fact: str
    remedy: str = ""


def checkup(
    target: Target, url: str | None, host: str, port: int, workers: int
) -> Iterator[Checked]:
    settings = Settings()
    try:
        settings = settings_of(target.context)
        yield _settings(settings)
    except click.ClickException as error:
        yield Checked(FAILED, error.message)
    try:
        for one in target.urls(url):
            yield from _database(one, settings, workers)
    except click.ClickException as error:
        yield Checked(FAILED, f"no database: {error.message}")
    yield _port(host, port)
    yield _files(settings)
    yield _workers(workers, settings)


def _settings(settings: Settings) -> Checked:
    names = [name for name, field in Settings.names().items() if field in settings.model_fields_set]
    set_here = ", ".join(name for name in names if name != "DATABASE_URL")
    told = f"{set_here} set, the others at their defaults" if set_here else "all at their defaults"
    return Checked(WHOLE, f"settings: {told}")


# -- the database ---------------------------------------------------------------------------------


def _database(url: str, settings: Settings, workers: int) -> Iterator[Checked]:
    place = place_of(make_url(url))
    try:
        to_read = only_to_read(make_url(url)).render_as_string(hide_password=False)
        database = Database(to_read, query_timeout_s=settings.query_timeout_s)
        try:
            version = database.read(_version)
            began_at = time.monotonic()
            database.read(lambda connection: connection.execute(text("SELECT 1")).all())
            took_ms = 1000 * (time.monotonic() - began_at)
            yield Checked(WHOLE, f"database: {place}, {version}, answers in {took_ms:.1f} ms")
            yield from _connections(database, workers, listening=settings.listen is not None)
        finally:
            database.close()
    except Exception as error:  # noqa: BLE001 - drivers raise anything
        yield Checked(FAILED, f"database: {place} cannot be queried: {why(error)}")


def _version(connection: Connection) -> str:
    dialect = connection.dialect
    version = str(connection.scalar(text(VERSION.get(dialect.name, "SELECT version()"))))
    name = "MariaDB" if getattr(dialect, "is_mariadb", False) else None
    return f"{name or NAMES.get(dialect.name, dialect.name)} {version.partition('-')[0]}"


def _connections(database: Database, workers: int, *, listening: bool) -> Iterator[Checked]:
    statement = MOST_CONNECTIONS.get(database.dialect)
    if statement is None:
        return
    most = int(database.read(lambda connection: connection.scalar(text(statement))) or 0)
    needed = workers * (OF_A_WORKER + listening)
    fact = f"connections: the workers open up to {needed:,}, the server takes {most:,} in all"
    if needed < most:
        yield Checked(WHOLE, fact)
    else:
        yield Checked(EXCEPTIONS, fact, "raise max_connections of the server, or use a pooler")


# -- the machine ----------------------------------------------------------------------------------


def _port(host: str, port: int) -> Checked:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            fact = f"port: {host}:{port} cannot be used: {error.strerror}"
            return Checked(FAILED, fact, "stop what runs there, or choose another --host or --port")
    return Checked(WHOLE, f"port: {host}:{port} is free")


def _files(settings: Settings) -> Checked:
    room = Capacity.of_this_process(settings.max_streams)
    fact = f"open files: {room.open_files:,}, room for {room.streams:,} streams in each worker"
    if room.streams >= min(room.wanted, FEW_STREAMS):
        return Checked(WHOLE, fact)
    needed = room.wanted + MOST_PAGES + RESERVED_DESCRIPTORS
    return Checked(EXCEPTIONS, fact, f"ulimit -Hn {needed}, or LimitNOFILE={needed} in systemd")


def _workers(workers: int, settings: Settings) -> Checked:
    """Workers share nothing: each polls for itself."""
    polls = workers / settings.poll_interval_s
    who = "1 worker polls" if workers == 1 else f"each of {workers} workers polls for itself"
    return Checked(WHOLE, f"workers: {who}, {polls:g} queries a second for each table")
