"""`WallSettings`: the notifier's settings, and what the wall itself needs to know."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from limits import parse_many
from pydantic import AfterValidator, BeforeValidator, Field
from sqlalchemy.engine import URL

from poller import Settings, SettingsError

__all__ = ["SettingsError", "WallSettings"]

PROJECT = Path(__file__).resolve().parent.parent
SHORTEST_SECRET = 16  # characters; below that a signature can be guessed


def _hosts(value: Any) -> Any:
    """A comma list, as it comes from the environment."""
    if not isinstance(value, str):
        return value
    return tuple(host for part in value.split(",") if (host := part.strip()))


def _host_names(hosts: tuple[str, ...]) -> tuple[str, ...]:
    for host in hosts:
        if not re.fullmatch(r"\.?[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]", host):
            raise ValueError(f"{host!r} is no host name; write example.org, without scheme or port")
    return hosts


def _address(host: str) -> str:
    """`[::1]`, as a URL has it, is `::1`."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _rate(value: str) -> str:
    try:
        parse_many(value)
    except ValueError:
        raise ValueError("not a rate; write for example '30 per minute'") from None
    return value


def _public_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("not an address of a page; write for example https://wall.example.org")
    return value.rstrip("/") + "/"


class WallSettings(Settings):
    """Everything that `python app.py` and `gunicorn app:app` read from the environment."""

    secret_key: str | None = Field(
        None,
        validation_alias="SECRET_KEY",
        min_length=SHORTEST_SECRET,
        description="Signs the session cookie and the form's token. Unset: made once, kept in "
        "`instance/secret_key`, readable by its owner only. Several machines need the same one.",
    )
    instance: Path = Field(
        Path("instance"),
        validation_alias="ROWCAST_INSTANCE",
        description="Folder for what the wall makes for itself: the default database and the "
        "secret key. A relative one lies beside `app.py`.",
    )
    host: Annotated[str, AfterValidator(_address)] = Field(
        "127.0.0.1",
        validation_alias="HOST",
        description="Address that the server listens on; `0.0.0.0` for every one.",
    )
    port: int = Field(
        8000,
        validation_alias="PORT",
        ge=0,
        le=65535,
        description="Port that the server listens on; with `python app.py` 0 takes a free one.",
    )
    trusted_hosts: Annotated[
        tuple[str, ...], BeforeValidator(_hosts), AfterValidator(_host_names)
    ] = Field(
        (),
        validation_alias="ROWCAST_TRUSTED_HOSTS",
        description="Host names that the wall answers to, with commas between; `.example.org` "
        "includes all below. Unset: the names of this machine (`localhost`, `127.0.0.1`, `[::1]`) "
        "where `HOST` is one of them and there is no proxy; else any, and the log warns.",
    )
    proxies: int = Field(
        0,
        validation_alias="ROWCAST_PROXIES",
        ge=0,
        le=10,
        description="Number of reverse proxies in front whose `X-Forwarded-*` headers are "
        "believed. With 0 these headers count for nothing.",
    )
    post_rate: Annotated[str, AfterValidator(_rate)] = Field(
        "30 per minute",
        validation_alias="ROWCAST_POST_RATE",
        description="Posts, and changes of posts, taken from one client address (IPv6: one /64) by "
        "each worker; kept in the worker's memory, so n workers take up to n times as many.",
    )
    title: str = Field(
        "Rowcast",
        validation_alias="WALL_TITLE",
        max_length=60,
        description="The name of the wall: on its pages, its screen and its feed.",
    )
    about: str | None = Field(
        None,
        validation_alias="WALL_ABOUT",
        max_length=200,
        description="One line below the title that says what the wall is for.",
    )
    accent: str | None = Field(
        None,
        validation_alias="WALL_ACCENT",
        pattern=r"^#[0-9A-Fa-f]{6}$",
        description="The colour of the wall, as `#1d5fa8`. It is made darker, or lighter in the "
        "dark, until text in it can be read (4.5:1).",
    )
    logo: Path | None = Field(
        None,
        validation_alias="WALL_LOGO",
        description="A file to show beside the title: SVG, PNG, JPEG or WebP, at most 256 KB. A "
        "relative path begins beside `app.py`. Read at start.",
    )
    url: Annotated[str, AfterValidator(_public_url)] | None = Field(
        None,
        validation_alias="WALL_URL",
        description="The address at which people open the wall, for the QR code of its screen. "
        "Unset: the one by which the screen itself was opened.",
    )
    moderator_token: str | None = Field(
        None,
        validation_alias="WALL_MODERATOR_TOKEN",
        min_length=SHORTEST_SECRET,
        description="Whoever has it may hide posts: at `/moderator`, or by `PATCH /posts/ID` with "
        "`Authorization: Bearer`. Unset: nobody may. Another one signs every moderator out.",
    )

    def folder(self) -> Path:
        """The instance folder, wherever the program was started from."""
        return PROJECT / self.instance

    def where(self) -> str:
        """The database's URL; by default that of a file in the instance folder."""
        if "database_url" in self.model_fields_set:
            return self.database_url
        url = URL.create("sqlite", database=str(self.folder() / "rowcast.db"))
        return url.render_as_string(hide_password=False)

    def database(self) -> str:
        """The database's URL; the folder of the default one is made."""
        if "database_url" not in self.model_fields_set:
            try:
                self.folder().mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise SettingsError(
                    f"ROWCAST_INSTANCE={self.instance} cannot be made: {error.strerror}. "
                    "Name another folder, or set DATABASE_URL and SECRET_KEY."
                ) from error
        return self.where()
