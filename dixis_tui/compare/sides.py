"""One side of a table that is compared: sums, lists and values of a segment's rows, in one form on both sides.

Each side counts a segment's rows and adds up 64 bits of the SHA-256 of each row's normalised text.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from dixis_tui.compare import normalise
from dixis_tui.compare.normalise import Form
from dixis_tui.config import Target
from dixis_tui.copy.segments import Compared, Span, Sums, Values
from dixis_tui.schemas import catalogue, rows
from dixis_tui.target import TargetConnection, connect, execute, identifier, query

# Rows of a segment; of the target's lists, so many fit into one answer.
SEGMENT_ROWS = 20_000
# A line of a list: a key of up to 20 digits, a space, 16 digits of the hash, a comma.
LINE_BYTES = 38


class SourceSide:
    """One table of the snapshot."""

    def __init__(self, connection: sqlite3.Connection, table: Compared, forms: Sequence[Form], null: str) -> None:
        self._connection = connection
        self._table = table
        self._forms = forms
        self._row = normalise.source_row(forms, null)
        self._from = f"FROM {catalogue.name(table.job.read.name)}"
        self._column = catalogue.name(table.column)

    def spans(self, size: int) -> Iterator[Span]:
        """Ranges of about size rows that together cover all there is and all there could be."""
        after: int | None = None
        while self._table.column:
            found = self._connection.execute(
                f"SELECT {self._column} {self._from} WHERE {Span(after).where(self._column)}"
                f" ORDER BY {self._column} LIMIT 1 OFFSET {size - 1}"
            ).fetchone()
            if found is None:
                break
            yield Span(after, found[0])
            after = found[0]
        yield Span(after)

    def sums(self, span: Span) -> Sums:
        count = total = 0
        for (row,) in self._connection.execute(f"SELECT {self._row} {self._from} WHERE {span.where(self._column)}"):
            total += int.from_bytes(sha256(row).digest()[:8], "big")
            count += 1
        return Sums(count, total)

    def lines(self, span: Span) -> set[str]:
        """Key and hash of each row of a keyed table."""
        sql = f"SELECT {self._column}, {self._row} {self._from} WHERE {span.where(self._column)}"
        return {f"{key} {sha256(row).hexdigest()[:16]}" for key, row in self._connection.execute(sql)}

    def addresses(self, span: Span, starts: Sequence[str]) -> dict[str, list[str]]:
        """Where rows are, by their hash, of those whose hash begins with one of starts."""
        found: dict[str, list[str]] = {}
        address = rows.key_text(self._table.job.read)
        sql = f"SELECT {address}, {self._row} {self._from} WHERE {span.where(self._column)}"
        size = len(starts[0])
        wanted = set(starts)
        for where, row in self._connection.execute(sql):
            digest = sha256(row).hexdigest()[:16]
            if digest[:size] in wanted:
                found.setdefault(digest, []).append(where.decode())
        return found

    def sums_by_start(self, span: Span, size: int) -> dict[str, Sums]:
        """Sums by the first digits of the hash."""
        sql = f"SELECT {self._row} {self._from} WHERE {span.where(self._column)}"
        counts, totals = Counter[str](), Counter[str]()
        for (row,) in self._connection.execute(sql):
            digest = sha256(row).hexdigest()[:16]
            counts[digest[:size]] += 1
            totals[digest[:size]] += int(digest, 16)
        return {start: Sums(counts[start], totals[start]) for start in counts}

    def addresses_of(self, keys: Sequence[int]) -> list[str]:
        """Where the rows of a keyed table with these keys are, in the order in which the table is walked."""
        address = rows.key_text(self._table.job.read)
        sql = f"SELECT {address} {self._from} WHERE {self._among(keys)} ORDER BY {self._column}"
        return [where.decode() for (where,) in self._connection.execute(sql)]

    def lines_of(self, keys: Sequence[int]) -> set[str]:
        """Key and hash of the rows of a keyed table with these keys."""
        sql = f"SELECT {self._column}, {self._row} {self._from} WHERE {self._among(keys)}"
        return {f"{key} {sha256(row).hexdigest()[:16]}" for key, row in self._connection.execute(sql)}

    def _among(self, keys: Sequence[int]) -> str:
        return f"{self._column} IN ({', '.join(map(str, keys))})"

    def whole_by_key(self, keys: Sequence[int]) -> dict[int, Values]:
        return {int(key): values for key, values in self._whole(self._column, self._among(keys))}

    def whole_by_address(self, addresses: Sequence[str]) -> dict[str, Values]:
        read = self._table.job.read
        keys = ", ".join(catalogue.name(column) for column in rows.key_columns(read))
        values = ", ".join(f"({address})" for address in addresses)
        found = self._whole(rows.key_text(read), f"({keys}) IN (VALUES {values})")
        return {bytes(key).decode(): row for key, row in found}

    def _whole(self, key: str, condition: str) -> Iterator[tuple[Any, Values]]:
        values = ", ".join(f"CAST({form.whole_source} AS BLOB)" for form in self._forms)
        for where, *row in self._connection.execute(f"SELECT {key}, {values} {self._from} WHERE {condition}"):
            yield where, tuple(row)


class TargetSide:
    """One table of the target, read in the transaction of its connection."""

    def __init__(self, connection: TargetConnection, table: Compared, forms: Sequence[Form], null: str) -> None:
        self._connection = connection
        self._forms = forms
        self.hash = f"LEFT(SHA2({normalise.target_row(forms, null)}, 256), 16)"
        self._from = f"FROM {identifier(table.name)}"
        by_name = {item.source.name: item.target.name for item in table.fields}
        self.column = identifier(by_name.get(table.column, ""))

    def sums(self, span: Span) -> Sums:
        # A row too large for the server's own SHA2 counts as 0 and so differs.
        bits = f"CAST(IFNULL(CONV({self.hash}, 16, 10), 0) AS UNSIGNED)"
        found = query(
            self._connection, f"SELECT COUNT(*), COALESCE(SUM({bits}), 0) {self._from} WHERE {self.where(span)}"
        )
        return Sums(int(found[0][0]), int(found[0][1]))

    def where(self, span: Span) -> str:
        return span.where(self.column)

    def lines(self, span: Span) -> set[str] | None:
        """Key and hash of each row of a keyed table; None when they are more than one answer holds."""
        # Each line has its own end: where the last one is cut, the answer is not whole.
        line = f"CONCAT({self.column}, ' ', IFNULL({self.hash}, ''), ',')"
        lines = f"COALESCE(GROUP_CONCAT({line} SEPARATOR ''), '')"
        count, text = query(self._connection, f"SELECT COUNT(*), {lines} {self._from} WHERE {self.where(span)}")[0]
        *whole, rest = _text(text).split(",")
        return set(whole) if len(whole) == count and not rest else None

    def lines_of(self, keys: Sequence[int]) -> set[str]:
        """Key and hash of the rows of a keyed table with these keys."""
        line = f"CONCAT({self.column}, ' ', IFNULL({self.hash}, ''))"
        return {
            _text(row[0]) for row in query(self._connection, f"SELECT {line} {self._from} WHERE {self._among(keys)}")
        }

    def _among(self, keys: Sequence[int]) -> str:
        return f"{self.column} IN ({', '.join(map(str, keys))})"

    def split(self, span: Span, size: int) -> Iterator[Span]:
        """The span in ranges of size rows of this side."""
        after = span.after
        while True:
            found = query(
                self._connection,
                f"SELECT {self.column} {self._from} WHERE {self.where(Span(after, span.until))}"
                f" ORDER BY {self.column} LIMIT 1 OFFSET {size - 1}",
            )
            if not found:
                break
            yield Span(after, int(found[0][0]))
            after = int(found[0][0])
        yield Span(after, span.until)

    def hashes(self, span: Span, starts: Sequence[str]) -> Counter[str]:
        """How often each hash stands there, of those that begin with one of starts."""
        size = len(starts[0])
        chosen = f" HAVING LEFT(h, {size}) IN ({', '.join(map(repr, starts))})" if size else ""
        found = query(
            self._connection,
            f"SELECT IFNULL({self.hash}, '') h, COUNT(*) {self._from} WHERE {self.where(span)} GROUP BY h{chosen}",
        )
        return Counter({_text(digest): int(count) for digest, count in found})

    def sums_by_start(self, span: Span, size: int) -> dict[str, Sums]:
        found = query(
            self._connection,
            f"SELECT LEFT(h, {size}), COUNT(*), SUM(CAST(CONV(h, 16, 10) AS UNSIGNED))"
            f" FROM (SELECT IFNULL({self.hash}, '') h {self._from} WHERE {self.where(span)}) hashes GROUP BY 1",
        )
        return {_text(start): Sums(int(count), int(total or 0)) for start, count, total in found}

    def whole_by_key(self, keys: Sequence[int]) -> dict[int, Values]:
        return {int(key): values for key, values in self._whole(self.column, self._among(keys))}

    def whole_by_hash(self, span: Span, hashes: Sequence[str]) -> list[tuple[str, Values]]:
        chosen = f"IFNULL({self.hash}, '') IN ({', '.join(map(repr, hashes))})"
        found = self._whole(f"IFNULL({self.hash}, '')", f"{self.where(span)} AND {chosen}")
        return [(_text(digest), values) for digest, values in found]

    def _whole(self, key: str, condition: str) -> Iterator[tuple[Any, Values]]:
        values = ", ".join(map(normalise.whole_target, self._forms))
        for where, *row in query(self._connection, f"SELECT {key}, {values} {self._from} WHERE {condition}"):
            yield where, tuple(map(normalise.read, self._forms, row))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@contextmanager
def target_snapshot(target: Target) -> Iterator[TargetConnection]:
    """A connection whose reads all see the target as it was when it began, whatever is written meanwhile."""
    connection = connect(target)
    try:
        execute(connection, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        execute(connection, f"SET SESSION group_concat_max_len = {4 * SEGMENT_ROWS * LINE_BYTES}")
        execute(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
        yield connection
    finally:
        connection.close()
