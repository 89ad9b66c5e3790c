"""Compares tables of a snapshot with those of the target: every value of every row, down to the cell.

A table is read in segments, on both sides at the same time. Each side counts a segment's rows and adds up 64 bits of
the SHA-256 of each row's normalised text; segments that agree in both are equal. Of the others the rows' hashes are
listed, and of the rows that are not on both sides the values.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal, TypeVar

import pymysql
from pydantic import BaseModel, ConfigDict

from dixis_tui import catalogue, difference, normalise, rows
from dixis_tui.config import Target
from dixis_tui.contents import ColumnContents
from dixis_tui.copying import Job, reading_jobs
from dixis_tui.difference import Difference
from dixis_tui.model import DixisError, StoppedError
from dixis_tui.names import Names
from dixis_tui.normalise import Form
from dixis_tui.rows import INTEGER_KINDS, Field
from dixis_tui.shape import ShapeColumn, ShapeIndex
from dixis_tui.source import Snapshot
from dixis_tui.target import TargetConnection, TargetError, connect, execute, identifier, query

# One table has been compared: data is its TableProof, the step, its round, and the snapshot.
PROVED = "table-proved"
SEGMENT_ROWS = 20_000
# Rows whose hashes are held at once, on each side; rows whose values are asked for at once.
LIST_ROWS, WHOLE_ROWS = 100_000, 500
# A line of a list: a key of up to 20 digits, a space, 16 digits of the hash, a comma.
LINE_BYTES = 38
# Differences of a table that are shown; all are counted.
SHOWN = 100
AHEAD = 2
# Sums of hashes are kept in 64 bits.
HASHES = 1 << 64
T = TypeVar("T")
# A row's values as bytes, None for NULL.
Values = tuple[bytes | None, ...]


class Converted(BaseModel):
    """A declared conversion and how many rows it changed or set aside."""

    model_config = ConfigDict(frozen=True)

    column: str
    rule: str
    rows: int


class TableProof(BaseModel):
    """What came of comparing one table. rows_source: after conversions, without rows set aside; rows_target: None when
    the target has no such table. differences: the first ones; message: why it could not be compared. hash_source,
    hash_target: all rows' hashes added up, salted anew for each comparison; seconds: what it took.
    """

    model_config = ConfigDict(frozen=True)

    table: str
    rows_source: int
    rows_target: int | None
    status: Literal["equal", "differs", "error"]
    differences: tuple[Difference, ...] = ()
    differences_total: int = 0
    conversions: tuple[Converted, ...] = ()
    message: str = ""
    hash_source: str = ""
    hash_target: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Compared:
    """A table to compare. column: the integer its segments are ranges of, empty when both sides have none they can
    walk along; keyed: that column alone tells its rows apart, on both sides."""

    job: Job
    fields: tuple[Field, ...]
    column: str = ""
    keyed: bool = False

    @property
    def name(self) -> str:
        return self.job.name


def compared(
    job: Job,
    columns: Sequence[ShapeColumn],
    indexes: Sequence[ShapeIndex],
    contents: Mapping[str, ColumnContents],
    names: Names,
) -> Compared:
    """How to compare a table; columns, indexes: of the target; generated columns are compared as well. names: what is
    called otherwise there."""
    there = {column.name.lower(): column for column in columns}
    known = {item.source.name: item for item in job.fields}
    fields = []
    for column in job.table.columns:
        target = there.get(names.column(job.table.name, column.name).lower())
        if target is not None:
            fields.append(known.get(column.name) or Field(column, contents[column.name], target))
    key = job.table.primary_key
    first = known.get(key[0]) if key else None
    walked = (
        first is not None
        and first.target.kind in INTEGER_KINDS
        and first.holds.integers == first.holds.values
        and not first.holds.nulls
        and any(index.columns[:1] == (first.target.name,) for index in indexes)
    )
    alone = first is not None and any(index.unique and index.columns == (first.target.name,) for index in indexes)
    return Compared(job, tuple(fields), key[0] if walked else "", walked and len(key) == 1 and alone)


@dataclass(frozen=True)
class Span:
    """Rows by ranges of an integer column: above after, up to until; None for no bound."""

    after: int | None = None
    until: int | None = None

    def where(self, column: str) -> str:
        """The condition as SQL that both sides read, `1 = 1` for all rows."""
        bounds = [f"{column} > {self.after}"] if self.after is not None else []
        bounds += [f"{column} <= {self.until}"] if self.until is not None else []
        return " AND ".join(bounds) or "1 = 1"


@dataclass(frozen=True)
class Sums:
    """count: rows; total: sum of 64 bits of each row's hash."""

    count: int
    total: int


