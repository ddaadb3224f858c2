"""The service: one application's feeds in this process, and what they share.
`app.extensions["rowcast"]` holds it, for whoever serves the application."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Literal

import gevent

from poller.access.admission import Admission
from poller.access.capacity import Capacity
from poller.access.granted import Authorize
from poller.access.guesses import Guesses
from poller.access.origins import Origins
from poller.access.refusals import Refusals
from poller.access.turns import Turns
from poller.feed import Feed
from poller.hints.hints import Hints
from poller.hints.teller import WAKE, Said
from poller.runtime import log
from poller.runtime.metrics import count_from_zero
from poller.runtime.settings import Settings
from poller.serving import registry, server, siblings
from poller.serving.luggage import form_of_feed
from poller.serving.movable import Shared
from poller.serving.moving.stock import Shelf
from poller.serving.server import Server, UnfitServerError
from poller.status import recorder
from poller.status.live import Live
from poller.status.look import Look

DRAIN_S = 1.0  # streams that have not ended by then are cut
LOOK_S = 0.01  # at whether they have
DISCONNECT = "disconnect"  # what workers tell each other
PAGES_THAT_WAIT = 2  # one place in so many may wait for rows: the others are for who does not


class Service:
    """The feeds by name, the settings, and the places for their streams.

    `default_feed` is the one at `/stream`, if there is one; `origins` are other sites whose pages
    may read the feeds; `authorize` is the notifier's own, for what no feed says; `metrics`,
    `health` and `status` say who may see the metrics, the details of readiness, and the status.
    """

    def __init__(
        self,
        feeds: Sequence[Feed],
        settings: Settings,
        url_prefix: str = "",
        *,
        default_feed: str = "",
        origins: Sequence[str] | str = (),
        authorize: Authorize | Literal["public"] | None = None,
        metrics: Authorize | Literal["public"] | None = None,
        health: Authorize | Literal["public"] | None = None,
        status: Authorize | Literal["public"] | None = None,
    ) -> None:
        self.url_prefix = url_prefix
        self.default_feed, self.origins = default_feed, Origins(origins)
        self.authorize, self.refusals = authorize, Refusals()
        self.metrics, self.health, self.status = metrics, health, status
        self.feeds = {feed.name: feed for feed in feeds}
        for feed in feeds:
            count_from_zero(feed.label)
        self.settings = settings
        self.capacity = Capacity.of_this_process(settings.max_streams)
        self.admission = Admission(self.capacity.streams, settings.max_streams_per_address)
        # What waits in the server, and not on a socket of ours, also takes a place of a page.
        self.waiting = Admission(
            max(1, self.capacity.pages // PAGES_THAT_WAIT),
            settings.max_streams_per_address,
            of="requests that wait",
            within=self.admission,
        )
        self.turns = Turns()
        for name, feed in self.feeds.items():
            turn = partial(self.turns.of, feed=name)
            feed.streams.share(Shared(self.admission, turn, partial(form_of_feed, feed)))
        self.guesses = Guesses()
        self.live = Live(Look(self, recorder.ours), settings)
        self.draining = False
        self.by_hand = False  # polled by its owner alone: see testing.py
        self._started = self._stopped = self._refused = False
        self._patched_when_made = server.is_patched()
        server.check_threads()
        registry.register(self)
        self.hints = Hints(self.feeds, settings, url_prefix)
        siblings.ours.on(DISCONNECT, _disconnect_here)
        siblings.ours.on(WAKE, _wake_here)

    def feed(self, name: str | None = None) -> Feed:
        """A feed by name, or the first one. Raises KeyError."""
        return next(iter(self.feeds.values())) if name is None else self.feeds[name]

    @property
    def shows_status(self) -> bool:
        """Whether there is anybody who may see the status."""
        return self.status is not None or self.settings.operator_token is not None

    @property
    def ready(self) -> bool:
        """Whether every feed was polled lately, and streams are taken."""
        return not (self.draining or any(feed.problem() for feed in self.feeds.values()))

    @property
    def stream_count(self) -> int:
        """How many streams are open."""
        return sum(len(feed.streams) for feed in self.feeds.values())

    def ensure_started(self, identified: Server) -> None:
        """Begin to poll when the first request comes, unless polling was stopped on purpose."""
        if not self._stopped:
            self.start(identified)

    def start(self, identified: Server | None = None) -> None:
        """Begin to poll, in this process. Starting a started service does nothing.

        `identified` is the server that runs it, if that is known. Raises UnfitServerError if
        streams would hang.
        """
        if self.by_hand:
            return
        self._stopped = False
        if not self._started:
            self._check()
            self._started = True
            identified = identified or server.identify({})
            self._announce(identified)
            if self.shows_status:
                recorder.ours.begin(self, identified.name)
        for feed in self.feeds.values():
            feed.watcher = self.hints.watcher
            feed.start()

    def _check(self) -> None:
        log.configure(self.settings.log_level, self.settings.log_format)
        try:
            server.check(patched_when_made=self._patched_when_made)
        except UnfitServerError as error:
            if not self._refused:
                self._refused = True
                log.error("streams refused", reason=str(error))
            raise

    def _announce(self, identified: Server) -> None:
        """What a newcomer reads first."""
        values = {
            "server": identified.name,
            "streams": identified.streams_served,
            "feeds": [*self.feeds],
        }
        if identified.advice:
            log.warning("started", **values, better=identified.advice)
        else:
            log.info("started", **values)
        self.capacity.announce()

    def stop(self) -> None:
        """Stop polling until `start()`."""
        self._stopped = True
        self.live.stop()
        recorder.ours.drop(self)
        for feed in self.feeds.values():
            feed.stop()

    def disconnect(self, tag: str) -> None:
        """End all streams of this tag, here now and at the other workers as soon as they hear it.
        One that does not hear it ends them after their lifetime."""
        self.disconnect_here(tag)
        siblings.ours.send(DISCONNECT, [self.url_prefix, tag])

    def disconnect_here(self, tag: str) -> None:
        for feed in self.feeds.values():
            feed.streams.disconnect(tag)

    def shelves(self) -> dict[str, Shelf]:
        """The streams of each feed by its name, for a worker that gives or takes some."""
        return {name: Shelf(one.label, one.streams) for name, one in self.feeds.items()}

    def drain_what_stays(self) -> None:
        """End what cannot move to another worker: answers that the server writes, not we."""
        self.live.streams.drain(0)
        for one in self.feeds.values():
            one.streams.drain(self.stream_count, only_what_stays=True)

    def drain(self) -> None:
        """End all streams, within 2 s, and take no new ones: this process is about to end."""
        self.draining = True
        together = self.stream_count
        every = [self.live.streams, *(feed.streams for feed in self.feeds.values())]
        for streams in every:
            streams.drain(together)
        deadline = time.monotonic() + DRAIN_S
        while self.stream_count and time.monotonic() < deadline:
            gevent.sleep(LOOK_S)
        for streams in every:
            streams.cut()
        recorder.ours.drop(self)


def _disconnect_here(said: Sequence[str]) -> None:
    """Another worker says so, of the notifier below this prefix."""
    prefix, tag = said
    for service in registry.services():
        if isinstance(service, Service) and service.url_prefix == prefix:
            service.disconnect_here(tag)


def _wake_here(said: Said) -> None:
    """Another worker says so, of the notifier below this prefix, or a command, of all."""
    prefix, name = said
    for service in registry.services():
        if isinstance(service, Service) and prefix in (None, service.url_prefix):
            service.hints.wake_here(name, "command" if prefix is None else "worker")
