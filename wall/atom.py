"""`/feed.atom`: the newest posts for a feed reader, as RFC 4287 has them.

An entry is updated when its text is. A post that was removed is no longer in the feed; what a
reader keeps of it is its own.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from flask import Blueprint, Response, request, url_for

from models import PostRow, post
from wall.brand import app_brand
from wall.current import DATABASE_AWAY, database_away, this_wall

ENTRIES = 50
LONGEST_TITLE = 80  # characters: the first line of a post, or what fits of it
ATOM = "{http://www.w3.org/2005/Atom}"
BEGINNING = datetime.fromtimestamp(0, UTC)
# XML 1.0 has no way to write these, and one of them would make the feed unreadable. Any tool may
# have put them into the table.
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

ET.register_namespace("", ATOM[1:-1])
blueprint = Blueprint("atom", __name__)


@blueprint.get("/feed.atom")
def feed() -> Response:
    """Raises Refused(503)."""
    try:
        rows = post.newest(this_wall().database, ENTRIES)
    except DATABASE_AWAY as error:
        raise database_away(error) from None
    content = _feed([row for row in rows if row.readable])
    response = Response(content, content_type="application/atom+xml; charset=utf-8")
    response.headers["Cache-Control"] = "public, no-cache"  # a post may be removed at any time
    response.add_etag()
    response.make_conditional(request)
    return response


def _feed(rows: list[PostRow]) -> bytes:
    brand = app_brand()
    root = ET.Element(f"{ATOM}feed")
    home = url_for("wall.index", _external=True)
    _add(root, "id", home)
    _add(root, "title", brand.title)
    if brand.about:
        _add(root, "subtitle", brand.about)
    _add(root, "updated", _moment(max((_updated(row) for row in rows), default=BEGINNING)))
    _add(root, "link", rel="alternate", type="text/html", href=home)
    here = url_for(".feed", _external=True)
    _add(root, "link", rel="self", type="application/atom+xml", href=here)
    _add(root, "generator", "Rowcast")
    for row in rows:
        _add_entry(root, row)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _add_entry(root: ET.Element, row: PostRow) -> None:
    entry = ET.SubElement(root, f"{ATOM}entry")
    address = url_for("wall.show", post_id=row.id, _external=True)
    _add(entry, "id", address)
    _add(entry, "title", _title(row.body))
    _add(entry, "published", _moment(row.created_at))
    _add(entry, "updated", _moment(_updated(row)))
    _add(entry, "link", rel="alternate", type="text/html", href=address)
    _add(ET.SubElement(entry, f"{ATOM}author"), "name", row.author)
    _add(entry, "content", row.body, type="text")


def _add(parent: ET.Element, name: str, text: str = "", /, **attributes: str) -> None:
    ET.SubElement(parent, ATOM + name, attributes).text = _NOT_IN_XML.sub("\ufffd", text) or None


def _title(body: str) -> str:
    line = next(iter(body.strip().splitlines()), "")
    return line if len(line) <= LONGEST_TITLE else line[: LONGEST_TITLE - 1] + "…"


def _updated(row: PostRow) -> datetime:
    return row.edited_at or row.created_at


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
