"""What an application's author declares, before there is an application: the first half of the
extension."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from poller import watch as watches
from poller.access import granted
from poller.access.granted import Authorize
from poller.decorators import Decorators
from poller.reading.database import Database
from poller.reading.description import Key
from poller.reading.naming import source_name
from poller.watch import FeedSettings, Watch
from poller.web.current import EXTENSION

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Declared(Decorators):
    """A notifier's name, what it watches, who may see it, and what is called with its rows."""

    def __init__(
        self, name: str = EXTENSION, *, authorize: Authorize | Literal["public"] | None = None
    ) -> None:
        if not name.isidentifier():
            raise ValueError(f"{name!r} cannot be a notifier's name: use letters, digits and _")
        self.name = name
        self.authorize = granted.checked(authorize)
        self._watches: list[Watch] = []

    def watch(
        self,
        source: object,
        *,
        name: str | None = None,
        key: Key = None,
        columns: Sequence[str] | None = None,
        authorize: Authorize | Literal["public"] | None = None,
        filters: Sequence[str] = (),
        replay: int | None = None,
        version: str | None = None,
        deleted: str | None = None,
        prepare: Callable[[Database], None] | None = None,
        **settings: Unpack[FeedSettings],
    ) -> None:
        """Watch a table in every application that is initialised from now on.

        `source` is a table's name, a `sqlalchemy.Table` or a mapped class; `name` is the name in
        the URL, default the table's; `key` names the integer id column if it is not the primary
        key.

        `columns` lists what may be seen, beside the key, which always is; `"*"` stands for the
        columns that the table has when it is first read. A `Table` or mapped class may mark its own
        instead: `mapped_column(info={"rowcast": True})`.

        `authorize` says who may read: `"public"` for everybody, or a function that is called with
        the request, at each connect and resume, and returns True, False or an `Access`. By default
        it is the notifier's. `filters` are columns by whose values a client may choose rows.

        `replay` bounds how far back a client may read: so many of the newest rows, 0 for none. One
        that lacks older ones gets `reset`. By default it may read the whole table.

        If rows may change, `version` names the column in which the database numbers each change
        (docs/versions.md); `key` is then the column, or the columns, that tell one row from
        another, default the primary key. `deleted` names the column that marks a row which is gone.

        `prepare(database)` is called before the first look at the table, and again until it
        succeeds. `settings` are for this feed alone.

        Raises ValueError if nobody says the columns, for a name that is taken or does not fit into
        a URL, for an `authorize` or `replay` that says nothing, and for `deleted` without
        `version`; SettingsError for a value that is not allowed, TypeError for a setting that a
        feed cannot have for itself.
        """
        watches.check_replay(replay)
        name = name or source_name(source)
        if not name or "/" in name:
            raise ValueError(f"{name!r} cannot be a feed's name: it is part of a URL")
        if any(other.name == name for other in self._watches):
            raise ValueError(f"a feed named {name!r} exists; give this one name=")
        watches.check_settings(settings)
        watch = Watch(
            source,
            name,
            key,
            watches.said(source, name, columns),
            prepare,
            {**settings},
            authorize=granted.checked(authorize),
            filters=tuple(filters),
            replay=replay,
            version=version,
            deleted=deleted,
        )
        self._watches.append(watch)

    def _watch(self, name: str) -> Watch:
        for watch in self._watches:
            if watch.name == name:
                return watch
        raise KeyError(f"{name} is not watched: call watch() first")
