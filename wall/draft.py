"""`Draft`: what somebody sent, from the form or as JSON, and the check before it is kept.

Two steps on purpose: a draft that was read can be given back with the text kept, whatever then
turns out to be wrong with it.
"""

from __future__ import annotations

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
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


class Draft(msgspec.Struct):
    """What somebody wrote, as it came."""

    author: str = ""
    body: str = ""


def read_draft() -> Draft:
    """The draft in the current request. Raises Refused(400, 408, 413, 415 or 422)."""
    body = _whole_body()
    return _sent_json(body) if request.is_json else _sent_form()


def checked(draft: Draft) -> tuple[str, str]:
    """Author and body as they are kept. Raises Refused(400) or Refused(422)."""
    _refuse(
        author=_far_too_long(draft.author, AUTHOR_LENGTH),
        body=_far_too_long(draft.body, BODY_LENGTH),
    )
    try:
        author, body = text.clean_line(draft.author), text.clean_text(draft.body)
    except text.UnstorableTextError:
        message = "There are characters in this text that cannot be kept: NUL, or half an emoji."
        raise Refused(400, message) from None
    _refuse(
        author=_problem(author, "Who are you? A name is needed.", AUTHOR_LENGTH),
        body=_problem(body, "There is nothing to post yet.", BODY_LENGTH),
    )
    return author, body


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


def _whole_body() -> bytes:
    """What was sent. Raises Refused(400, 408), and 413 also where the length was not told
    beforehand: Werkzeug then stops reading at the limit, but hands out what it has as if it were
    all."""
    try:
        with gevent.Timeout(BODY_DEADLINE_S, Refused(408)):
            body = request.get_data()
    except (Refused, HTTPException):
        raise
    except Exception:  # noqa: BLE001 - each server has errors of its own for a body cut off or malformed
        raise Refused(400, "Your post did not arrive whole. Please send it again.") from None
    if request.content_length is None and len(body) >= LARGEST_BODY_BYTES:
        raise Refused(413)
    return body


def _sent_form() -> Draft:
    if request.mimetype not in FORM_TYPES:
        raise Refused(415)
    return Draft(request.form.get("author", ""), request.form.get("body", ""))


def _sent_json(body: bytes) -> Draft:
    try:
        return msgspec.json.decode(body, type=Draft)
    except msgspec.ValidationError:
        message = 'Send an object like {"author": "Ada", "body": "Hello"}, with text in both.'
        raise Refused(422, message) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(400, "This is no JSON that could be read.") from None
