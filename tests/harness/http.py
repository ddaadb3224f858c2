"""One HTTP request on a connection of its own: no pool, no redirect followed, nothing hidden."""

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def request(
    url: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Reply:
    """The server's answer, read to its end; OSError when there is none."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with closing(HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)) as connection:
        connection.request(method, target, body, {"Connection": "close", **(headers or {})})
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        fields = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, fields, text)


def post_json(url: str, value: object, timeout_s: float = TIMEOUT_S) -> Reply:
    body = json.dumps(value).encode()
    return request(url, "POST", body, {"Content-Type": "application/json"}, timeout_s)
