"""Mistakes about what may still fill a gap, and about which history a row is of.

| mutant | what it does | found as |
|---|---|---|
| gap not read | … although one of its holders has gone, as long as another is there | late |
| key used again | a connection's next transaction is taken for the one before | late |
| idle holder believed | … although it did something since | silent hole |
| empty pg_locks believed | nobody holds an id where nobody is shown | silent hole |
| id above the sequence dead | an id that was set by hand ends all those below it | unserved |
| history unread in pages | rows of a new history catch up with an old one | missed reset |
| epoch without salt | an id of before counts when ids started again under one name | missed reset |

"Unserved" is a client that never gets the last row. They are planted in this process, and undone
after each test.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from poller.delivery import table_rows
from poller.delivery.table_rows import TableRows
from poller.reading.dialects import postgresql
from poller.reading.dialects.facts import NOT_TOLD
from poller.reading.fence import HolderFence, HoldersSeen
from poller.reading.idle import IdleHolders
from poller.wire.epoch import Salt
from tests.campaigns.oracle.mutants import Mutant
from tests.campaigns.oracle.patches import patch


def gap_not_read() -> None:
    def make(_: Any) -> Any:
        def must_read(_: HolderFence, witness: Any, evidence: Any) -> bool:
            known = isinstance(witness, frozenset) and isinstance(evidence, HoldersSeen)
            return not (known and witness & evidence.keys)

        return must_read

    patch(HolderFence, "must_read", make)


def key_used_again() -> None:
    def make(holder: Any) -> Any:
        return lambda row: holder(row)._replace(key=f"{row.pid}")

    patch(postgresql, "_holder", make)


def idle_holder_believed() -> None:
    def make(_: Any) -> Any:
        def bounds(self: IdleHolders, idle: Mapping[str, str]) -> list[tuple[int, str]]:
            known = self._known
            return sorted((known[key][1], key) for key in idle if key in known)

        return bounds

    patch(IdleHolders, "bounds", make)


def empty_locks_believed() -> None:
    def make_relation(relation_of: Any) -> Any:
        return lambda *given: replace(relation_of(*given), shows_locks=True)

    def make_locks(locks_of: Any) -> Any:
        return lambda *given, **named: locks_of(*given, **named)._replace(own=True)

    patch(postgresql, "relation_of", make_relation)
    patch(postgresql, "locks_of", make_locks)


def id_above_the_sequence_called_dead() -> None:
    patch(postgresql, "_given", lambda _: lambda _relation: NOT_TOLD)


class _Everything(frozenset[str]):
    def __contains__(self, _: object) -> bool:
        return True


def history_unread_in_pages() -> None:
    def make(begin: Any) -> Any:
        def made(self: TableRows, feed: str, read_page: Any, _: Any, filters: Any) -> None:
            begin(self, feed, read_page, _Everything, filters)

        return made

    patch(TableRows, "__init__", make)
    patch(table_rows, "_began_again", lambda _: lambda *_found: False)


def epoch_without_salt() -> None:
    patch(Salt, "void_before", lambda _: lambda self: self)


MUTANTS: dict[str, Mutant] = {
    "gap not read": Mutant(gap_not_read, "holder_goes", "late"),
    "key used again": Mutant(key_used_again, "connection_goes_on", "late"),
    "idle holder believed": Mutant(idle_holder_believed, "idle_holder_works", "silent hole"),
    "empty pg_locks believed": Mutant(empty_locks_believed, "locks_are_hidden", "silent hole"),
    "id above the sequence dead": Mutant(
        id_above_the_sequence_called_dead, "id_by_hand", "unserved"
    ),
    "history unread in pages": Mutant(
        history_unread_in_pages, "page_of_another_history", "missed reset"
    ),
    "epoch without salt": Mutant(epoch_without_salt, "ids_restart_meanwhile", "missed reset"),
}
