"""Who may read, asked at each request for rows, whatever form they are to have."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from unittest import mock
from uuid import UUID

import gevent
import pytest
from flask import Request, abort, g, has_request_context, redirect, request, session
from werkzeug.test import TestResponse

from poller import Access
from poller.delivery.view import ALL, View
from poller.runtime import metrics
from poller.serving.client import ClientSocket
from poller.serving.streams import StreamRequest, Streams
from poller.serving.wsgi_stream import WsgiStream
from poller.web import admit
from tests.harness import sql
from tests.harness.greenlets import until
from tests.harness.logged import logged
from tests.poller.web.rooms import LINES, Rooms

Make = Callable[..., Rooms]

FORMS: dict[str, tuple[str, dict[str, str]]] = {
    "stream": ("/stream/notes", {}),
    "lines": ("/stream/notes", LINES),
    "rows": ("/rows/notes", {}),
}
CANARY = "canary-token"


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def ask(rooms: Rooms, form: str, query: str = "", **headers: str) -> TestResponse:
    """The head of an answer; its body is not asked for, so nothing opens that is not refused."""
    path, wanted = FORMS[form]
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = rooms.client.get(path + query, headers={**wanted, **names}, buffered=False)
    answer.close()
    return answer


def refused(reason: str, feed: str = "notes") -> float:
    """How many were, in this process."""
    return float(metrics.refused.labels(feed, reason)._value.get())


def raises(error: BaseException) -> Callable[[Request], bool]:
    def authorize(_: Request) -> bool:
        raise error

    return authorize


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (True, 200),
        (False, 403),
        (Access(), 200),
        (Access(filter={"room": 7}, columns=["body"], until=4e9, tag="ann"), 200),
        (Access(tag=7), 200),
        (Access(tag=UUID(int=7)), 200),
        (Access(until=datetime(2999, 1, 1, tzinfo=UTC)), 200),
        (Access(filter={"secret": "x"}), 200),  # by what is not shown, the application may choose
    ],
)
def test_what_the_application_says_counts(
    make_rooms: Make, form: str, said: bool | Access, status: int
) -> None:
    rooms = make_rooms(lambda _: said)
    rooms.ready()
    answer = ask(rooms, form)
    assert answer.status_code == status
    if status == 403:
        assert answer.json == {"error": admit.NOT_YOURS}
        assert answer.headers["Cache-Control"] == "no-store"


MISTAKES = [
    None,
    1,
    "yes",
    object(),
    {"room": 7},
    Access(filter={"body": "x"}),
    Access(filter={"room": "07"}),
    Access(filter={"room": 7.0}),
    Access(filter={"room": True}),
    Access(filter={"room": []}),
    Access(filter=[("room", 7)]),  # type: ignore[arg-type]
    Access(columns=["secret"]),
    Access(columns=["nothing"]),
    Access(until=datetime(2999, 1, 1)),  # noqa: DTZ001 - the mistake
    Access(until="tomorrow"),  # type: ignore[arg-type]
    Access(until=float("nan")),
    Access(until=True),
    Access(tag=""),
    Access(tag="x" * 256),
    Access(tag=1.5),  # type: ignore[arg-type]
]


def test_what_says_nothing_is_refused_and_told_to_the_operator(make_rooms: Make) -> None:
    rooms = make_rooms()
    rooms.ready()
    before = refused("mistake")
    with logged() as lines:
        for said in MISTAKES:
            rooms.authorize = mock.Mock(return_value=said)
            assert {ask(rooms, form).status_code for form in FORMS} == {403}, said
    assert refused("mistake") == before + len(FORMS) * len(MISTAKES)
    told = [line for line in lines if line["event"] == "access cannot be granted"]
    assert len(told) == len(FORMS) * len(MISTAKES)
    assert all(line["level"] == "error" and line["mistake"] for line in told)


@pytest.mark.parametrize(("code", "reason"), [(401, "unauthenticated"), (403, "forbidden")])
def test_it_may_answer_with_a_status_of_its_own(
    make_rooms: Make, form: str, code: int, reason: str
) -> None:
    rooms, before = make_rooms(lambda _: abort(code)), refused(reason)
    assert ask(rooms, form).status_code == code
    assert refused(reason) == before + 1


def test_it_may_send_to_a_login(make_rooms: Make, form: str) -> None:
    answer = ask(make_rooms(lambda _: abort(redirect("/login"))), form)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/login")


@pytest.mark.parametrize(
    "authorize",
    [
        raises(RuntimeError(CANARY)),
        raises(KeyError(CANARY)),
        raises(gevent.Timeout(1)),
        lambda _: abort(500, CANARY),
        lambda _: abort(503),
    ],
)
def test_where_it_cannot_say_the_client_is_to_come_back(
    make_rooms: Make, form: str, authorize: Callable[[Request], bool]
) -> None:
    rooms = make_rooms(authorize)
    path, headers = FORMS[form]
    with logged() as lines:
        answer = rooms.client.get(path, headers=headers)
    if form == "stream":  # after an error a browser's EventSource would not
        assert answer.status_code == 200
        assert answer.data.startswith(b"retry: ")
    else:
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
    (line,) = [line for line in lines if line["event"] == "authorize failed"]
    assert CANARY not in str(lines)
    assert line["at"]
    assert all(place.split(" ")[0].count(":") for place in line["at"])
    assert len(rooms.feed.streams) == 0


def test_it_is_asked_in_the_context_of_the_request_each_time(make_rooms: Make, form: str) -> None:
    seen = []

    def authorize(asked: Request) -> bool:
        assert has_request_context()
        assert asked.path == request.path
        seen.append((asked.view_args, asked.headers.get("Last-Event-ID"), g.user, {**session}))
        return True

    rooms = make_rooms(authorize)
    rooms.app.before_request(lambda: setattr(g, "user", "ann"))
    ask(rooms, form)
    ask(rooms, form, Last_Event_ID="0")
    name = {"name": "notes"}
    assert seen == [(name, None, "ann", {}), (name, "0", "ann", {})]


def test_head_is_asked_for_as_well_and_options_is_not(make_rooms: Make, form: str) -> None:
    calls: list[str] = []

    def authorize(asked: Request) -> bool:
        calls.append(asked.method)
        return False

    rooms = make_rooms(authorize)
    path, headers = FORMS[form]
    assert rooms.client.head(path, headers=headers).status_code == 403
    options = rooms.client.options(path, headers=headers)
    assert (options.status_code, options.data) == (204, b"")
    assert options.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert calls == ["HEAD"]
    assert rooms.client.options("/stream/nothing").status_code == 204
    assert rooms.client.post(path).status_code == 405


def test_a_public_feed_asks_nobody(make_rooms: Make) -> None:
    rooms = make_rooms(raises(AssertionError()))
    assert rooms.ready().get("/rows/news").status_code == 200


def test_a_feed_has_an_authorize_of_its_own(make_rooms: Make) -> None:
    rooms = make_rooms(lambda asked: asked.view_args == {"name": "notes"})
    assert ask(rooms, "stream").status_code == 200


def test_a_stranger_does_not_learn_which_feeds_there_are(make_rooms: Make) -> None:
    rooms = make_rooms(lambda asked: "Authorization" in asked.headers)
    client = rooms.client
    for path in ("/stream/{}", "/rows/{}"):
        known, unknown = (client.get(path.format(name)) for name in ("notes", "nothing"))
        assert (known.status_code, known.data) == (unknown.status_code, unknown.data)
        mine = client.get(path.format("nothing"), headers={"Authorization": "Bearer x"})
        assert mine.status_code == 404


def test_nobody_is_asked_while_there_is_no_place(make_rooms: Make) -> None:
    """Many come back every few seconds then, and each question may be one to a database."""
    asked: list[Request] = []

    def authorize(request: Request) -> bool:
        asked.append(request)
        return True

    rooms = make_rooms(authorize, settings={"max_streams": 1})
    held = rooms.ready().get("/stream/notes", buffered=False)
    next(held.iter_encoded())
    assert b"retry: " in rooms.client.get("/stream/notes").data
    assert len(asked) == 1
    held.close()


def test_places_are_looked_at_again_after_the_application_was_asked(make_rooms: Make) -> None:
    """It may take its time over the answer, and others open their streams meanwhile."""
    holding: list[TestResponse] = []

    def authorize(_: Request) -> bool:
        if not holding:
            holding.append(rooms.client.get("/stream/news", buffered=False))
            next(holding[0].iter_encoded())
        return True

    rooms = make_rooms(authorize, settings={"max_streams": 1})
    assert b"retry: " in rooms.client.get("/stream/notes").data
    assert len(rooms.feed.streams) == 0
    holding[0].close()


def test_a_closed_feed_is_told_to_who_may_read_it(make_rooms: Make) -> None:
    rooms = make_rooms(lambda asked: "Authorization" in asked.headers)
    rooms.ready()
    rooms.feed.close()
    assert rooms.client.get("/stream/notes").status_code == 403
    mine = {"Authorization": "Bearer x"}
    assert rooms.client.get("/stream/notes", headers=mine).status_code == 204
    assert rooms.client.get("/rows/notes", headers=mine).status_code == 410


def test_an_access_that_is_over_is_refused(make_rooms: Make, form: str) -> None:
    rooms, before = make_rooms(lambda _: Access(until=time.time() - 1)), refused("expired")
    rooms.ready()
    assert ask(rooms, form).status_code == 403
    assert refused("expired") == before + 1


def test_who_is_refused_is_told_without_what_was_asked_for(make_rooms: Make, form: str) -> None:
    rooms = make_rooms(lambda _: False)
    rooms.ready()
    with logged() as lines:
        for _ in range(3):
            query = f"?room=7&author={CANARY}&token={CANARY}&after={CANARY}"
            ask(rooms, form, query, Authorization=CANARY, Cookie=CANARY, Last_Event_ID=CANARY)
    (line,) = [line for line in lines if line["event"] == "refused"]
    assert (line["feed"], line["reason"], line["level"]) == ("notes", "forbidden", "info")
    assert CANARY not in str(lines)


# -- what is asked for, within that -------------------------------------------------------------


def asked_for(rooms: Rooms, query: str) -> View | tuple[int, str]:
    """The view of a stream that is opened so; or the status and the text of a refusal."""
    opened: list[StreamRequest] = []
    respond = Streams.respond

    def note(streams: Streams, wanted: StreamRequest, client: ClientSocket) -> WsgiStream:
        opened.append(wanted)
        return respond(streams, wanted, client)

    with mock.patch.object(Streams, "respond", note):
        answer = rooms.client.get(f"/stream/notes?{query}", buffered=False)
    answer.close()
    if answer.status_code == 200:
        return opened[0].view
    assert not opened
    assert answer.json is not None
    return answer.status_code, answer.json["error"]


def rooms_of(*rooms: int | None, **others: str) -> View:
    return View.of({"room": rooms, **{name: [value] for name, value in others.items()}})


CHOICES = [
    ("", ALL),
    ("utm_source=mail&_=1700000000", ALL),  # nobody's
    ("room=7", rooms_of(7)),
    ("room=-7", rooms_of(-7)),
    ("room=7&after=0&wait=5&limit=9&last_event_id=0&lastEventId=0", rooms_of(7)),
    ("room=8&room=7&room=8", rooms_of(7, 8)),
    ("author=ann&room=7", rooms_of(7, author="ann")),
    ("author=+Ann%20&room=7", rooms_of(7, author=" Ann ")),
    ("author=&room=7", rooms_of(7, author="")),
    ("author=null&room=7", rooms_of(7, author="null")),
    ("null=room", rooms_of(None)),
    ("null=room&room=7", rooms_of(None, 7)),
]


def test_the_query_chooses_rows(make_rooms: Make) -> None:
    rooms = make_rooms()
    rooms.ready()
    for query, view in CHOICES:
        assert asked_for(rooms, query) == view, query


TRICKS = ["07", "7.0", "%207", "7%20", "%2B7", "%D9%A7", "7_0", "0x7", "", "7e0", "true", "7%00"]


NONSENSE = [
    *((f"room={trick}", "room: ") for trick in TRICKS),
    (f"room={'9' * 5000}", "room: "),
    ("author=%00", "author: "),
    ("author=" + "x" * 5000, "author: "),
    ("body=x", "body is no filter of this feed"),
    ("secret=x", "secret is no filter of this feed"),
    ("null=secret", "secret is no filter of this feed"),
    ("null=body", "body is no filter of this feed"),
    ("null=" + "x" * 5000, "is no filter of this feed"),
    ("&".join(f"room={n}&author={n}" for n in range(9)), "too many"),
]


def test_what_cannot_be_asked_is_told_in_words(make_rooms: Make) -> None:
    rooms, before = make_rooms(), refused("query")
    rooms.ready()
    for query, told in NONSENSE:
        answer = asked_for(rooms, query)
        assert isinstance(answer, tuple), query
        status, text = answer
        assert status == 400
        assert told in text
        assert len(text) < 200
    assert refused("query") == before + len(NONSENSE)


NARROWED: list[tuple[dict[str, object], str, View]] = [
    ({"room": 7}, "", rooms_of(7)),
    ({"room": 7}, "room=7", rooms_of(7)),
    ({"room": [7, 8, None]}, "room=8", rooms_of(8)),
    ({"room": [7, 8, None]}, "null=room", rooms_of(None)),
    ({"room": (7, 8)}, "room=7&room=8", rooms_of(7, 8)),
    ({"room": {7}}, "author=ann", rooms_of(7, author="ann")),
    ({"secret": "x"}, "room=7", rooms_of(7, secret="x")),
]


def test_a_query_narrows_what_is_forced(make_rooms: Make) -> None:
    rooms = make_rooms()
    rooms.ready()
    for forced, query, view in NARROWED:
        rooms.authorize = mock.Mock(return_value=Access(filter=forced))
        assert asked_for(rooms, query) == view, query


WIDER: list[tuple[dict[str, object], str]] = [
    ({"room": 7}, "room=8"),
    ({"room": 7}, "room=7&room=8"),
    ({"room": 7}, "null=room"),
    ({"room": 7}, "room=7&null=room"),
    ({"room": None}, "room=0"),
    ({"author": "ann"}, "author=Ann"),
    ({"author": "ann"}, "author=ann%20"),
    ({"author": "ann"}, "author=ann&author=bob"),
    ({"author": "\u00e4"}, "author=a%CC%88"),  # the same letter, written otherwise
    ({"author": "7"}, "author=07"),
]


def test_it_never_widens_it(make_rooms: Make) -> None:
    rooms, before = make_rooms(), refused("filter")
    rooms.ready()
    for forced, query in WIDER:
        rooms.authorize = mock.Mock(return_value=Access(filter=forced))
        (name,) = forced
        assert asked_for(rooms, query) == (403, f"{admit.NOT_YOURS}: {name}"), query
    assert refused("filter") == before + len(WIDER)


def test_rows_are_not_chosen_by_what_this_client_does_not_see(make_rooms: Make) -> None:
    rooms = make_rooms(lambda _: Access(columns=["body"], filter={"room": [7, 8]}))
    rooms.ready()
    assert asked_for(rooms, "") == View.of({"room": [7, 8]}, ["id", "body"])
    for value in ("7", "seven", "07", "7&room=seven"):  # nor is its type told
        assert asked_for(rooms, f"room={value}") == (400, "room is no filter of this feed"), value
    assert asked_for(rooms, "secret=%00") == (400, "secret is no filter of this feed")


def test_before_the_first_look_at_the_table_who_asks_for_rows_is_to_come_back(
    make_rooms: Make,
) -> None:
    """Nobody knows the types of its columns yet."""
    rooms = make_rooms()
    with mock.patch.object(type(rooms.feed), "described", new=False):
        answer = rooms.client.get("/stream/notes?room=7")
        assert answer.data.startswith(b"retry: ")
        assert rooms.client.get("/rows/notes?room=7").status_code == 503


def test_raw_bytes_choose_nothing(make_rooms: Make) -> None:
    rooms = make_rooms()
    rooms.ready()
    query = {"QUERY_STRING": "room=7\xff"}
    assert rooms.client.get("/stream/notes", environ_overrides=query).status_code == 400


def test_the_next_address_asks_for_the_same_rows(make_rooms: Make) -> None:
    rooms = make_rooms()
    client = rooms.ready()
    query = "utm=x&room=8&null=author&room=7&author=a%26b&limit=5"
    answer = client.get(f"/rows/notes?{query}")
    assert answer.json is not None
    following = "limit=5&author=a%26b&null=author&room=7&room=8"
    assert answer.headers["Link"] == f'<?after={answer.json["next"]}&{following}>; rel="next"'
    assert client.get(f"/rows/notes?after={answer.json['next']}&{following}").status_code == 200


def test_no_cache_keeps_what_is_one_clients_alone(make_rooms: Make) -> None:
    """The next user of a browser may be another one."""
    rooms = make_rooms()
    client = rooms.ready()
    for name, kept in (("notes", "no-store"), ("news", "public, max-age=1")):
        answer = client.get(f"/rows/{name}")
        assert answer.headers["Cache-Control"] == kept


def test_views_whose_tags_are_alike_are_told_apart(make_rooms: Make) -> None:
    """A tag has 31 bits: whoever may choose values finds those that give it somebody else's."""
    ann, eve = "user10575", "user89865"
    assert View.of({"author": [ann]}).tag == View.of({"author": [eve]}).tag
    rooms = make_rooms(lambda asked: Access(filter={"author": asked.headers["Authorization"]}))
    client = rooms.ready()
    rooms.insert((7, ann, "ann's"), (7, eve, "eve's"))
    until(lambda: rooms.feed.log.head == 2, "both rows in the ring")
    for author in (ann, eve):
        path, headers = "/rows/notes?after=0", {"Authorization": author}
        answer = client.get(path, headers=headers).json
        assert answer is not None
        assert {row["author"] for row in answer["rows"]} == {author}


def test_a_row_that_cannot_be_read_whole_is_still_its_rooms_alone(make_rooms: Make) -> None:
    rooms = make_rooms(lambda asked: Access(filter={"room": int(asked.headers["Room"])}))
    client = rooms.ready()
    with sql.connect(rooms.url) as connection:
        connection.execute("INSERT INTO notes (room, body) VALUES (7, CAST(X'FF80' AS TEXT))")
        connection.execute("INSERT INTO notes (room, author) VALUES (7, CAST(X'FF80' AS TEXT))")
    rooms.insert((8, None, "of 8"))
    until(lambda: rooms.feed.log.head == 3, "all rows")
    found = {
        room: client.get("/rows/notes?after=0", headers={"Room": room}).get_json()["rows"]
        for room in ("7", "8")
    }
    assert [(row["id"], [*row.get("_withheld", ())]) for row in found["7"]] == [
        (1, ["body"]),
        (2, ["author"]),
    ]
    assert [row["id"] for row in found["8"]] == [3]
