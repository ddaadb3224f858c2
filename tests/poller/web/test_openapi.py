"""docs/openapi.yaml is valid, names just the routes there are, and answers are as it says."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from openapi_spec_validator.readers import read_from_filename
from werkzeug.test import TestResponse

from poller.serving import long_poll
from poller.web import rows
from poller.wire import notices
from tests.poller.web.conftest import Shop

FILE = Path(__file__).parents[3] / "docs" / "openapi.yaml"
SPEC: Mapping[str, Any] = read_from_filename(str(FILE))[0]
OPERATIONS = [
    (path, method)
    for path, item in SPEC["paths"].items()
    for method in item
    if method != "parameters"
]


def as_described(answer: TestResponse, path: str) -> Any:
    """The answer's JSON, which is what the description has for its path and status."""
    described = SPEC["paths"][path]["get"]["responses"][str(answer.status_code)]
    described = resolved(described)
    for name, header in described.get("headers", {}).items():
        assert name in answer.headers or not header.get("required")
    schema = described["content"][answer.mimetype]["schema"]
    check(answer.json, schema)
    return answer.json


def check(value: object, schema: Mapping[str, Any]) -> None:
    OAS31Validator({**schema, "components": SPEC["components"]}).validate(value)


def resolved(described: Any) -> Any:
    """What a local `$ref` leads to."""
    while "$ref" in described:
        found: Any = SPEC
        for step in described["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        described = found
    return described


def test_it_is_valid_openapi() -> None:
    validate(SPEC)
    assert SPEC["openapi"].startswith("3.1.")


def test_it_names_the_routes_that_there_are(shop: Shop) -> None:
    rules = [rule for rule in shop.app.url_map.iter_rules() if rule.endpoint.startswith("rowcast.")]
    served = {
        (
            re.sub(r"<(?:any\(.*?\):)?(\w+)>", r"{\1}", rule.rule.replace("<name>", "<feed>")),
            method.lower(),
        )
        for rule in rules
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert served == set(OPERATIONS)


@pytest.mark.parametrize("name", ["LIMIT_ROWS", "MAX_LIMIT_ROWS", "MAX_WAIT_S", "FULL_KEPT_S"])
def test_it_names_the_bounds(name: str) -> None:
    value = getattr(rows, name)
    text = FILE.read_text(encoding="utf-8")
    assert re.search(rf"\b(?:{value}|{value:,})\b", text)


def test_it_names_each_reason_of_a_reset() -> None:
    reasons = {
        value
        for name, value in vars(notices).items()
        if name.isupper() and isinstance(value, str) and not name.endswith("_EVENT")
    }
    assert reasons == set(SPEC["components"]["schemas"]["ResetReason"]["enum"])


def test_answers_are_as_described(shop: Shop) -> None:
    shop.insert("one", "two", "three")
    client, path = shop.seen(3), "/rows/{feed}"
    epoch = shop.feed.log.epoch
    for query in ("", "after=0", "after=0&limit=2", f"after={epoch}.3&wait=0"):
        assert as_described(client.get(f"/rows/notes?{query}"), path)["next"]
    assert as_described(client.get("/rows/notes?after=beef.1"), path)["reset"]
    assert as_described(client.get("/rows/notes?after=!"), path)["error"]
    assert as_described(client.get("/readyz"), "/readyz")["ready"]
    assert as_described(client.get("/status.json"), "/status.json")["checks"]
    unreadable = b'{"_unreadable":{"id":4,"reason":"it is cursed"}}'
    with mock.patch.object(long_poll, "_object", return_value=unreadable):
        assert as_described(client.get("/rows/notes?after=0"), path)["rows"]
    shop.feed.close()
    assert as_described(client.get("/rows/notes"), path)["error"]


def test_a_refusal_is_as_described(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(max_streams=1)
    held = shop.ready().get("/stream")
    lines = {"Accept": "application/x-ndjson"}
    assert as_described(shop.client.get("/rows/notes"), "/rows/{feed}")["error"]
    assert as_described(shop.client.get("/stream/notes", headers=lines), "/stream/{feed}")
    held.close()


def test_lines_are_as_described(shop: Shop) -> None:
    shop.insert("one")
    response = shop.seen(1).get("/stream?after=x", headers={"Accept": "application/x-ndjson"})
    chunks = response.iter_encoded()
    lines = [line for _ in range(2) for line in next(chunks).splitlines() if line]
    response.close()
    assert len(lines) == 4
    for line in [*lines, b'{"row":{"id":1},"next":"abcd.1"}', b'{"retry":1200}']:
        check(json.loads(line), {"$ref": "#/components/schemas/Line"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": [], "next": "abcd.1"},
        {"rows": [], "next": "a b", "live": True},
        {"rows": [{"_unreadable": {}}], "next": "abcd.1", "live": True},
    ],
)
def test_another_answer_would_be_seen(wrong: object) -> None:
    assert not OAS31Validator(
        {"$ref": "#/components/schemas/Rows", "components": SPEC["components"]}
    ).is_valid(wrong)
