"""What a signed address grants, to whom it was given and where."""

from __future__ import annotations

import enum
from uuid import UUID

import pytest
from itsdangerous import URLSafeSerializer

from poller.access import signed
from poller.access.granted import Access
from poller.access.signed import Place, SignatureRefusedError, Signer

ORDERS = Place("rowcast", "orders")
NOW = 1_800_000_000.0
OLD, NEW, OTHER = b"old key", b"new key", b"the key of somebody else"


class Colour(enum.Enum):
    RED = "red"


def granted(text: str, place: Place = ORDERS, *, keys: list[bytes] | None = None) -> Access:
    return Signer(keys or [NEW]).read(text, place, NOW)


def sign(*keys: bytes, until: float = NOW + 60, **access: object) -> str:
    return Signer(keys or [NEW]).sign(ORDERS, Access(until=until, **access))  # type: ignore[arg-type]


def test_it_grants_just_what_it_names() -> None:
    text = sign(filter={"room": [7, None], "author": "ann"}, columns=["id", "body"])
    filter_ = {"room": [7, None], "author": ["ann"]}
    assert granted(text) == Access(filter_, ["id", "body"], NOW + 60)
    assert granted(sign()) == Access({}, None, NOW + 60)


def test_values_are_kept_as_a_query_says_them() -> None:
    text = sign(filter={"a": UUID(int=7), "b": Colour.RED, "c": True, "d": {7}})
    filter_ = {"a": [str(UUID(int=7))], "b": ["red"], "c": [True], "d": [7]}
    assert granted(text).filter == filter_


@pytest.mark.parametrize("value", [7.5, b"x", object()])
def test_a_value_that_no_filter_has_is_an_error(value: object) -> None:
    with pytest.raises(ValueError, match="room: rows cannot be chosen"):
        sign(filter={"room": value})


def test_it_fits_into_an_address() -> None:
    assert len(sign(filter={"room": 7})) < 200
    with pytest.raises(ValueError, match="too many"):
        sign(filter={"room": [f"{number}-{number * 7919}" for number in range(2000)]})


def reason(text: str, place: Place = ORDERS, keys: list[bytes] | None = None) -> str:
    with pytest.raises(SignatureRefusedError) as refused:
        granted(text, place, keys=keys)
    return refused.value.reason


def test_it_is_for_its_feed_of_its_notifier_alone() -> None:
    assert reason(sign(), Place("rowcast", "alarms")) == "other-feed"
    assert reason(sign(), Place("archive", "orders")) == "other-feed"


def test_it_ends() -> None:
    assert granted(sign(until=NOW + 1)).until == NOW + 1
    assert reason(sign(until=NOW)) == reason(sign(until=NOW - 1)) == "expired"


def test_nobody_changes_it() -> None:
    text = sign(filter={"room": 7})
    for at in range(len(text)):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        # The last character of a signature has bits that say nothing.
        assert at == len(text) - 1 or reason(changed) == "signature", at
    for made in ("", ".", "x.y", text + ".x", text[: len(text) // 2], "ä", "\0", "x" * 5000):
        assert reason(made) == "signature"


def test_what_else_the_application_signs_is_none() -> None:
    claim: list[object] = ["rowcast", "orders", {}, None, NOW + 60]
    for salt in ("cookie-session", "itsdangerous", ""):
        assert reason(str(URLSafeSerializer(NEW, salt=salt).dumps(claim))) == "signature"


def test_of_another_version_it_is_none() -> None:
    serializer = Signer([NEW])._serializer
    claims: list[object] = [[], 7, None, {}, ["rowcast", "orders", {}, None, "soon"], ["rowcast"]]
    for claim in claims:
        assert reason(str(serializer.dumps(claim))) in ("signature", "other-feed")


def test_an_old_key_is_believed_and_the_newest_signs() -> None:
    old, both = sign(OLD), sign(OLD, NEW)
    assert granted(old, keys=[OLD, NEW]) == granted(both, keys=[NEW])
    assert reason(old, keys=[NEW]) == reason(both, keys=[OLD]) == "signature"
    assert reason(sign(), keys=[OTHER]) == "signature"


@pytest.mark.parametrize(
    ("config", "keys"),
    [
        ({}, []),
        ({"SECRET_KEY": None}, []),
        ({"SECRET_KEY": "new"}, [b"new"]),
        ({"SECRET_KEY": "new", "SECRET_KEY_FALLBACKS": ["", None, b""]}, [b"new"]),
        ({"SECRET_KEY": b"new", "SECRET_KEY_FALLBACKS": None}, [b"new"]),
        (
            {"SECRET_KEY": "new", "SECRET_KEY_FALLBACKS": ["old", b"older"]},
            [b"old", b"older", b"new"],
        ),
    ],
)
def test_the_keys_are_the_applications(config: dict[str, object], keys: list[bytes]) -> None:
    assert signed.keys_of(config) == keys


def test_without_a_key_nothing_is_believed() -> None:
    text = str(URLSafeSerializer(b"", salt=signed.SALT).dumps(["rowcast", "orders", {}, None, 2e9]))
    for made in (text, sign(), ""):
        with pytest.raises(SignatureRefusedError):
            Signer([]).read(made, ORDERS, NOW)


@pytest.mark.parametrize("expires_s", [0, 0.5, -1, float("inf"), float("nan")])
def test_it_is_good_for_a_time_that_is_said(expires_s: float) -> None:
    with pytest.raises(ValueError, match="for how many seconds"):
        signed.end_of(expires_s, NOW)
    assert signed.end_of(1.5, NOW) == NOW + 1
