"""Makes a table that already holds rows equal to the snapshot by writing only what differs, then looks again.

What differs is found by comparing with the target; where the target is known to hold an earlier snapshot row by row,
by comparing the two snapshots, which takes a third of the time.

Rows that are too many are deleted first, then rows that changed are updated in place, by way of a temporary table, then
the source's other rows are inserted in the order of their key. Where a changed row meets a unique value that another
one is about to give up, it is deleted, and inserted with the others. Killed anywhere, the next run compares anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pymysql
from pymysql.constants import ER

from dixis_tui.compare import normalise
from dixis_tui.compare.drilldown import Sides
from dixis_tui.compare.sides import SEGMENT_ROWS, target_snapshot
from dixis_tui.context import Context
from dixis_tui.copy.copying import CHUNKS, FULL, TRANSIENT, Job, carry_mark, parts, reading_jobs, send
from dixis_tui.copy.refusal import KeysRun, Refusal, TransferError
from dixis_tui.copy.segments import Compared, Span, Unlike, batches
from dixis_tui.model import Progress, Status
from dixis_tui.pace import Breather
from dixis_tui.schemas import conversions, rows, since
from dixis_tui.schemas.rows import Keys, Range
from dixis_tui.source import Snapshot
from dixis_tui.target import TargetConnection, TargetError, connected, execute, identifier, query, server_error

# Rows named in one DELETE, or sent in one transaction.
BATCH = 1000
# The temporary table through which rows are updated.
CHANGED = "_dixis_changed"
# The number of a part that no table has: its line among the checkpoints says that a re-sync has begun and not ended.
BEGUN = (1 << 32) - 1


@dataclass
class Written:
    """Rows a re-sync wrote."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    def __str__(self) -> str:
        return f"{self.inserted} inserted, {self.updated} updated, {self.deleted} deleted"

    @property
    def total(self) -> int:
        return self.inserted + self.updated + self.deleted

    def count(self, unlike: Unlike) -> None:
        self.updated += len(unlike.changed)
        self.inserted += len(unlike.only_source) + len(unlike.source)
        self.deleted += len(unlike.only_target) + unlike.target.total()


