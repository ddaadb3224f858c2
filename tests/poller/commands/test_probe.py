"""`rowcast probe`: what is printed, and the exit status."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest
from click.testing import Result

from poller.probing import look
from poller.probing.observed import Observed
from tests.poller.probing.expected import RECORDED
from tests.poller.probing.scripted import CHUNKED, END, Connection, server

Run = Callable[..., Result]
Scene = Callable[[str], None]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """scene(name): the look sees what was once recorded."""

    def begin(name: str) -> None:
        data = (RECORDED / f"{name}.json").read_bytes()
        seen = msgspec.json.decode(data, type=Observed)
        seen = msgspec.structs.replace(seen, url="http://x/stream?…", origin="")
        monkeypatch.setattr(look, "look", lambda _: seen)

    return begin


def test_a_stream_that_is_well(scene: Scene, rowcast: Run) -> None:
    scene("rowcast-quiet")
    ended = rowcast("probe", "http://x/stream")
    assert ended.exit_code == 0, ended.stdout
    lines = ended.stdout.splitlines()
    assert lines[:3] == [
        "http://x/stream, looked at for 20 s …",
        "",
        "ok        It is a stream of Rowcast.",
    ]
    assert lines[-1] == "All is well, as far as it could be seen."
    assert "\x1b" not in ended.stdout


def test_attention_is_said_with_the_cure_of_the_proxy(scene: Scene, rowcast: Run) -> None:
    scene("nginx-buffers")
    ended = rowcast("probe", "http://x/stream")
    assert ended.exit_code == 1
    assert "attention Nothing came within 8.0 s, not even the head" in ended.stdout
    assert "seen: HEAD: status 200, Server: nginx" in ended.stdout
    assert "what to do: tell the proxy not to buffer" in ended.stdout
    assert "nginx:      proxy_buffering off;" in ended.stdout
    assert "HAProxy" not in ended.stdout
    assert ended.stdout.endswith("\n1 thing needs attention.\n")


def test_all_cures_are_said_where_no_proxy_is_known(scene: Scene, rowcast: Run) -> None:
    scene("haproxy-cuts")
    ended = rowcast("probe", "http://x/stream")
    assert ended.exit_code == 1
    for line in ("nginx:      proxy_read_timeout", "HAProxy:    timeout", "Cloudflare: its 100 s"):
        assert line in ended.stdout


def test_for_programs_there_is_no_secret_and_no_row(scene: Scene, rowcast: Run) -> None:
    scene("nchan")
    ended = rowcast("probe", "http://ann:secret@x/stream?signed=secret", "--json")
    said = json.loads(ended.stdout)
    assert (said["verdict"], ended.exit_code) == ("attention", 1)
    assert {one["state"] for one in said["findings"]} <= {"ok", "unknown", "attention"}
    assert "secret" not in ended.stdout


def test_colour_is_never_alone(scene: Scene, rowcast: Run) -> None:
    scene("rowcast")
    assert "\x1b[32mok" in rowcast("probe", "http://x/stream", color=True).stdout


def test_a_look_at_a_stream_that_ends(rowcast: Run) -> None:
    def answer(client: Connection) -> None:
        assert client.header("x-login") == "Ann"
        assert client.header("host") == "shop.example"
        client.say(CHUNKED)
        client.chunk("id: 1\ndata: 1\n\n")
        client.say(END)

    with server(answer) as url:
        ended = rowcast("probe", url, "-H", "X-Login: Ann", "-H", "Host: shop.example")
    assert ended.exit_code == 1, ended.output
    assert "attention The stream ended in good order after" in ended.stdout


def test_a_server_commands_no_terminal(rowcast: Run) -> None:
    with server(lambda client: client.say("\x1b]0;title\x07\x1b[2J\r\n\r\n")) as url:
        ended = rowcast("probe", url)
    assert ended.exit_code == 2
    assert "\\x1b]0;title" in ended.stderr
    assert not {"\x1b", "\x07"} & {*ended.stderr}


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch, rowcast: Run) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(look, "look", interrupted)
    assert rowcast("probe", "http://x/stream").exit_code == 130


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["shop.db"], "begins with http:// or https://"),
        (["http://x/", "-H", "no header"], "-H takes one header"),
        (["http://x/", "-H", "a: b\r\nc: d"], "-H takes one header"),
        (["http://x/", "-H", "a: …"], "in ASCII"),
        (["http://x/", "--origin", "shop.example"], "begins with http:// or https://"),
        (["http://127.0.0.1:1/"], "refused"),
    ],
)
def test_what_cannot_be_looked_at(arguments: list[str], words: str, rowcast: Run) -> None:
    ended = rowcast("probe", *arguments)
    assert ended.exit_code == 2
    assert words in ended.stderr
