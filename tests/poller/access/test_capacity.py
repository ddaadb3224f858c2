"""What fits into a limit of open files, who is counted as one client, and places given back."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.access import admission
from poller.access.address import client_network, single_client
from poller.access.admission import Admission, Ticket
from poller.access.capacity import MOST_PAGES, RESERVED_DESCRIPTORS, Capacity
from poller.runtime.settings import MAX_STREAMS, Settings, SettingsError
from tests.harness.logged import logged

PROJECT = Path(__file__).parents[3]
DOCS = PROJECT / "docs" / "settings.md"
ANN, BEN = "198.51.100.1", "198.51.100.2"


# -- open files ---------------------------------------------------------------------------------


@given(st.integers(1, 2_000_000), st.none() | st.integers(1, MAX_STREAMS))
def test_streams_pages_and_the_reserve_never_exceed_the_limit(
    open_files: int, configured: int | None
) -> None:
    room = Capacity.within(open_files, configured)
    assert room.streams >= 1
    assert room.pages >= 1
    assert room.streams <= (configured or MAX_STREAMS)
    assert room.pages <= MOST_PAGES
    if open_files >= RESERVED_DESCRIPTORS + 2:
        assert room.streams + room.pages + RESERVED_DESCRIPTORS <= open_files


@given(st.integers(1, 2_000_000), st.integers(1, MAX_STREAMS))
def test_the_servers_connections_suffice_for_whatever_is_configured(
    open_files: int, configured: int
) -> None:
    """gunicorn's are reckoned without the setting, which an application may give in code."""
    connections, room = Capacity.within(open_files), Capacity.within(open_files, configured)
    assert room.streams + room.pages <= connections.streams + connections.pages


def test_what_the_docs_say_fits_into_a_limit_does() -> None:
    cells = r"\| ([\d,]+)(?: and more)? \| ([\d,]+) \| ([\d,]+) \|"
    rows = [[int(n.replace(",", "")) for n in row] for row in re.findall(cells, DOCS.read_text())]
    assert [limit for limit, _, _ in rows] == [256, 1024, 4096, 20_000, 21_100]
    for limit, streams, pages in rows:
        room = Capacity.within(limit)
        assert (room.streams, room.pages) == (streams, pages)
    assert Capacity.within(21_099).streams < MAX_STREAMS
    assert Capacity.within(1_000_000).streams == MAX_STREAMS


def test_the_log_says_how_many_fit_and_how_to_get_more() -> None:
    with logged() as said:
        Capacity.within(1024).announce()
        Capacity.within(1024, 500).announce()
        Capacity.within(1024, 5_000).announce()
    few, enough, fewer = said
    assert (few["level"], few["streams"], few["wanted"]) == ("warning", 740, 20_000)
    assert "LimitNOFILE=21100" in few["what_to_do"]
    assert (enough["level"], enough["streams"]) == ("info", 500)
    assert (fewer["level"], fewer["wanted"]) == ("warning", 5_000)
    advised = int(re.findall(r"LimitNOFILE=(\d+)", fewer["what_to_do"])[0])
    assert Capacity.within(advised).streams >= 5_000


def test_the_limit_is_raised_as_far_as_it_may_be() -> None:
    script = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1024));"
        "from poller.access.capacity import Capacity;"
        "print(Capacity.of_this_process().streams)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=PROJECT
    )
    assert int(ended.stdout) == Capacity.within(1024).streams


def test_more_than_a_worker_may_hold_is_an_error() -> None:
    with pytest.raises(SettingsError, match=r"ROWCAST_MAX_STREAMS='20001': .* equal to 20000"):
        Settings.from_env({"ROWCAST_MAX_STREAMS": "20001"})


# -- who is one client --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        (None, "unknown"),
        ("a proxy's joke", "unknown"),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(address: str | None, network: str) -> None:
    assert client_network(address) == network


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "", None])
def test_loopback_and_no_address_may_be_everybody(address: str | None) -> None:
    assert single_client(address) is None


