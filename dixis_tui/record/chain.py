"""The chain of a journal's events: each holds the hash of the one before. Finds the first place where it is broken.

Knows nothing of files and databases: whoever reads events, to go on or to verify them later, asks here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

GENESIS = "0" * 64
HEAD = re.compile(r"(0|[1-9][0-9]*) ([0-9a-f]{64})\n")
# What Python makes of a byte that is not UTF-8; it can be neither hashed nor stored.
LONE = re.compile("[\ud800-\udfff]")


class Row(NamedTuple):
    """An event as it is stored. Each is a number or text when it is as it was written, and may be anything else."""

    seq: object
    at: object
    kind: object
    data: object
    previous: object
    hash: object


class Break(NamedTuple):
    """Where a chain is broken. event: number of the event, from 1; what: which part of it."""

    event: int
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"event {self.event}, {self.what}: expected {self.expected}, found {self.found}"


def digest(previous: str, seq: int, at: str, kind: str, data: str) -> str:
    """The hash of an event."""
    return hashlib.sha256("\n".join((previous, str(seq), at, kind, data)).encode()).hexdigest()


def encodable(text: str) -> str:
    """JSON with bytes that came in as no UTF-8, as in a name typed in another encoding, spelled out: \\udce9."""
    return LONE.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text)


def head_line(seq: int, last: str) -> str:
    """What is kept beside the journal about its last event."""
    return f"{seq} {last}\n"


def first_break(rows: Sequence[Row], head: str | None) -> Break | None:
    """The first event that is not what was written, None when all are; head: what the file beside it says, if any.

    The chain cannot tell that its end is gone; the head can. A process killed between the two writes leaves the head
    one event behind, never ahead.
    """
    kept = HEAD.fullmatch(head) if head is not None else None
    known, last = (int(kept[1]), kept[2]) if kept else (0, GENESIS)
    previous = GENESIS
    for number, row in enumerate(rows, 1):
        after = rows[number].previous if number < len(rows) else last if number == known else None
        found = _wrong(number, row, previous, after)
        if found:
            return found
        previous = str(row.hash)
    if head is not None and not kept:
        return Break(len(rows), "the head beside the journal", "number and hash", repr(head[:80]))
    if known > len(rows):
        return Break(len(rows) + 1, "it is missing", f"{known} events, as the head says", f"{len(rows)}")
    if len(rows) > known + 1:
        return Break(known + 1, "the head beside the journal", f"{len(rows)} events", f"it speaks of {known}")
    if known and rows[known - 1].hash != last:
        return Break(known, "the head beside the journal", str(rows[known - 1].hash), last)
    return None


def _wrong(number: int, row: Row, previous: str, after: object) -> Break | None:
    """What is wrong with one event. after: the hash that what follows it names, None when nothing follows."""
    if type(row.seq) is not int or row.seq != number:
        missing = isinstance(row.seq, int) and row.seq > number
        return Break(number, "it is missing" if missing else "its number (seq)", str(number), repr(row.seq))
    texts = {"at": row.at, "kind": row.kind, "data": row.data, "previous": row.previous, "hash": row.hash}
    for name, value in texts.items():
        if not isinstance(value, str):
            return Break(number, name, "text", type(value).__name__)
    if row.previous != previous:
        return Break(number, "the hash of the event before it (previous)", previous, str(row.previous))
    computed = digest(previous, number, str(row.at), str(row.kind), str(row.data))
    if row.hash == computed:
        return None
    if after == computed:
        return Break(number, "its hash", computed, str(row.hash))
    return Break(number, "its content (at, kind or data)", f"the hash {row.hash}", f"content with the hash {computed}")
