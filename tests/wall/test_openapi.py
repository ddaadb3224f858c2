"""docs/wall.openapi.yaml is valid, names just the routes there are, and answers are as it says."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from openapi_spec_validator.readers import read_from_filename
from werkzeug.test import TestResponse

from models.post import AUTHOR_LENGTH, BODY_LENGTH, create_tables
from wall import create_app
from wall.settings import WallSettings

FILE = Path(__file__).parents[2] / "docs" / "wall.openapi.yaml"
SPEC: Mapping[str, Any] = read_from_filename(str(FILE))[0]
TOKEN = "the moderator's token, long enough"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def app(sqlite_url: str) -> Iterator[Flask]:
    settings = {"database_url": sqlite_url, "secret_key": TOKEN, "moderator_token": TOKEN}
    app = create_app(WallSettings.model_validate(settings | {"post_rate": "4 per minute"}))
    wall = app.extensions["wall"]
    create_tables(wall.database)
    yield app
    wall.database.dispose()


def as_described(answer: TestResponse, method: str, path: str) -> int:
    """Its status; the headers and the JSON are as the description has them."""
    described = SPEC["paths"][path][method]["responses"][str(answer.status_code)]
    if "$ref" in described:
        described = SPEC["components"]["responses"][described["$ref"].rpartition("/")[2]]
    for name, header in described.get("headers", {}).items():
        assert name in answer.headers or not header.get("required")
    if "content" in described:
        schema = described["content"][answer.mimetype]["schema"]
        shown = answer.json if answer.is_json else answer.text
        OAS31Validator({**schema, "components": SPEC["components"]}).validate(shown)
    else:
        assert not answer.data
    return answer.status_code


def test_it_is_valid_openapi() -> None:
    validate(SPEC)


def test_it_names_the_routes_for_programs(app: Flask) -> None:
    served = {
        (re.sub(r"<post_id>", "{id}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if re.fullmatch(r"/posts(/<post_id>)?|/feed\.atom", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert served == {
        (path, method)
        for path, item in SPEC["paths"].items()
        for method in item
        if method != "parameters"
    }


def test_it_names_the_lengths() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert {*re.findall(r"maxLength: (\d+)", text)} == {str(AUTHOR_LENGTH), str(BODY_LENGTH)}


def test_answers_are_as_described(app: Flask) -> None:
    client, stranger = app.test_client(), app.test_client()
    json = {"Accept": "application/json"}

    def change(sent: object, **options: Any) -> int:
        one = options.pop("client", client)
        return as_described(one.patch("/posts/1", json=sent, **options), "patch", "/posts/{id}")

    def read() -> int:
        return as_described(client.get("/posts/1", headers=json), "get", "/posts/{id}")

    def remove() -> int:
        return as_described(client.delete("/posts/1", headers=json), "delete", "/posts/{id}")

    post = {"author": "Ada", "body": "Hello"}
    assert read() == 404
    assert as_described(client.post("/posts", json=post), "post", "/posts") == 201
    assert as_described(client.post("/posts", json=[]), "post", "/posts") == 422
    feed = client.get("/feed.atom")
    assert as_described(feed, "get", "/feed.atom") == 200
    same = client.get("/feed.atom", headers={"If-None-Match": feed.headers["ETag"]})
    assert as_described(same, "get", "/feed.atom") == 304
    assert read() == 200
    assert change({"body": "Hello again"}) == 200
    assert change({"hidden": True}) == 403
    assert change({}) == 422
    assert change({"hidden": True}, headers=BEARER, client=stranger) == 204
    assert read() == 404
    assert change({"hidden": False}, headers=BEARER, client=stranger) == 200
    assert change({"body": ""}) == 422
    assert remove() == 204
    assert remove() == 429
    assert as_described(client.post("/posts", json=post), "post", "/posts") == 429


def test_a_post_that_is_sent_again_is_as_described(app: Flask) -> None:
    client, sent = app.test_client(), {"author": "Ada", "body": "Hello", "key": "k" * 16}
    statuses = [as_described(client.post("/posts", json=sent), "post", "/posts") for _ in range(2)]
    client.delete("/posts/1")
    statuses += [as_described(client.post("/posts", json=sent), "post", "/posts")]
    assert statuses == [201, 200, 409]
