"""How many streams one worker can hold: each takes one file descriptor.

Of the limit of open files, a fixed number is reserved for what a worker has open for itself. The
rest is shared between streams and the connections that ask for pages, so that neither can take the
last descriptor.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass

from poller.runtime import log
from poller.runtime.settings import MAX_STREAMS

FEW_STREAMS = 5_000  # fewer than wanted, and than this, is worth a warning
MOST_PAGES = 1_000  # connections for pages, posts and health checks at the same time
PAGES_SHARE = 5  # if descriptors are few, one in so many is for pages
# A worker at rest has about 20 open (standard streams, listener, hub, metrics), and its database
# pool may open 15; the rest is for what an application opens that is served beside the streams.
RESERVED_DESCRIPTORS = 100


@dataclass(frozen=True, slots=True)
class Capacity:
    """What fits into `open_files` descriptors: so many streams, and pages beside them."""

    open_files: int
    wanted: int
    streams: int
    pages: int

    @classmethod
    def within(cls, open_files: int, configured: int | None = None) -> Capacity:
        """Streams and pages in numbers above 0, whatever the limit."""
        wanted = MAX_STREAMS if configured is None else configured
        free = max(2, open_files - RESERVED_DESCRIPTORS)
        pages = min(MOST_PAGES, max(1, free // PAGES_SHARE, free - wanted))
        return cls(open_files, wanted, min(wanted, free - pages), pages)

    @classmethod
    def of_this_process(cls, configured: int | None = None) -> Capacity:
        """What fits into this process, its limit of open files raised as far as it may be."""
        return cls.within(raise_descriptor_limit(), configured)

    def announce(self) -> None:
        """One line in the log; a warning with what to do if the room is small."""
        if self.streams >= min(self.wanted, FEW_STREAMS):
            log.info("room for streams", streams=self.streams, open_files=self.open_files)
            return
        needed = self.wanted + MOST_PAGES + RESERVED_DESCRIPTORS
        log.warning(
            "room for fewer streams than wanted",
            streams=self.streams,
            wanted=self.wanted,
            open_files=self.open_files,
            what_to_do=f"allow more open files: ulimit -Hn {needed} in the shell that starts the "
            f"server, LimitNOFILE={needed} in its systemd unit; or start more workers",
        )


def raise_descriptor_limit() -> int:
    """Raise this process's soft limit of open files to the hard one; the limit then in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_STREAMS * 2 if hard == resource.RLIM_INFINITY else hard
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return MAX_STREAMS * 2 if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError):  # macOS promises an unlimited hard value and refuses it
        return soft
    return wanted
