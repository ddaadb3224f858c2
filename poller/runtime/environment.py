"""The names that settings have in the environment: what to tell of one that is not ours, or wrong.

The settings themselves are in `settings.py`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from pydantic import ValidationError

PREFIX = "ROWCAST_"
# Settings of the example application, which an embedding one may find in its environment.
OF_THE_WALL = {
    "ROWCAST_INSTANCE": "set DATABASE_URL",
    "ROWCAST_POST_RATE": "limit requests in the application, for example with Flask-Limiter",
    "ROWCAST_PROXIES": "wrap the application in Werkzeug's ProxyFix, "
    "app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1)",
    "ROWCAST_TRUSTED_HOSTS": 'set app.config["TRUSTED_HOSTS"]',
}
SECRET = (
    "DATABASE_URL",
    "SECRET_KEY",
    "ROWCAST_OPERATOR_TOKEN",
    "OPERATOR_TOKEN",
)  # never in a text: a URL may hold a password


def without_wall_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` without the example wall's own settings."""
    return {name: value for name, value in environ.items() if name not in OF_THE_WALL}


def unknown(name: str, known: Iterable[str]) -> str:
    """What to tell of a name that begins like ours and is none of `known`."""
    if instead := OF_THE_WALL.get(name):
        return (
            f"{name} is a setting of Rowcast's example wall, and does nothing in another "
            f"application. Unset it; instead, {instead}."
        )
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    return f"{name} is not a setting of Rowcast.{hint} docs/settings.md lists them all."


def explain(error: ValidationError, given: Mapping[str, object]) -> str:
    """What to tell of values that are not allowed, by the names that they were `given` under."""
    lines = []
    for problem in error.errors():
        name = str(problem["loc"][0])
        shown = "" if name.upper() in SECRET else f"={given.get(name)!r}"
        lines.append(f"{name}{shown}: {problem['msg']}.")
    return "\n".join(lines)
