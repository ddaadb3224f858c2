"""A notifier in applications that are initialised: what they do with it while they run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import Flask, current_app

from poller.access import granted
from poller.access.granted import Access
from poller.feed import Delivered, Feed
from poller.reading.channel import notify
from poller.service import Service
from poller.web import addresses, page
from poller.web.current import service_of


class Running:
    """Its methods are for one application: `app`, by default the current one."""

    name: str

    def feed(self, name: str | None = None, *, app: Flask | None = None) -> Feed:
        """A feed of `app` (default: the current one), by name or the first. Raises KeyError."""
        return self._service(app).feed(name)

    def page_token(
        self,
        name: str,
        rows: Iterable[object],
        *,
        before: Delivered | None = None,
        filter: Mapping[str, object] | None = None,  # noqa: A002 - as `Access` has it
    ) -> str:
        """The token of a page that shows `rows`: a stream that is asked to resume there brings what
        the page does not show, and nothing twice.

        `rows` are ids, mappings, or objects that have the key. They must have been read after this
        request began, or after `before` was taken from `feed(name).cursor`. While the worker is not
        ready, the token makes the stream begin with `reset`.

        `filter` is the one in the address of the page's stream. What `authorize` grants of the feed
        counts beside it: it is asked here, with the page's request.
        """
        return page.token(self.feed(name), self.name, rows, before, filter)

    def start(self, app: Flask | None = None) -> None:
        """Begin to poll, in this process. Otherwise the first request does.

        Raises RuntimeError, with what to do, if the standard library is not patched for gevent:
        streams would hang.
        """
        self._service(app).start()

    def stop(self, app: Flask | None = None) -> None:
        """Stop polling."""
        self._service(app).stop()

    def wake(self, name: str | None = None, *, app: Flask | None = None) -> None:
        """A row was inserted and committed: poll now the feed `name`, by default all, in this
        worker and in the server's others.

        Costs little, may be called for each row, and never waits. What does not hear of it finds
        the row by its next poll. Raises KeyError if there is no such feed.
        """
        self._service(app).hints.wake(name)

    def notify(self, connection: Any, name: str | None = None, *, app: Flask | None = None) -> None:
        """Have a transaction send a hint to every worker on every machine when it commits, if the
        application listens to a channel of PostgreSQL (`ROWCAST_LISTEN`); else do nothing.

        `connection` is SQLAlchemy's, or a session, at the feeds' database; `name` is a feed's, by
        default all. Raises what the database raises.
        """
        if (channel := self._service(app).settings.listen) is not None:
            notify(connection, channel, name or "")

    def close(self, name: str, *, app: Flask | None = None) -> None:
        """End a feed for good: its streams end; a client that asks again gets 204 and stops."""
        self.feed(name, app=app).close()

    def disconnect(self, tag: str | int | UUID, *, app: Flask | None = None) -> None:
        """End all streams that `authorize` allowed under this tag, as after a logout. Their clients
        come back at once, and `authorize` is asked again: so log the user out before.

        Those of this process end now, those of the server's other workers as soon as they hear it.
        A worker that cannot be reached, as on another machine, ends them after
        `ROWCAST_STREAM_LIFETIME`. Never waits. Raises ValueError for what is no tag.
        """
        self._service(app).disconnect(granted.tag_of(tag))

    def url_for(
        self,
        name: str,
        /,
        *,
        expires_s: float,
        filter: Mapping[str, object] | None = None,  # noqa: A002 - as `Access` has it
        columns: Sequence[str] | None = None,
        **more: Any,
    ) -> str:
        """A signed address of the feed `name`: whoever has it may read, without a login, what it
        names, for `expires_s` seconds. It takes the place of `authorize`.

            notifier.url_for("orders", room=7, expires_s=3600, _external=True)

        `filter` and `columns` are as those of `Access`. Columns of a filter may be given by name;
        what begins with `_` is for Flask's `url_for()`. What stands behind `signed=` is good for
        `/rows/NAME`, too.

        Raises KeyError if there is no such feed, ValueError for what cannot be signed, RuntimeError
        if the application has no SECRET_KEY.
        """
        options = {key: value for key, value in more.items() if key.startswith("_")}
        chosen = {key: value for key, value in more.items() if key not in options}
        access = Access({**(filter or {}), **chosen}, columns)
        return addresses.signed_address(self.feed(name), self.name, access, expires_s, options)

    def drain(self, app: Flask | None = None) -> None:
        """End all streams, within 2 s, and take no new ones: this process is about to end."""
        self._service(app).drain()

    def _service(self, app: Flask | None) -> Service:
        return service_of(app or current_app, self.name)
