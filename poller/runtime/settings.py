"""Every setting of the notifier: environment name, default, unit, meaning.

Settings are data: an application that has more adds fields in a subclass. Unknown names are checked
against the fields, and a test compares `docs/settings.md` with them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from poller.runtime.database_url import checked_url
from poller.runtime.environment import PREFIX, explain, unknown

MAX_STREAMS = 20_000  # per worker; beyond it, add workers
# Defaults of what can also be had without settings, as a `Database` can.
GAP_GRACE_S = 5.0
MAX_VALUE_BYTES = 256 * 1024  # what the kernel takes for a client at once
QUERY_TIMEOUT_S = 10.0
CHANNEL = "^[a-z_][a-z0-9_]{0,62}$"  # what NOTIFY names alike with quotes and without
SHORTEST_TOKEN = 16  # characters; below that it can be guessed


class SettingsError(ValueError):
    """A setting that cannot be used; the text names it, its value, and what is allowed."""


class Settings(BaseModel):
    """What the notifier needs to know: `Settings(poll_interval_s=1)`, or `from_env()`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    database_url: Annotated[str, AfterValidator(checked_url)] = Field(
        "sqlite:///instance/rowcast.db",
        validation_alias="DATABASE_URL",
        description="The database with the watched tables: `sqlite:///path`, `postgresql://…`, "
        "`mysql://…` or `mariadb://…`.",
    )
    poll_interval_s: float = Field(
        0.1,
        validation_alias="ROWCAST_POLL_INTERVAL",
        ge=0.01,
        le=3600,
        description="Seconds between two polls while somebody listens.",
    )
    idle_interval_s: float = Field(
        5.0,
        validation_alias="ROWCAST_IDLE_INTERVAL",
        ge=0.01,
        le=3600,
        description="Seconds between two polls while nobody listens; never less than the poll "
        "interval. The first stream to open polls at once.",
    )
    window_interval_s: float = Field(
        1.0,
        validation_alias="ROWCAST_WINDOW_INTERVAL",
        ge=0.05,
        le=3600,
        description="Seconds between two looks of a [feed by window](windows.md).",
    )
    batch_rows: int = Field(
        500,
        validation_alias="ROWCAST_BATCH",
        ge=1,
        le=10_000,
        description="Rows read by one query at most; a full batch polls again at once.",
    )
    max_value_bytes: int = Field(
        MAX_VALUE_BYTES,
        validation_alias="ROWCAST_MAX_VALUE",
        ge=1024,
        le=2**30,
        description="Bytes of one value at most; a larger one is sent as null, with its size "
        "([Values](values.md#values-that-are-withheld)).",
    )
    history_rows: int = Field(
        1000,
        validation_alias="ROWCAST_HISTORY",
        ge=0,
        le=1_000_000,
        description="Rows below the newest that are read into the log at start.",
    )
    log_capacity_rows: int = Field(
        10_000,
        validation_alias="ROWCAST_LOG_CAPACITY",
        ge=1,
        le=10_000_000,
        description="Rows that the log holds for clients that come back; older ones are read "
        "from the table.",
    )
    log_capacity_bytes: int = Field(
        64 * 2**20,
        validation_alias="ROWCAST_LOG_BYTES",
        ge=1024,
        description="Bytes that the log holds at most, whichever bound is met first.",
    )
    heartbeat_s: float = Field(
        15.0,
        validation_alias="ROWCAST_HEARTBEAT",
        ge=0.1,
        le=3600,
        description="Seconds of silence after which a stream gets a comment line.",
    )
    retry_ms: int = Field(
        2000,
        validation_alias="ROWCAST_RETRY",
        ge=0,
        le=3_600_000,
        description="Milliseconds that a client waits before it connects again.",
    )
    stream_lifetime_s: float = Field(
        300.0,
        validation_alias="ROWCAST_STREAM_LIFETIME",
        ge=1,
        le=86_400,
        description="Seconds after which a stream that `authorize` allowed ends at the latest, to "
        "come back and be asked for again; each ends in the second half of it. Streams of public "
        "feeds stay open.",
    )
    write_deadline_s: float = Field(
        30.0,
        validation_alias="ROWCAST_WRITE_DEADLINE",
        ge=0.1,
        le=3600,
        description="Seconds after which a client that takes no bytes is dropped; it may come "
        "back and go on where it was.",
    )
    max_streams: int | None = Field(
        None,
        validation_alias="ROWCAST_MAX_STREAMS",
        ge=1,
        le=MAX_STREAMS,
        description="Streams of one worker at most, up to 20,000. Unset: what the limit of open "
        "files allows, which the log says at start.",
    )
    max_streams_per_address: int | None = Field(
        None,
        validation_alias="ROWCAST_MAX_STREAMS_PER_ADDRESS",
        ge=0,
        le=MAX_STREAMS,
        description="Streams that one client address (IPv6: one /64) may have open at each worker; "
        "0: any number. Unset: a quarter of the worker's streams, at least 20. "
        "[More below](#streams-of-one-address).",
    )
    fanout: bool = Field(
        default=True,
        validation_alias="ROWCAST_FANOUT",
        description="Write to live streams directly, with no greenlet each, where the server lets "
        "us: gunicorn's gevent worker without TLS. `false`: always through the server.",
    )
    gap_grace_s: float = Field(
        GAP_GRACE_S,
        validation_alias="ROWCAST_GAP_GRACE",
        ge=0,
        le=86_400,
        description="Seconds for which a missing id may still appear, where the database gives "
        "no proof.",
    )
    listen: str | None = Field(
        None,
        validation_alias="ROWCAST_LISTEN",
        pattern=CHANNEL,
        description="A PostgreSQL channel: a NOTIFY on it leads to a poll at once "
        "([More](operations.md#sooner-than-the-interval)). Lower-case letters, digits and `_`.",
    )
    query_timeout_s: float = Field(
        QUERY_TIMEOUT_S,
        validation_alias="ROWCAST_QUERY_TIMEOUT",
        ge=0.1,
        le=3600,
        description="Seconds after which a query is given up and its connection closed.",
    )

    operator_token: SecretStr | None = Field(
        None,
        validation_alias="ROWCAST_OPERATOR_TOKEN",
        min_length=SHORTEST_TOKEN,
        description="Who sends it as a bearer token may read `/metrics`, `/status` and the details "
        "of `/readyz`; at least 16 characters. Unset: who may is the application's to say "
        "([More](operations.md#who-may-read-them)).",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info",
        validation_alias="ROWCAST_LOG_LEVEL",
        description="`debug`, `info`, `warning` or `error`. Polling is silent at `info`; each "
        "stream has two lines at `debug`.",
    )
    log_format: Literal["text", "json"] = Field(
        "text",
        validation_alias="ROWCAST_LOG_FORMAT",
        description="`text`, or `json`: one object a line. An application that configures "
        "`logging` itself gets the lines of the logger `rowcast` through its own handlers.",
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """The settings in `environ`.

        Raises SettingsError, with a text that says what to do, for a value that is not allowed
        and for a name that begins with `ROWCAST_` and is none of ours. An empty value counts as
        unset.
        """
        names = cls.names()
        for name in environ:
            if name.startswith(PREFIX) and name not in names:
                raise SettingsError(unknown(name, names))
        given = {name: value for name, value in environ.items() if name in names and value}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise SettingsError(explain(error, given)) from None

    @classmethod
    def from_config(
        cls, config: Mapping[str, object], environ: Mapping[str, str] = os.environ
    ) -> Self:
        """The settings in an application's `config`, and what it leaves open from `environ`.

        Names and errors are those of `from_env()`; a None counts as unset.
        """
        names = cls.names()
        given = {
            name: str(value)
            for name, value in config.items()
            if (name in names or name.startswith(PREFIX)) and value is not None
        }
        return cls.from_env({**environ, **given})

    def with_changes(self, **changes: object) -> Self:
        """A copy in which some fields are others. Raises SettingsError, as `from_env()` does."""
        if not changes:
            return self
        try:
            return type(self).model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            raise SettingsError(explain(error, changes)) from None

    @classmethod
    def names(cls) -> dict[str, str]:
        """Environment name → field name."""
        return {str(field.validation_alias): key for key, field in cls.model_fields.items()}