@dataclass
class Unlike:
    """Rows of a span that are not the same on both sides.

    Of a keyed table: changed, only_source, only_target hold keys. Of others: source has the row's address and its hash,
    as often as it stands there and not on the target; target has hashes and how often they are there in excess; again
    has the addresses of the source's own rows among those, which go and come back when all of a hash are deleted;
    counts has how often each of these hashes is on both sides.
    """

    span: Span
    changed: list[int] = field(default_factory=list)
    only_source: list[int] = field(default_factory=list)
    only_target: list[int] = field(default_factory=list)
    source: list[tuple[str, str]] = field(default_factory=list)
    target: Counter[str] = field(default_factory=Counter)
    again: list[str] = field(default_factory=list)
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.changed or self.only_source or self.only_target or self.source or self.target)


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


def _count(answer: Sums | set[str] | None) -> int:
    return answer.count if isinstance(answer, Sums) else len(answer or ())


def _total(answer: Sums | set[str]) -> int:
    """The hashes of rows added up; a row without one counts as 0, as on the target."""
    return answer.total if isinstance(answer, Sums) else sum(int(line.partition(" ")[2] or "0", 16) for line in answer)


def _by_key(span: Span, mine: set[str], theirs: set[str]) -> Unlike:
    here = {int(line.partition(" ")[0]) for line in mine - theirs}
    there = {int(line.partition(" ")[0]) for line in theirs - mine}
    return Unlike(span, sorted(here & there), sorted(here - there), sorted(there - here))


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items, so many at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _keyed(key: Sequence[int], found: Sequence[tuple[str, Values]]) -> Iterator[tuple[Values, Values]]:
    return ((tuple(row[n] for n in key), row) for _, row in found)


