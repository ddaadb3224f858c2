"""Places for streams: taken within a worker's and an address's share, and given back once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poller.access import admission
from poller.access.address import single_client
from poller.access.admission import Admission, Ticket
from tests.harness.logged import logged

ANN, BEN = "198.51.100.1", "198.51.100.2"


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


def test_a_place_is_given_back_however_its_block_ends() -> None:
    places = Admission(10, per_address=1)
    with places.place(ANN) as first, places.place(ANN) as second, places.place(BEN) as other:
        assert (first, second, other) == (True, False, True)
        assert places.taken == 2
    with pytest.raises(ConnectionResetError), places.place(ANN):
        raise ConnectionResetError
    assert (places.taken, dict(places.by_client)) == (0, {})


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
    assert [(line["of"], line["address"]) for line in said] == [("streams", ANN)]
    assert "ROWCAST_PROXIES" in said[0]["what_to_do"]
    now += admission.LOG_AGAIN_S
    with logged() as said:
        places.refusal(ANN)
    assert len(said) == 1


@pytest.mark.parametrize(("address", "told"), [("127.0.0.1", 1), ("", 1), (ANN, 0)])
def test_the_log_names_a_proxy_that_nobody_told_of_once(address: str, told: int) -> None:
    places = Admission(10)
    with logged() as said:
        for _ in range(3):
            places.note_forwarded(address)
    assert len(said) == told
    assert all("ROWCAST_PROXIES" in line["what_to_do"] for line in said)


def test_where_any_number_is_allowed_a_proxy_hides_nothing_of_interest() -> None:
    with logged() as said:
        Admission(10, per_address=0).note_forwarded("127.0.0.1")
    assert not said


def test_a_place_within_others_is_one_of_them_too() -> None:
    all_places = Admission(3, per_address=0)
    few = Admission(1, per_address=0, within=all_places)
    held = take(few, ANN)
    assert (few.taken, all_places.taken) == (1, 1)
    assert few.refusal(BEN) == "full"
    assert all_places.refusal(BEN) is None
    take(all_places, BEN)
    take(all_places, BEN)
    held.free()
    assert few.refusal(BEN) is None
    take(all_places, BEN)
    assert few.refusal(ANN) == "full"
    assert few.taken == 0
