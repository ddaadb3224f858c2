"""`Draft` and `Change`: what somebody sent, by a form or as JSON, and the check before it is kept.

Two steps on purpose: a draft that was read can be given back with the text kept, whatever then
turns out to be wrong with it.
"""

from __future__ import annotations

import hashlib
import re
from typing import TypeVar

import gevent
import msgspec
from flask import request
from werkzeug.exceptions import HTTPException

from models.post import AUTHOR_LENGTH, BODY_LENGTH
from wall import text
from wall.errors import Refused
from wall.security import LARGEST_BODY_BYTES

# The server reads a body for as long as it takes. At 64 KiB this is slower than any modem.
BODY_DEADLINE_S = 10.0
KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")  # one that can be guessed gives away the right to edit
T = TypeVar("T")
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


class Draft(msgspec.Struct):
    """What somebody wrote, as it came. `key` is the sender's: sent again with it, the same text is
    the same post, whatever became of the first answer."""

    author: str = ""
    body: str = ""
    key: str = ""


class Change(msgspec.Struct):
    """What a program wants of a post: another text, or that it is hidden or shown."""

    body: str | msgspec.UnsetType = msgspec.UNSET
    hidden: bool | msgspec.UnsetType = msgspec.UNSET


def read_draft() -> Draft:
    """The draft in the current request. Raises Refused(400, 408, 413, 415 or 422)."""
    body = read_whole()
    if not request.is_json:
        return Draft(*(request.form.get(name, "") for name in ("author", "body", "key")))
    example = '{"author": "Ada", "body": "Hello"}'
    return _sent_json(body, Draft, f"Send an object like {example}, with text in both.")


def read_change() -> Change:
    """The change in the current request, as JSON. Raises Refused(400, 408, 413, 415 or 422)."""
    body = read_whole()
    if not request.is_json:
        raise Refused(415, "Send JSON with the content type application/json.")
    said = 'Send {"body": "Hello"} or {"hidden": true}, one of the two.'
    change = _sent_json(body, Change, said)
    if (change.body is msgspec.UNSET) == (change.hidden is msgspec.UNSET):
        raise Refused(422, said)
    return change


def checked(draft: Draft) -> tuple[str, str]:
    """Author and body as they are kept. Raises Refused(400) or Refused(422)."""
    _refuse(
        author=_far_too_long(draft.author, AUTHOR_LENGTH),
        body=_far_too_long(draft.body, BODY_LENGTH),
    )
    author, body = _cleaned(draft)
    _refuse(
        author=_problem(author, "Who are you? A name is needed.", AUTHOR_LENGTH),
        body=_problem(body, "There is nothing to post yet.", BODY_LENGTH),
    )
    return author, body


def named(key: str, author: str, body: str) -> str | None:
    """The name of a text under which it stands once, or None without a key. Raises Refused(422).

    The text is part of it: whoever writes on and sends that posts a second text. The key is not
    kept, since whoever knows it may change the post.
    """
    if not key:
        return None
    if not KEY.fullmatch(key):
        raise Refused(422, "A key has 16 to 64 letters, digits, '-' or '_', made at random.")
    return hashlib.sha256(f"{key}\0{author}\0{body}".encode()).hexdigest()


def checked_body(written: str) -> str:
    """The body alone, as it is kept. Raises as `checked()`."""
    _refuse(body=_far_too_long(written, BODY_LENGTH))
    _, body = _cleaned(Draft(body=written))
    _refuse(body=_problem(body, "There is no text left. To remove a post, delete it.", BODY_LENGTH))
    return body


def _cleaned(draft: Draft) -> tuple[str, str]:
    try:
        return text.clean_line(draft.author), text.clean_text(draft.body)
    except text.UnstorableTextError:
        message = "There are characters in this text that cannot be kept: NUL, or half an emoji."
        raise Refused(400, message) from None


def _refuse(**problems: str | None) -> None:
    fields = {name: problem for name, problem in problems.items() if problem}
    if fields:
        raise Refused(422, "This cannot be posted yet.", fields=fields)


def _far_too_long(written: str, longest: int) -> str | None:
    """Told without a look at the text itself, which may be made to take long."""
    return _too_many(written, longest) if len(written) > text.MOST_RAW * longest else None


def _problem(written: str, when_blank: str, longest: int) -> str | None:
    if text.is_blank(written):
        return when_blank
    return _too_many(written, longest) if len(written) > longest else None


def _too_many(written: str, longest: int) -> str:
    over = len(written) - longest
    return f"{over:,} character{'s' if over > 1 else ''} too many; {longest:,} fit."


def read_whole() -> bytes:
    """What was sent, as a form or JSON. Raises Refused(400, 408, 415), and 413 also where the
    length was not told beforehand: Werkzeug then stops reading at the limit, but hands out what it
    has as if it were all."""
    try:
        with gevent.Timeout(BODY_DEADLINE_S, Refused(408)):
            body = request.get_data()
    except (Refused, HTTPException):
        raise
    except Exception:  # noqa: BLE001 - each server has errors of its own for a body cut off or malformed
        raise Refused(400, "Your post did not arrive whole. Please send it again.") from None
    if request.content_length is None and len(body) >= LARGEST_BODY_BYTES:
        raise Refused(413)
    if not request.is_json and request.mimetype not in FORM_TYPES:
        raise Refused(415)
    return body


def _sent_json(body: bytes, kind: type[T], otherwise: str) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        raise Refused(422, otherwise) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(400, "This is no JSON that could be read.") from None