class Resync:
    """Re-syncs tables with a snapshot, one after the other. load: by LOAD DATA, else by INSERT of packet bytes."""

    def __init__(self, ctx: Context, step: str, snapshot: Snapshot, *, load: bool, packet: int) -> None:
        self._ctx = ctx
        self._step = step
        self._snapshot = snapshot
        self._load = load
        self._packet = packet

    def run(self, tables: Sequence[Compared], held: Mapping[str, Path]) -> dict[str, Written]:
        """What was written, by table. held: by table, the earlier snapshot whose rows the target holds.

        Raises TransferError when a row is refused or the table does not become equal.
        """
        target = self._ctx.config.target
        with (
            connected(target, local_infile=self._load) as writer,
            reading_jobs(self._snapshot.path, [table.job for table in tables]) as source,
            ThreadPoolExecutor(1, thread_name_prefix="target") as thread,
        ):
            normalise.prepare(source)
            execute(writer, "SET SESSION foreign_key_checks = 0")
            touched: dict[str, list[Unlike]] = {}
            written: dict[str, Written] = {}
            with target_snapshot(target) as view:
                for table in tables:
                    sides = Sides(source, view, thread, table, target.time_zone, SEGMENT_ROWS)
                    touched[table.name], written[table.name] = self._table(source, writer, sides, held.get(table.name))
            # An ALTER waits for every transaction that has read the table, so no view of it may be open.
            for table in tables:
                carry_mark(writer, table.job)
            with target_snapshot(target) as view:
                for table in tables:
                    sides = Sides(source, view, thread, table, target.time_zone, SEGMENT_ROWS)
                    for unlike in touched[table.name]:
                        self._ctx.check_stop()
                        _look_again(sides, unlike)
        return written

    def _table(
        self, source: sqlite3.Connection, writer: TargetConnection, sides: Sides, before: Path | None
    ) -> tuple[list[Unlike], Written]:
        job = sides.table.job
        written, done = Written(), 0
        breathe = Breather(self._ctx.pace, self._ctx.check_stop)
        touched: list[Unlike] = []
        fresh: list[str] = []
        changed: list[int] = []

        def between(count: int) -> None:
            nonlocal done
            done += count
            breathe()
            note = f"compared; {written}"
            self._ctx.progress(Progress(self._step, job.name, min(done, job.total), job.total, note=note))

        for unlike in sides.unlike(between) if before is None else self._changed(sides.table, before):
            if not touched:
                self._begin(writer, job)
            touched.append(unlike)
            fresh += self._delete(writer, sides, unlike)
            changed += unlike.changed
            written.count(unlike)
        fresh += self._update(source, writer, sides, changed)
        self._insert(source, writer, job, fresh)
        self._finish(source, writer, job)
        self._ctx.progress(Progress(self._step, job.name, job.total, job.total, state=Status.PASS, note=str(written)))
        return touched, written

    def _changed(self, table: Compared, before: Path) -> Iterator[Unlike]:
        """What differs between the snapshot and the one whose rows the target holds, some rows at a time."""
        found = since.changes(self._snapshot.path, before, table.job.table)
        for some in batches(found.gone, SEGMENT_ROWS):
            yield Unlike(Span(), only_target=list(some))
        for some in batches(found.changed, SEGMENT_ROWS):
            yield Unlike(Span(), changed=list(some))
        for some in batches(found.fresh, SEGMENT_ROWS):
            yield Unlike(Span(), only_source=list(some))

    def _delete(self, writer: TargetConnection, sides: Sides, unlike: Unlike) -> list[str]:
        """Delete what is too many; the addresses of the rows to insert."""
        target = sides.target
        if sides.table.keyed:
            for keys in batches(unlike.only_target, BATCH):
                _delete_where(writer, sides.table, f"{target.column} IN ({', '.join(map(str, keys))})")
            return _addresses(sides, unlike.only_source)
        for hashes in batches(sorted(unlike.target), BATCH):
            chosen = f"IFNULL({target.hash}, '') IN ({', '.join(map(repr, hashes))})"
            _delete_where(writer, sides.table, f"{target.where(unlike.span)} AND {chosen}")
        return [address for address, _ in unlike.source] + unlike.again

    def _update(
        self, source: sqlite3.Connection, writer: TargetConnection, sides: Sides, changed: Sequence[int]
    ) -> list[str]:
        """Update rows of a keyed table in place; the addresses of those that were deleted instead, to be inserted."""
        if not changed:
            return []
        job, key = sides.table.job, sides.target.column
        name, other = identifier(job.name), identifier(CHANGED)
        columns = [identifier(item.target.name) for item in job.fields]
        execute(writer, f"DROP TEMPORARY TABLE IF EXISTS {other}")
        # Its columns are the table's, without what would compute, default or check them.
        execute(
            writer,
            f"CREATE TEMPORARY TABLE {other} (PRIMARY KEY ({key})) SELECT {', '.join(columns)} FROM {name} LIMIT 0",
        )
        sets = ", ".join(f"t.{column} = c.{column}" for column in columns if column != key)
        left: list[str] = []
        for keys in batches(sorted(changed), BATCH):
            self._ctx.check_stop()
            addresses = _addresses(sides, keys)
            self._send(source, writer, replace(job, name=CHANGED), addresses)
            try:
                if sets:
                    execute(writer, f"UPDATE {name} t JOIN {other} c ON t.{key} = c.{key} SET {sets}")
            except TargetError as error:
                if error.code != ER.DUP_ENTRY:
                    raise
                writer.rollback()
                shown = f"DELETE FROM {name} WHERE {key} IN (…)"
                execute(writer, f"DELETE FROM {name} WHERE {key} IN ({', '.join(map(str, keys))})", show=shown)
                left += addresses
            execute(writer, f"DELETE FROM {other}")
            _commit(writer, job)
        execute(writer, f"DROP TEMPORARY TABLE {other}")
        return left

    def _insert(self, source: sqlite3.Connection, writer: TargetConnection, job: Job, fresh: Sequence[str]) -> None:
        for addresses in batches(fresh, BATCH):
            self._ctx.check_stop()
            self._send(source, writer, job, addresses)
            _commit(writer, job)

    def _send(self, source: sqlite3.Connection, writer: TargetConnection, job: Job, addresses: Sequence[str]) -> None:
        """Store rows, not committed. Raises TransferError after taking them back when one is not taken as it is."""
        size = rows.BLOCK_BYTES if self._load else self._packet

        def again(some: Range | Keys) -> tuple[int, int, int]:
            found = list(rows.pieces(source, job.read, job.fields, some, load=self._load, size=size))
            stored, warnings = send(writer, job, (data for data, _ in found), load=self._load)
            return sum(count for _, count in found), stored, warnings

        stored = warnings = 0
        problem = ""
        try:
            _, stored, warnings = again(Keys(addresses))
        except TargetError as error:
            if not writer.open or error.code in TRANSIENT | FULL:
                raise
            problem = error.what
        if problem or warnings or stored != len(addresses):
            writer.rollback()
            refusal = Refusal(source, writer, job.name, job.read, job.fields, again)
            raise refusal.explain(KeysRun(addresses), len(addresses), stored, problem)

    def _begin(self, writer: TargetConnection, job: Job) -> None:
        """Write down that the table's checkpoints no longer account for its rows, before the first of them goes."""
        execute(
            writer,
            f"REPLACE INTO {identifier(CHUNKS)}"
            " (run_id, snapshot, table_name, part, chunk, rows_stored, last_key, finished)"
            " VALUES (%s, %s, %s, %s, 0, 0, '', 0)",
            (self._ctx.run_id, self._snapshot.taking, job.name, BEGUN),
        )
        _commit(writer, job)

    def _finish(self, source: sqlite3.Connection, writer: TargetConnection, job: Job) -> None:
        """Checkpoints as a whole load of this snapshot would have left them, and the rows set aside."""
        ctx, taking = self._ctx, self._snapshot.taking
        mine = "WHERE run_id = %s AND table_name = %s"
        execute(writer, f"DELETE FROM {identifier(CHUNKS)} {mine}", (ctx.run_id, job.name))
        spans = parts(source, job) if job.total or job.converted else []
        for number, span in enumerate(spans):
            execute(
                writer,
                f"INSERT INTO {identifier(CHUNKS)}"
                " (run_id, snapshot, table_name, part, chunk, rows_stored, last_key, finished)"
                " VALUES (%s, %s, %s, %s, 1, %s, %s, 1)",
                (ctx.run_id, taking, job.name, number, 0 if number else job.total, span.until),
            )
        if job.converted and job.converted.sets_aside:
            execute(writer, f"DELETE FROM {identifier(conversions.QUARANTINE)} {mine}", (ctx.run_id, job.name))
            for aside in job.converted.aside(source, Range()):
                conversions.keep_aside(writer, ctx.run_id, taking, job.name, aside)
        _commit(writer, job)


