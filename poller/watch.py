"""What is watched, and who may see what of it, as an application's author says it.

Nothing is taken for said: a feed without columns, or without a word on who may read it, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypedDict

from poller.access.granted import Authorize
from poller.handlers import RowHandler
from poller.reading.chosen import Said, with_key
from poller.reading.database import Database
from poller.reading.description import Key
from poller.reading.frozen import Frozen
from poller.reading.naming import (
    is_select,
    selected_names,
    source_name,
    source_table,
)
from poller.reading.table import Table
from poller.runtime.settings import Settings

ALL: Literal["*"] = "*"
MAX_WINDOW_ROWS = 10_000  # each is in memory, and a client that comes back may need them all
MARK = "rowcast"  # in a column's `info`
MOST_REPLAYED = 1_000_000  # rows: as many as a worker may read at its start


class FeedSettings(TypedDict, total=False):
    """Settings that a feed may have for itself; `poller.Settings` says what they mean."""

    poll_interval_s: float
    idle_interval_s: float
    batch_rows: int
    history_rows: int
    log_capacity_rows: int
    log_capacity_bytes: int
    max_value_bytes: int
    gap_grace_s: float
    window_interval_s: float


@dataclass(frozen=True, slots=True)
class Watch:
    """What to watch, as given to `Notifier.watch()`: `settings` are those that differ from the
    notifier's, `handlers` are called with each row, `on_delete` with the key of each that is gone.
    Without `columns` a feed has all, without
    `authorize` no route serves it: that is for the operator's own commands."""

    source: object
    name: str
    key: Key = None
    columns: Said = None
    prepare: Callable[[Database], None] | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    handlers: list[RowHandler] = field(default_factory=list)
    authorize: Authorize | Literal["public"] | None = None
    filters: Sequence[str] = ()
    window: int | None = None  # so many rows of what `order_by` says are the newest
    order_by: object = None
    replay: int | None = None
    version: str | None = None
    deleted: str | None = None
    on_delete: list[RowHandler] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.deleted is not None and self.version is None:
            raise ValueError("deleted= needs version=: a feed of new rows tells of no deletions")

    @classmethod
    def of(
        cls,
        source: object,
        name: str | None,
        key: Key,
        columns: Said,
        prepare: Callable[[Database], None] | None,
        settings: Mapping[str, object],
        version: str | None = None,
        deleted: str | None = None,
    ) -> Watch:
        """`name` is by default the source's."""
        asked = source, name or source_name(source), key, columns, prepare, settings
        return cls(*asked, version=version, deleted=deleted)

    @property
    def rows_change(self) -> bool:
        """Whether the feed also tells of rows that were changed and deleted."""
        return self.version is not None or self.window is not None

    def table(self, settings: Settings) -> Table:
        """What is watched, as it is read."""
        return Table(
            self.source,
            key=self.key,
            columns=self.columns,
            version=self.version,
            deleted=self.deleted,
            grace_s=settings.gap_grace_s,
            max_value_bytes=settings.max_value_bytes,
            filters=self.filters,
        )

    def with_room(self, settings: Settings) -> Mapping[str, object]:
        """The feed's own settings, with room in the log for all that may be asked for again."""
        if self.replay is None:
            return self.settings
        own = settings.with_changes(**self.settings)
        return {
            **self.settings,
            "history_rows": max(own.history_rows, self.replay),
            "log_capacity_rows": max(own.log_capacity_rows, self.replay),
        }

    @property
    def columns_to_look(self) -> Said:
        """The same columns for a command that only looks, and leaves no file behind."""
        return self.columns.only_read() if isinstance(self.columns, Frozen) else self.columns


def served(
    watch: Watch, label: str, authorize: Authorize | Literal["public"] | None, folder: Path
) -> Watch:
    """The same as a feed for strangers has it. `authorize` is the notifier's, for a watch that does
    not say it; `folder` is where the columns of `"*"` are kept.

    Raises RuntimeError if nobody says who may read, FrozenError if the columns cannot be kept.
    """
    if (who := watch.authorize or authorize) is None:
        raise RuntimeError(
            f"say who may read {watch.name}: watch(…, authorize=function), asked at each request; "
            'Notifier(authorize=function) for all feeds; or authorize="public" for everybody'
        )
    if not isinstance(watch.columns, tuple | str):
        raise TypeError(f"the columns of {watch.name} are not said")  # never all of them instead
    if watch.columns != ALL:
        return replace(watch, authorize=who, columns=with_key(watch.columns))
    frozen = Frozen.of(folder, label, source_table(watch.source).fullname)
    frozen.check()
    return replace(watch, authorize=who, columns=frozen)


def check_settings(settings: FeedSettings) -> None:
    """Raises SettingsError for a value that is not allowed, TypeError for a setting that one feed
    cannot have for itself."""
    for setting in settings.keys() - FeedSettings.__annotations__.keys():
        raise TypeError(f"{setting} is no setting of one feed: give it to init_app()")
    Settings().with_changes(**settings)


def check_replay(replay: object) -> None:
    """Raises ValueError, in words, for a bound that cannot be kept."""
    if replay is None or (type(replay) is int and 0 <= replay <= MOST_REPLAYED):
        return
    raise ValueError(
        f"replay={replay!r} is no number of rows from 0 to {MOST_REPLAYED:,}; it cannot be a time, "
        "since a worker that has just started cannot tell how old the rows are"
    )


def said(source: object, name: str, columns: Sequence[str] | None) -> Sequence[str]:
    """The columns that the author says, here or by marks on the source's own.

    Raises ValueError if nothing is said.
    """
    if columns is None and is_select(source):
        columns = selected_names(source)  # its author listed them
    if columns is None:
        columns = marked(source)
    if columns == ALL:
        return ALL
    if isinstance(columns, str) or not columns:
        raise ValueError(
            f'say which columns of {name} may be seen: columns=["id", …], or columns="*" for '
            "those that the table has when it is first read"
        )
    if not all(isinstance(one, str) for one in columns):
        raise ValueError(f"columns={columns!r}: give the names of columns")
    if twice := [one for one in columns if [*columns].count(one) > 1]:
        raise ValueError(f"columns: {twice[0]} is named twice")
    return tuple(columns)


def check_kind(watch: Watch) -> None:
    """Raises ValueError for what does not go together."""
    name, of_select = watch.name, is_select(watch.source)
    if watch.window is None:
        if of_select:
            raise ValueError(f"{name}: a SELECT can be watched by window: say window=, and key=")
        if watch.order_by is not None:
            raise ValueError(f"{name}: order_by= says which rows a window shows: say window=, too")
        return
    if watch.version is not None:
        raise ValueError(f"{name}: a feed follows versions or shows a window: not both")
    if watch.window not in range(1, MAX_WINDOW_ROWS + 1):
        raise ValueError(
            f"{name}: window={watch.window!r} is not from 1 to {MAX_WINDOW_ROWS:,} rows"
        )
    if watch.replay is not None:
        raise ValueError(f"{name}: a feed by window has no past to replay")
    if watch.filters:
        raise ValueError(f"{name}: a feed by window has no filters; give its SELECT a WHERE")
    if of_select and not watch.key:
        raise ValueError(f"{name}: a SELECT has no key of its own: name it (key=)")


def marked(source: object) -> Sequence[str]:
    """The columns of a `Table` or a mapped class that have `info={"rowcast": True}`."""
    columns = source_table(source).columns
    return tuple(column.key for column in columns if column.info.get(MARK) is True)
