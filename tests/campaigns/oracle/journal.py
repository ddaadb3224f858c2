"""Journals on disk: lines appended by many processes, read into one `Record` at the end."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from tests.campaigns.oracle.records import (
    Attempt,
    Beat,
    ClientRecord,
    Connection,
    Deed,
    Deletion,
    Entry,
    Fault,
    Frame,
    NaiveRow,
    Pass,
    Record,
    Sentinel,
    Truth,
)

CLIENT = "client "  # a client's journal: `client NAME.jsonl`
DECODER = msgspec.json.Decoder(Entry)


class Journal:
    """Appends to a file. Each `write` reaches the kernel before it returns: a killed process loses
    nothing that it wrote."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def write(self, *entries: Entry) -> None:
        self._file.write(b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries))

    def close(self) -> None:
        self._file.close()


def client_path(folder: Path, name: str) -> Path:
    return folder / f"{CLIENT}{name}.jsonl"


def entries(path: Path) -> Iterator[Entry]:
    """What a journal holds, without the last line where a kill cut it off."""
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield DECODER.decode(line)


def load(folder: Path) -> Record:
    """All journals of a folder as one record."""
    record = Record()
    for path in sorted(folder.glob("*.jsonl")):
        if path.name.startswith(CLIENT):
            record.clients.append(_client(path))
            continue
        for entry in entries(path):
            _add(record, entry)
    return record


def _client(path: Path) -> ClientRecord:
    client = ClientRecord(path.stem.removeprefix(CLIENT))
    for entry in entries(path):
        if isinstance(entry, Connection):
            client.connections.append(entry)
        elif isinstance(entry, Frame):
            client.frames.append(entry)
    return client


LISTS: dict[type[Entry], str] = {
    NaiveRow: "naive",
    Fault: "faults",
    Deed: "deeds",
    Pass: "passes",
    Beat: "beats",
    Truth: "truths",
}


def _add(record: Record, entry: Entry) -> None:
    match entry:
        case Attempt():
            record.attempts[entry.payload] = entry
        case Deletion():
            record.deletions[entry.payload] = entry
        case Sentinel():
            record.sentinel = entry.payload
        case Connection() | Frame():
            raise ValueError("a client's entry in another journal")
        case _:
            getattr(record, LISTS[type(entry)]).append(entry)