class Sides:
    """Both sides of one table. The target is asked in a thread of its own, so that both work at the same time."""

    def __init__(
        self,
        source: sqlite3.Connection,
        target: TargetConnection,
        thread: ThreadPoolExecutor,
        table: Compared,
        time_zone: str,
        segment_rows: int,
    ) -> None:
        # No value can be equal to what stands for NULL: it is drawn anew each time.
        null = f"{rows.ESCAPE}N{secrets.token_hex(8)}"
        self.table = table
        self.forms = normalise.forms(table.fields, time_zone, target.flavour)
        self.source = SourceSide(source, table, self.forms, null)
        self.target = TargetSide(target, table, self.forms, null)
        self._thread = thread
        self._size = segment_rows
        self.count = Counter[str]()
        self.total = Counter[str]()

    def ask(self, question: Callable[..., T], *arguments: Any) -> T:
        """What the target's side answers."""
        return self._thread.submit(question, *arguments).result()

    def unlike(self, between: Callable[[int], None]) -> Iterator[Unlike]:
        """The rows that differ, segment by segment. between is called with the rows of every segment.

        Behind a segment that differs the next ones are listed at once, without asking for their sums first.
        """
        waiting: deque[tuple[Span, bool, Future[Sums] | Future[set[str] | None]]] = deque()
        spans = self.source.spans(self._size)
        listing = False
        while True:
            while len(waiting) < AHEAD and (span := next(spans, None)) is not None:
                question = self.target.lines if listing else self.target.sums
                waiting.append((span, listing, self._thread.submit(question, span)))  # type: ignore[arg-type]
            if not waiting:
                return
            span, listed, asked = waiting.popleft()
            mine = self.source.lines(span) if listed else self.source.sums(span)
            theirs = asked.result()
            rows_here = _count(mine)
            differs = mine != theirs
            summed = self.ask(self.target.sums, span) if theirs is None else theirs
            rows_there = _count(summed)
            if differs:
                for part in self._listed(span, rows_here, rows_there, mine, theirs):
                    if part:
                        yield part
            self.count.update(source=rows_here, target=rows_there)
            self.total.update(source=_total(mine), target=_total(summed))
            listing = differs and self.table.keyed
            between(rows_here)

    def _listed(
        self, span: Span, here: int, there: int, mine: Sums | set[str], theirs: Sums | set[str] | None
    ) -> Iterator[Unlike]:
        if not self.table.keyed:
            yield from self._multisets(span, max(here, there))
        elif isinstance(mine, set) and isinstance(theirs, set):
            yield _by_key(span, mine, theirs)
        else:
            yield from self._keys(span, there, self._size)

    def _keys(self, span: Span, there: int, size: int) -> Iterator[Unlike]:
        """Rows compared by key and hash, so many of the target's at a time, and fewer where its answer is cut short."""
        for part in self.ask(lambda: list(self.target.split(span, size))) if there > size else [span]:
            asked = self._thread.submit(self.target.lines, part)
            mine, theirs = self.source.lines(part), asked.result()
            if theirs is not None:
                yield _by_key(part, mine, theirs)
            elif size == 1:
                raise TargetError(
                    "The server cuts even the shortest list of rows.", next_step="raise group_concat_max_len"
                )
            else:
                yield from self._keys(part, size, size // 2)

    def _multisets(self, span: Span, count: int) -> Iterator[Unlike]:
        """Rows compared by their hashes alone, so many at a time that they can be held."""
        size = 0
        while count >> (4 * size) > LIST_ROWS // 16:
            size += 1
        starts = [""]
        if size:
            asked = self._thread.submit(self.target.sums_by_start, span, size)
            mine, theirs_by_start = self.source.sums_by_start(span, size), asked.result()
            all_starts = mine.keys() | theirs_by_start.keys()
            starts = sorted(start for start in all_starts if mine.get(start) != theirs_by_start.get(start))
        for first in range(0, len(starts), 16):
            some = starts[first : first + 16]
            hashes = self._thread.submit(self.target.hashes, span, some)
            addresses = self.source.addresses(span, some)
            theirs = hashes.result()
            unlike = Unlike(span)
            for digest, places in sorted(addresses.items()):
                unlike.source += [(place, digest) for place in places[theirs[digest] :]]
            unlike.target = theirs - Counter({digest: len(places) for digest, places in addresses.items()})
            unlike.again = [place for digest in unlike.target for place in addresses.get(digest, ())]
            both = {*unlike.target, *(digest for _, digest in unlike.source)}
            unlike.counts = {digest: (len(addresses.get(digest, ())), theirs[digest]) for digest in both}
            yield unlike

    def again(self, unlike: Unlike) -> Unlike:
        """What differs now of the rows that differed; for tables without such a key, of all rows of their span."""
        now = Unlike(unlike.span)
        if not self.table.keyed:
            found = self._multisets(unlike.span, self.ask(self.target.sums, unlike.span).count)
            return next(filter(None, found), now)
        keys = [*unlike.changed, *unlike.only_source, *unlike.only_target]
        for start in range(0, len(keys), WHOLE_ROWS):
            some = keys[start : start + WHOLE_ROWS]
            asked = self._thread.submit(self.target.lines_of, some)
            left = _by_key(unlike.span, self.source.lines_of(some), asked.result())
            now.changed += left.changed
            now.only_source += left.only_source
            now.only_target += left.only_target
        return now

    def differences(self, unlike: Unlike) -> Iterator[Difference]:
        """What is not the same, cell by cell; rows that only one side has are one difference each."""
        if self.table.keyed:
            yield from self._of_keys(unlike)
        else:
            yield from self._of_hashes(unlike)

    def _of_keys(self, unlike: Unlike) -> Iterator[Difference]:
        name = self.table.column
        for start in range(0, len(unlike.changed), WHOLE_ROWS):
            keys = unlike.changed[start : start + WHOLE_ROWS]
            asked = self._thread.submit(self.target.whole_by_key, keys)
            mine = self.source.whole_by_key(keys)
            theirs = asked.result()
            for key in keys:
                yield from self._cells(f"{name} = {key}", mine[key], theirs[key])
        yield from (difference.of_row(f"{name} = {key}", 1, 0) for key in unlike.only_source)
        yield from (difference.of_row(f"{name} = {key}", 0, 1) for key in unlike.only_target)

    def _of_hashes(self, unlike: Unlike) -> Iterator[Difference]:
        """Rows are paired by their primary key; without one, a row is there so often or is not."""
        places = dict(unlike.source)
        mine = [
            (places[place], row)
            for some in batches(list(places), WHOLE_ROWS)
            for place, row in self.source.whole_by_address(some).items()
        ]
        theirs = [
            found
            for some in batches(sorted(unlike.target), WHOLE_ROWS)
            for found in self.ask(self.target.whole_by_hash, unlike.span, some)
        ]
        key = [n for n, form in enumerate(self.forms) if form.name in self.table.job.table.primary_key]
        if key:
            yield from self._paired(key, dict(_keyed(key, mine)), dict(_keyed(key, theirs)))
        else:
            yield from self._counted(unlike, [*mine, *theirs])

    def _paired(
        self, key: Sequence[int], mine: Mapping[Values, Values], theirs: Mapping[Values, Values]
    ) -> Iterator[Difference]:
        names = tuple(self.forms[n].name for n in key)
        for values in sorted(mine.keys() | theirs.keys(), key=repr):
            named = difference.named(names, values)
            if values in mine and values in theirs:
                yield from self._cells(named, mine[values], theirs[values])
            else:
                yield difference.of_row(named, int(values in mine), int(values in theirs))

    def _counted(self, unlike: Unlike, found: Sequence[tuple[str, Values]]) -> Iterator[Difference]:
        names = tuple(form.name for form in self.forms)
        hashes: dict[Values, set[str]] = {}
        for digest, row in found:
            hashes.setdefault(row, set()).add(digest)
        for row, digests in sorted(hashes.items(), key=repr):
            here, there = (sum(unlike.counts[digest][side] for digest in digests) for side in (0, 1))
            if here != there:
                yield difference.of_row(difference.named(names, row), here, there)

    def _cells(self, key: str, mine: Sequence[bytes | None], theirs: Sequence[bytes | None]) -> Iterator[Difference]:
        for form, one, other in zip(self.forms, mine, theirs, strict=True):
            if not normalise.equal(form, one, other):
                yield difference.of_cell(key, form.name, one, other)


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


@dataclass
class Comparison:
    """Compares tables of one snapshot with one consistent view of the target.

    between: called with a table's name, its rows so far and its differences so far; raises to end it. segment_rows:
    rows of a segment; time_zone: of the forms, empty for that of the target's sessions.
    """

    snapshot: Snapshot
    target: Target
    between: Callable[[str, int, int], None]
    segment_rows: int = SEGMENT_ROWS
    shown: int = SHOWN
    time_zone: str = ""

    def run(self, wanted: Sequence[Compared], view: TargetConnection | None = None) -> Iterator[TableProof]:
        """What came of each table, one after the other. view: a consistent view of the target that is open already."""
        with (
            nullcontext(view) if view else target_snapshot(self.target) as connection,
            ThreadPoolExecutor(1, thread_name_prefix="target") as thread,
            reading_jobs(self.snapshot.path, [table.job for table in wanted]) as source,
        ):
            normalise.prepare(source)
            for table in wanted:
                yield self._table(source, connection, thread, table)

    def _table(
        self, source: sqlite3.Connection, connection: TargetConnection, thread: ThreadPoolExecutor, table: Compared
    ) -> TableProof:
        job = table.job
        if not job.fields or job.problems:
            message = "; ".join(job.problems) or "there are no columns to compare"
            return TableProof(
                table=table.name, rows_source=job.total, rows_target=None, status="error", message=message
            )
        zone = self.time_zone or self.target.time_zone
        sides = Sides(source, connection, thread, table, zone, self.segment_rows)
        found: list[Difference] = []
        total = done = 0
        began = time.monotonic()

        def between(count: int) -> None:
            nonlocal done
            done += count
            self.between(table.name, done, total)

        try:
            for unlike in sides.unlike(between):
                for one in sides.differences(unlike):
                    total += 1
                    if len(found) < self.shown:
                        found.append(one)
            counted = job.converted.counted(source) if job.converted else []
        except StoppedError:
            raise
        except (DixisError, sqlite3.Error, pymysql.MySQLError) as error:
            what = error.what if isinstance(error, DixisError) else str(error)
            return TableProof(table=table.name, rows_source=job.total, rows_target=None, status="error", message=what)
        return TableProof(
            table=table.name,
            rows_source=sides.count["source"],
            rows_target=sides.count["target"],
            status="differs" if total else "equal",
            differences=tuple(found),
            differences_total=total,
            conversions=tuple(Converted(column=rule.column, rule=rule.rule, rows=n) for rule, n in counted),
            hash_source=f"{sides.total['source'] % HASHES:016x}",
            hash_target=f"{sides.total['target'] % HASHES:016x}",
            seconds=round(time.monotonic() - began, 3),
        )