@pytest.mark.parametrize("address", ["198.51.100.7", "10.0.0.7", "2001:db8::1", "fd00::1"])
def test_any_other_address_is_a_client(address: str) -> None:
    assert single_client(address) == client_network(address)


# -- places -------------------------------------------------------------------------------------


def take(places: Admission, address: str | None) -> Ticket:
    ticket = places.ticket(address)
    ticket.take()
    return ticket


def test_an_address_has_its_places_and_no_more_while_others_find_room() -> None:
    places = Admission(10, per_address=2)
    first, _ = take(places, ANN), take(places, ANN)
    assert places.refusal(ANN) == "address"
    assert places.refusal(BEN) is None
    first.free()
    first.free()
    assert places.refusal(ANN) is None
    take(places, ANN)
    assert places.refusal(ANN) == "address"


def test_an_ipv6_network_is_one_client_and_a_mapped_address_is_itself() -> None:
    places = Admission(10, per_address=1)
    take(places, "2001:db8:1:2::1")
    assert places.refusal("2001:db8:1:2::2") == "address"
    assert places.refusal("2001:db8:1:3::1") is None
    take(places, ANN)
    assert places.refusal(f"::ffff:{ANN}") == "address"


def test_a_full_worker_has_no_place_for_anybody() -> None:
    places = Admission(2, per_address=2)
    take(places, ANN)
    take(places, "127.0.0.1")
    assert {places.refusal(address) for address in (ANN, BEN, "127.0.0.1", None)} == {"full"}


def test_who_may_be_everybody_is_counted_for_the_worker_only() -> None:
    places = Admission(10, per_address=1)
    for address in ("127.0.0.1", "127.0.0.1", "::1", "", None):
        assert places.refusal(address) is None
        take(places, address)
    assert places.taken == 5
    assert not places.by_client


@pytest.mark.parametrize(("most", "share"), [(20_000, 5_000), (740, 185), (79, 20), (1, 20)])
def test_the_share_of_an_address_grows_with_the_worker(most: int, share: int) -> None:
    assert Admission(most).per_address == share


def test_a_stream_that_never_began_takes_and_frees_nothing() -> None:
    places = Admission(10, per_address=2)
    take(places, ANN)
    places.ticket(ANN).free()
    assert places.by_client == {ANN: 1}
    assert places.taken == 1


def test_nought_means_any_number() -> None:
    places = Admission(1_000, per_address=0)
    for _ in range(999):
        take(places, ANN)
    assert places.refusal(ANN) is None


addresses = st.sampled_from([ANN, BEN, "2001:db8::1", "2001:db8::2", "127.0.0.1", ""])


@given(st.lists(addresses | st.integers(0, 5)))
def test_a_place_is_given_back_once_however_often_its_end_is_told(steps: list[str | int]) -> None:
    """An address takes a place; a number frees that one of all that were ever taken."""
    places = Admission(5, per_address=2)
    held: dict[Ticket, str | None] = {}
    ever: list[Ticket] = []
    for step in steps:
        if isinstance(step, str):
            if not places.refusal(step):
                ever.append(take(places, step))
                held[ever[-1]] = single_client(step)
        elif ever:
            ticket = ever[step % len(ever)]
            ticket.free()
            held.pop(ticket, None)
        clients = [client for client in held.values() if client]
        assert places.taken == len(held) <= 5
        assert places.by_client == {client: clients.count(client) for client in set(clients)}
        assert all(count <= 2 for count in places.by_client.values())


def test_the_log_names_an_address_at_its_cap_once_a_minute() -> None:
    now = 1_000.0
    places = Admission(10, per_address=1, clock=lambda: now)
    take(places, ANN)
    with logged() as said:
        for _ in range(100):
            places.refusal(ANN)
    assert [line["address"] for line in said] == [ANN]
    assert "ROWCAST_PROXIES" in said[0]["what_to_do"]
    now += admission.LOG_AGAIN_S
    with logged() as said:
        places.refusal(ANN)
    assert len(said) == 1
