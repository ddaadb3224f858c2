"""What the end-to-end tests have, too: the server that a url leads to."""

from tests.serving.conftest import server_of

__all__ = ["server_of"]
