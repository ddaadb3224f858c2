"""Hints between workers: who is told, how often, and what becomes of what nobody knows."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import gevent
import pytest
from flask import Flask
from gevent.event import Event

from poller import Notifier, Settings
from poller.hints import teller
from poller.hints.teller import WAKE, Teller
from poller.runtime import metrics
from poller.service import Service, _wake_here
from poller.serving import registry, siblings
from tests.harness.greenlets import until


@pytest.fixture
def sent() -> Iterator[list[tuple[str, object]]]:
    """What is said to the siblings."""
    said: list[tuple[str, object]] = []
    with mock.patch.object(siblings.ours, "send", lambda kind, data: said.append((kind, data))):
        yield said


@pytest.fixture
def shop(sqlite_url: str) -> Service:
    """Two feeds; nothing is polled."""
    app, notifier = Flask("test"), Notifier(authorize="public")
    notifier.watch("orders", columns=["id"])
    notifier.watch("invoices", columns=["id"])
    notifier.init_app(app, settings=Settings.model_validate({"database_url": sqlite_url}))
    service: Service = app.extensions["rowcast"]
    for feed in service.feeds.values():
        feed.handlers.reading = True  # somebody listens
    return service


def woken(service: Service) -> set[str]:
    """The feeds that were woken since the last call."""
    found = {name for name, feed in service.feeds.items() if feed.poller._woken.is_set()}
    for feed in service.feeds.values():
        feed.poller._woken.clear()
    return found


def counted(feed: str, source: str) -> float:
    return float(metrics.hints.labels(feed, source)._value.get())


def test_a_burst_is_few_datagrams_and_none_of_another_feed(
    sent: list[tuple[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teller, "TOLD_EVERY_S", 0.05)
    told = Teller("/shop")
    for _ in range(1000):
        told.tell("orders")
    told.tell(None)
    assert sent == [(WAKE, ("/shop", "orders")), (WAKE, ("/shop", None))]
    until(lambda: len(sent) == 3, "the last of the burst")
    assert sent[2] == (WAKE, ("/shop", "orders"))
    gevent.sleep(0.1)
    assert len(sent) == 3


def test_an_insert_wakes_the_feed_here_and_tells_the_others(
    shop: Service, sent: list[tuple[str, object]]
) -> None:
    before = counted("orders", "worker")
    shop.hints.wake("orders")
    assert woken(shop) == {"orders"}
    assert sent == [(WAKE, ("", "orders"))]
    assert counted("orders", "worker") == before + 1
    shop.hints.wake()
    assert woken(shop) == {"orders", "invoices"}
    with pytest.raises(KeyError):
        shop.hints.wake("nothing of the kind")
    assert woken(shop) == set()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (["", "orders"], {"orders"}),
        (["", None], {"orders", "invoices"}),
        (["/elsewhere", "orders"], set()),
        ([None, "orders"], {"orders"}),
        ([None, None], {"orders", "invoices"}),
        ([None, "unknown"], set()),
    ],
)
def test_what_another_process_says_wakes_who_is_meant(
    shop: Service,
    said: list[str | None],
    expected: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "services", lambda: [shop])
    source = "command" if said[0] is None else "worker"
    before = counted("orders", source)
    _wake_here((said[0], said[1]))
    assert woken(shop) == expected
    assert counted("orders", source) - before == ("orders" in expected)


def test_what_another_process_says_costs_nothing_while_nobody_listens(shop: Service) -> None:
    """The first stream has it polled. What is inserted here is polled all the same."""
    shop.feed("orders").handlers.reading = False
    before = counted("orders", "listen")
    shop.hints.wake_here(None, "listen")
    assert woken(shop) == {"invoices"}
    assert counted("orders", "listen") == before
    shop.hints.wake("orders")
    assert woken(shop) == {"orders"}


def test_a_payload_that_names_no_feed_is_for_all(shop: Service) -> None:
    shop.hints.heard("orders", "listen")
    assert woken(shop) == {"orders"}
    for payload in (None, '{"id": 7}'):
        shop.hints.heard(payload, "listen")
        assert woken(shop) == {"orders", "invoices"}


def test_a_client_that_needs_a_thorough_pass_wakes_the_poller(sqlite_url: str) -> None:
    """It would wait for the interval; those that come together share one."""
    app, notifier = Flask("test"), Notifier(authorize="public")
    notifier.watch("orders", columns=["id"], version="version")
    notifier.init_app(app, settings=Settings.model_validate({"database_url": sqlite_url}))
    feed = app.extensions["rowcast"].feed()
    feed.log.await_thorough_pass(Event())
    assert feed.poller._woken.is_set()
    feed.poller._woken.clear()
    for _ in range(100):
        feed.log.await_thorough_pass(Event())
    assert not feed.poller._woken.is_set()
    until(feed.poller._woken.is_set, "one pass for all that came later")
