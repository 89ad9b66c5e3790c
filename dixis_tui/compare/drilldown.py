"""Finds what is not the same in two tables: segments by their sums, rows in them by their hashes, cells in those."""

from __future__ import annotations

import secrets
import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from dixis_tui.compare import difference, normalise
from dixis_tui.compare.difference import Difference
from dixis_tui.compare.sides import SourceSide, TargetSide
from dixis_tui.copy.segments import Compared, Span, Sums, Unlike, Values, batches
from dixis_tui.schemas import rows
from dixis_tui.target import TargetConnection, TargetError

# Rows whose hashes are held at once, on each side; rows whose values are asked for at once.
LIST_ROWS, WHOLE_ROWS = 100_000, 500
# Segments the target is asked for while the source still counts.
AHEAD = 2
T = TypeVar("T")


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


def _count(answer: Sums | set[str] | None) -> int:
    return answer.count if isinstance(answer, Sums) else len(answer or ())


def _total(answer: Sums | set[str]) -> int:
    """The hashes of rows added up; a row without one counts as 0, as on the target."""
    return answer.total if isinstance(answer, Sums) else sum(int(line.partition(" ")[2] or "0", 16) for line in answer)


def _by_key(span: Span, mine: set[str], theirs: set[str]) -> Unlike:
    here = {int(line.partition(" ")[0]) for line in mine - theirs}
    there = {int(line.partition(" ")[0]) for line in theirs - mine}
    return Unlike(span, sorted(here & there), sorted(here - there), sorted(there - here))


def _keyed(key: Sequence[int], found: Sequence[tuple[str, Values]]) -> Iterator[tuple[Values, Values]]:
    return ((tuple(row[n] for n in key), row) for _, row in found)