def begun_resyncs(connection: TargetConnection, run_id: str) -> set[str]:
    """Tables whose re-sync has begun in this run and not ended."""
    found = query(
        connection, f"SELECT table_name FROM {identifier(CHUNKS)} WHERE run_id = %s AND part = %s", (run_id, BEGUN)
    )
    return {str(row[0]) for row in found}


def _addresses(sides: Sides, keys: Sequence[int]) -> list[str]:
    """Where the source has the rows with these keys, in their order."""
    return [address for some in batches(sorted(keys), BATCH) for address in sides.source.addresses_of(some)]


def _look_again(sides: Sides, unlike: Unlike) -> None:
    """Compare what was written. Raises TransferError when it is not the source's."""
    left = sides.again(unlike)
    # Rows that differ in form alone, such as JSON whose members stand in another order, have no difference.
    shown = next(sides.differences(left), None) if left else None
    if shown is not None:
        raise TransferError(
            f"{sides.table.name}: {shown.key} is not as it was written: {shown.column} is {shown.target!r},"
            f" the source has {shown.source!r}.",
            "look for someone else who writes to this table, or for a trigger, then run the step again",
        )


def _delete_where(writer: TargetConnection, table: Compared, condition: str) -> None:
    name = identifier(table.name)
    execute(writer, f"DELETE FROM {name} WHERE {condition}", show=f"DELETE FROM {name} WHERE …")
    _commit(writer, table.job)


def _commit(writer: TargetConnection, job: Job) -> None:
    try:
        writer.commit()
    except pymysql.MySQLError as error:
        raise server_error(error, f"{job.name}: committing rows") from error
