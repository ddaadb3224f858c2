"""A watcher that several feeds of one database share: it runs while one of them is polled."""

from __future__ import annotations

from poller.runtime.recurring import Recurring


class Shared(Recurring):
    """Starts with the first that joins, and stops when the last has left."""

    def __init__(self) -> None:
        super().__init__()
        self._users: set[object] = set()

    @property
    def lacking(self) -> str:
        """Why it tells nothing now, though the user asked for it; else empty."""
        return ""

    def join(self, user: object) -> None:
        """Twice does nothing."""
        self._users.add(user)
        self.start()

    def leave(self, user: object) -> None:
        """Whoever never joined may leave, too."""
        self._users.discard(user)
        if not self._users:
            self.stop()
