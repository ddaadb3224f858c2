"""Holders that do nothing: an id that was given out meanwhile is none of theirs.

A transaction that is left open for an hour holds every gap of that hour open, though it took its
ids in its first second. Some databases show when a holder last began or ended to do something. Two
facts then say that it owns nothing above a bound:

1. A look saw it idle since `s`, and only then the counter was read: the *bound*.
2. A later look, which began after the gap was discovered, sees it idle since the same `s`.

Safety. An id above the bound was given out after the counter was read, hence after the look of 1.
To take it the holder had to go to work, and that is written down before it takes anything, and for
good: what it is idle since is another then. The owner of a gap took its id before the id above the
gap was taken, hence before the pass read that one, hence before the look of 2. So if the look of 2
finds the holder idle since the same, it took no such id, and the gap does not wait for it.

It holds only if `s` is never the same twice, and if all of the gap lies above the bound; and only
of a fence whose keys are never used again, or the `s` might be another transaction's. A counter
that was set back says less than was given out, so no bound is below one that was read before. A
holder of which the database tells nothing is waited for, as ever.
"""

from __future__ import annotations

from collections.abc import Mapping

Known = tuple[str, int]  # idle since, and the bound


class IdleHolders:
    """What is known of them from look to look. It forgets a holder that is not idle any more."""

    def __init__(self) -> None:
        self._known: dict[str, Known] = {}
        self._greatest = 0

    def bounds(self, idle: Mapping[str, str]) -> list[tuple[int, str]]:
        """Above which id none is a holder's, and the holder's key; for those of `idle` (key → since
        when) that an earlier look saw idle since the same. Lowest first."""
        seen = ((self._known.get(key), key, since) for key, since in idle.items())
        return sorted((known[1], key) for known, key, since in seen if known and known[0] == since)

    def counted(self, idle: Mapping[str, str], counter: int) -> None:
        """A look saw those of `idle`, and then `counter` was read, the greatest id given out."""
        self._greatest = max(self._greatest, counter)
        still = {key: bound for bound, key in self.bounds(idle)}
        self._known = {key: (since, still.get(key, self._greatest)) for key, since in idle.items()}
