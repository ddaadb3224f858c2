"""What every answer of ours tells a browser, so that no page elsewhere can do anything with it.

No answer is a document: nothing in it runs, it cannot be framed, and it is what its type says. No
page of another site may load it, save by CORS, which asks first. An application that knows better
sets a header itself.
"""

from __future__ import annotations

from flask import Response

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def protect(response: Response) -> Response:
    """After each request for one of our routes."""
    said = {name.lower() for name, _ in response.headers}
    for name, value in HEADERS.items():
        if name.lower() not in said:
            response.headers.add(name, value)
    return response
