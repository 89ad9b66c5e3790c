"""Phase 2, Data: the rows, chunk by chunk, each with its checkpoint in the same transaction on the target.

A chunk is there exactly once whatever was killed: its rows and its line in `_dixis_chunks` are committed together.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import pymysql

from dixis_tui import rows, shape, verify
from dixis_tui.catalogue import SourceSchema, Table, TableContents
from dixis_tui.config import Config, Group
from dixis_tui.context import Context
from dixis_tui.model import DixisError, Kind, Outcome, Progress, Status, Step, StoppedError, failed, passed
from dixis_tui.rows import Chunk, Field, RowStream
from dixis_tui.schema import copied_tables, read_source
from dixis_tui.source import (
    Snapshot,
    latest_snapshot,
    open_readonly,
    snapshot_now,
    snapshot_outcome,
    source_host,
)
from dixis_tui.target import (
    TargetConnection,
    connected,
    execute,
    identifier,
    query,
    server_error,
    server_facts,
)

CHUNKS = "_dixis_chunks"
# Tables with more rows than this are loaded without their secondary indexes, which are built afterwards.
LARGE = 50_000
INSERT_BYTES = 1 << 20
DROPPED, RESTORED = "indexes-dropped", "indexes-restored"

CHUNKS_TABLE = f"""CREATE TABLE IF NOT EXISTS {identifier(CHUNKS)} (
  run_id VARCHAR(128) NOT NULL,
  snapshot CHAR(64) NOT NULL,
  table_name VARCHAR(64) NOT NULL,
  chunk INT UNSIGNED NOT NULL,
  rows_stored BIGINT UNSIGNED NOT NULL,
  last_key LONGTEXT NOT NULL,
  finished TINYINT(1) NOT NULL,
  stored_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (run_id, snapshot, table_name, chunk)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"""


class TransferError(DixisError):
    """Rows could not be stored exactly; their chunk was taken back."""

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(what, safe="this chunk was taken back whole; finished chunks stay", next_step=next_step)


@dataclass(frozen=True)
class Job:
    """One table to copy. problems: why it cannot be copied exactly; empty when it can."""

    table: Table
    total: int
    fields: tuple[Field, ...]
    problems: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.table.name


def steps(config: Config) -> tuple[Step, ...]:
    """The steps of the phase `data`."""
    return (
        Step(
            id="data.snapshot",
            title="Definitive snapshot",
            kind=Kind.ACTION,
            why="All rows are read from one consistent copy of the source; it is also the backup to go back to.",
            work=take_definitive,
            preview=_snapshot_preview,
            undo="nothing to undo: the source is only read",
        ),
        Step(
            id="data.prepare",
            title="Make the target ready",
            kind=Kind.ACTION,
            why="Nothing may be copied over rows of others, and large tables load faster without their indexes.",
            work=prepare,
            preview=_prepare_preview,
            undo="data.indexes puts back every index and foreign key that was dropped",
        ),
        *(_group_step(group) for group in config.data.groups),
        Step(
            id="data.rest",
            title="All other tables",
            kind=Kind.ACTION,
            why="Every table is copied, also those the plan does not name.",
            work=copy_rest,
            preview=lambda ctx: _copy_preview(ctx, None),
            undo="TRUNCATE these tables; the source still has every row",
        ),
        Step(
            id="data.indexes",
            title="Put back indexes and foreign keys",
            kind=Kind.ACTION,
            why="What was dropped for the load is built again, exactly as it was.",
            work=restore_indexes,
            preview=_restore_preview,
            undo="nothing to undo: this is how the tables were",
        ),
        Step(
            id="data.counts",
            title="Row counts",
            kind=Kind.CHECK,
            why="Every table must hold as many rows as the snapshot.",
            work=verify.check_counts,
        ),
    )


def _group_step(group: Group) -> Step:
    return Step(
        id=f"data.{group.name}",
        title=f"{group.title} (priority {group.priority})",
        kind=Kind.ACTION,
        why=f"The plan copies these first: {', '.join(group.tables[:4])}…",
        work=lambda ctx: copy_group(ctx, group),
        preview=lambda ctx: _copy_preview(ctx, group),
        undo="TRUNCATE these tables; the source still has every row",
    )


# The snapshot


def _next_name(ctx: Context) -> str:
    numbers = [int(p.stem[5:]) for p in (ctx.run_dir / "snapshots").glob("data-*.sqlite") if p.stem[5:].isdigit()]
    return f"data-{max(numbers, default=0) + 1}.sqlite"


def _snapshot_preview(ctx: Context) -> list[str]:
    path = ctx.run_dir / "snapshots" / _next_name(ctx)
    return [f"sqlite backup of {ctx.config.source.path} on {source_host(ctx).name} to {path}, mode 0600"]


def take_definitive(ctx: Context) -> Outcome:
    """Take the snapshot all rows are copied from; earlier ones are kept."""
    return snapshot_outcome(ctx, snapshot_now(ctx, _next_name(ctx)))


# Jobs


def jobs(ctx: Context, connection: TargetConnection) -> list[Job]:
    """One job for every table whose rows are copied; columns are matched by name, whatever their order."""
    schema, contents = read_source(ctx)
    targets = {table.lower(): columns for table, columns in shape.all_columns(connection).items()}
    return [
        _job(table, contents[table.name], targets.get(table.name.lower(), ()))
        for table in copied_tables(ctx.config, schema)
    ]


def _job(table: Table, contents: TableContents, columns: Sequence[shape.ShapeColumn]) -> Job:
    if not columns:
        return Job(table, contents.rows, (), ("the target has no such table",))
    there = {column.name.lower(): column for column in columns}
    fields, problems = [], []
    for column in table.columns:
        target = there.pop(column.name.lower(), None)
        holds = contents.columns[column.name]
        if target is None:
            if holds.values:
                problems.append(f"the target has no column {column.name}, which holds {holds.values} values")
        elif not target.generated:
            fields.append(Field(column, holds, target))
    if contents.rows:
        problems += [f"{item.source.name}: {problem}" for item in fields if (problem := item.problem())]
        problems += [
            f"the target wants a value for {column.name}, which the source does not have"
            for column in there.values()
            if not (column.nullable or column.default or column.automatic or column.generated)
        ]
    return Job(table, contents.rows, tuple(fields), tuple(problems))


# Preparation


@dataclass(frozen=True)
class State:
    """What a table of the target holds: rows there, rows our checkpoints of this and of older snapshots account for."""

    there: int
    current: int
    older: int

    @property
    def foreign(self) -> bool:
        """True when somebody else wrote rows (or took some away)."""
        return self.there not in (0, self.current) and not self.stale

    @property
    def stale(self) -> bool:
        """True when the rows are ours, of an older snapshot."""
        return self.current == 0 and self.older > 0 and self.there == self.older

    @property
    def reset(self) -> bool:
        """True when the table must begin anew."""
        return self.stale or (self.there == 0 and self.current + self.older > 0)


def _states(ctx: Context, connection: TargetConnection, wanted: Sequence[Job], snapshot: Snapshot) -> dict[str, State]:
    known: dict[str, dict[bool, int]] = {}
    if CHUNKS in shape.table_names(connection):
        for table, is_current, stored in query(
            connection,
            f"SELECT table_name, snapshot = %s, SUM(rows_stored) FROM {identifier(CHUNKS)} WHERE run_id = %s"
            " GROUP BY table_name, snapshot = %s",
            (snapshot.sha256, ctx.run_id, snapshot.sha256),
        ):
            known.setdefault(str(table), {})[bool(is_current)] = int(stored)
    states = {}
    for job in wanted:
        ctx.check_stop()
        count = int(query(connection, f"SELECT COUNT(*) FROM {identifier(job.name)}")[0][0])
        mine = known.get(job.name, {})
        states[job.name] = State(count, mine.get(True, 0), mine.get(False, 0))
    return states


def _large(job: Job) -> bool:
    return job.total > LARGE


def _droppable(definition: shape.Definition, parents: set[tuple[str, ...]]) -> list[str]:
    """The clauses of an ALTER TABLE that drop secondary indexes and foreign keys.

    Kept: an index an AUTO_INCREMENT column needs, and unique ones that other tables' foreign keys lean on.
    """
    automatic = [line.split("`")[1] for line in definition.columns if " AUTO_INCREMENT" in line]
    clauses = [f"DROP FOREIGN KEY {identifier(name)}" for name in definition.foreign_keys]
    for name, line in definition.keys.items():
        columns = tuple(part.lower() for part in line[line.index("(") :].split("`")[1::2])
        needed = not definition.primary_key and columns[:1] == tuple(automatic)
        if not needed and not any(columns[: len(parent)] == parent for parent in parents):
            clauses.append(f"DROP KEY {identifier(name)}")
    return clauses


def _drops(
    connection: TargetConnection, wanted: Sequence[Job], states: dict[str, State]
) -> Iterator[tuple[str, shape.Definition, list[str]]]:
    """Tables to be loaded without indexes: name, definition as it is, clauses that drop."""
    parents: dict[str, set[tuple[str, ...]]] = {}
    for key in verify.foreign_keys(connection):
        parents.setdefault(key.parent.lower(), set()).add(tuple(column.lower() for column in key.references))
    for job in wanted:
        state = states[job.name]
        if _large(job) and (state.reset or state.there < job.total):
            definition = shape.definition(connection, job.name)
            clauses = _droppable(definition, parents.get(job.name.lower(), set()))
            if clauses:
                yield job.name, definition, clauses


def _prepare_preview(ctx: Context) -> list[str]:
    with connected(ctx.config.target) as connection:
        wanted = [job for job in jobs(ctx, connection) if job.fields]
        states = _states(ctx, connection, wanted, latest_snapshot(ctx))
        lines = [CHUNKS_TABLE + ";"]
        for name, state in states.items():
            if state.stale:
                lines.append(
                    f"TRUNCATE TABLE {identifier(name)};  -- {state.there} rows of an older snapshot of this run"
                )
        for name, _, clauses in _drops(connection, wanted, states):
            lines.append(f"ALTER TABLE {identifier(name)} {', '.join(clauses)};  -- put back by data.indexes")
    return lines


def prepare(ctx: Context) -> Outcome:
    """Refuse what cannot be copied exactly and rows of others; begin stale tables anew; drop large tables' indexes."""
    snapshot = latest_snapshot(ctx)
    with connected(ctx.config.target) as connection:
        wanted = jobs(ctx, connection)
        problems = [f"{job.name}: {problem}" for job in wanted for problem in job.problems]
        if problems:
            return failed(
                f"{len(problems)} things would not arrive as they are; nothing was changed",
                problems,
                ["mend the source or the target's columns, take a new snapshot, then run this step again"],
            )
        states = _states(ctx, connection, wanted, snapshot)
        foreign = {name: state for name, state in states.items() if state.foreign}
        if foreign:
            return failed(
                f"{len(foreign)} tables hold rows that this run did not write; nothing was changed",
                [
                    f"{name}: {state.there} rows, {state.current + state.older} of them ours"
                    for name, state in foreign.items()
                ],
                ["if they are not needed:", *(f"DELETE FROM {identifier(name)};" for name in foreign)],
            )
        execute(connection, CHUNKS_TABLE)
        execute(connection, "SET SESSION foreign_key_checks = 0")
        reset = [name for name, state in states.items() if state.reset]
        for name in reset:
            ctx.check_stop()
            # In this order a crash between the two is harmless: the table is empty and its checkpoints are reset again.
            execute(connection, f"TRUNCATE TABLE {identifier(name)}")
            execute(
                connection,
                f"DELETE FROM {identifier(CHUNKS)} WHERE run_id = %s AND table_name = %s",
                (ctx.run_id, name),
            )
            connection.commit()
        dropped = _drop_indexes(ctx, connection, wanted, states)
        way = "LOAD DATA from a stream" if server_facts(connection).local_infile else "multi-row INSERT"
    schema, _ = read_source(ctx)
    evidence = [
        f"{len(wanted)} tables, {sum(job.total for job in wanted)} rows, by {way}",
        *(f"begins anew: {name}" for name in reset),
        *dropped,
        *_left_out(ctx.config, schema),
    ]
    return passed(f"{len(wanted)} tables ready, {len(reset)} begin anew, {len(dropped)} without indexes", evidence)


def _left_out(config: Config, schema: SourceSchema) -> list[str]:
    lines = [f"left out: {name} is a virtual table or belongs to one" for name in schema.left_out]
    copied = {table.name for table in copied_tables(config, schema)}
    return lines + [f"left out: {t.name} is kept as artisan made it" for t in schema.tables if t.name not in copied]


def _drop_indexes(
    ctx: Context, connection: TargetConnection, wanted: Sequence[Job], states: dict[str, State]
) -> list[str]:
    told = []
    for name, definition, clauses in list(_drops(connection, wanted, states)):
        ctx.check_stop()
        # Written down before it is done, so that a killed run still knows what was there.
        ctx.record(
            DROPPED,
            {
                "round": len(ctx.recorded(RESTORED)),
                "table": name,
                "keys": dict(definition.keys),
                "foreign_keys": dict(definition.foreign_keys),
            },
        )
        execute(connection, f"ALTER TABLE {identifier(name)} {', '.join(clauses)}")
        told.append(f"{name}: {len(clauses)} indexes and foreign keys dropped for the load")
    return told


# Putting back


def _to_restore(ctx: Context, connection: TargetConnection) -> dict[str, list[str]]:
    """What was dropped since the last time all was put back and is not there now: ADD clauses by table."""
    now = len(ctx.recorded(RESTORED))
    wanted: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
    for event in ctx.recorded(DROPPED):
        if event["round"] == now:
            keys, foreign = wanted.setdefault(str(event["table"]), ({}, {}))
            keys.update(event["keys"])
            foreign.update(event["foreign_keys"])
    missing: dict[str, list[str]] = {}
    for table, (keys, foreign) in wanted.items():
        there = shape.definition(connection, table)
        clauses = [f"ADD {line}" for name, line in keys.items() if name not in there.keys]
        clauses += [f"ADD {line}" for name, line in foreign.items() if name not in there.foreign_keys]
        if clauses:
            missing[table] = clauses
    return missing


def _restore_preview(ctx: Context) -> list[str]:
    with connected(ctx.config.target) as connection:
        missing = _to_restore(ctx, connection)
    lines = [f"ALTER TABLE {identifier(table)} {', '.join(clauses)};" for table, clauses in missing.items()]
    return lines or ["-- nothing was dropped, nothing to put back"]


def restore_indexes(ctx: Context) -> Outcome:
    """Put back what data.prepare dropped, as it is written in the journal."""
    told = []
    with connected(ctx.config.target) as connection:
        # As in the source, where nothing was checked: orphans are found by the phase validation, not here.
        execute(connection, "SET SESSION foreign_key_checks = 0")
        missing = _to_restore(ctx, connection)
        for table, clauses in missing.items():
            ctx.check_stop()
            ctx.progress(Progress("data.indexes", table, 0, len(clauses), "keys"))
            execute(connection, f"ALTER TABLE {identifier(table)} {', '.join(clauses)}")
            ctx.progress(Progress("data.indexes", table, len(clauses), len(clauses), "keys", Status.PASS))
            told += [f"{table}: {clause}" for clause in clauses]
        left = _to_restore(ctx, connection)
    if left:
        return failed("some indexes are still not there", [f"{t}: {c}" for t, clauses in left.items() for c in clauses])
    if any(event["round"] == len(ctx.recorded(RESTORED)) for event in ctx.recorded(DROPPED)):
        ctx.record(RESTORED, {"clauses": len(told)})
    return passed(f"{len(told)} indexes and foreign keys put back" if told else "nothing had been dropped", told)


# Copying


def _selected(ctx: Context, wanted: Sequence[Job], group: Group | None) -> tuple[list[Job], list[str]]:
    """The jobs of a group, or those of no group, and the group's names that the source does not have."""
    by_name = {job.name.lower(): job for job in wanted}
    if group is not None:
        names = [name.lower() for name in group.tables]
        return [by_name[n] for n in names if n in by_name], [n for n in group.tables if n.lower() not in by_name]
    grouped = {name.lower() for each in ctx.config.data.groups for name in each.tables}
    return [job for name, job in by_name.items() if name not in grouped], []


def _copy_preview(ctx: Context, group: Group | None) -> list[str]:
    with connected(ctx.config.target) as connection:
        chosen, missing = _selected(ctx, jobs(ctx, connection), group)
        load = server_facts(connection).local_infile
    lines = [f"-- {job.name}: {job.total} rows in chunks of {ctx.config.data.chunk_rows}" for job in chosen]
    lines += [f"-- not in the source: {name}" for name in missing]
    if chosen and chosen[0].fields:
        first = chosen[0]
        statement = (
            rows.load_statement(first.name, first.fields)
            if load
            else rows.insert_statement(first.name, first.fields).decode()
        )
        lines.append(f"{statement};  -- and so on")
    return lines or ["-- nothing: every table is in a group"]


def copy_group(ctx: Context, group: Group) -> Outcome:
    """Copy the tables of one of the plan's groups."""
    return _copy(ctx, f"data.{group.name}", group)


def copy_rest(ctx: Context) -> Outcome:
    """Copy the tables that are in no group."""
    return _copy(ctx, "data.rest", None)


def _copy(ctx: Context, step: str, group: Group | None) -> Outcome:
    snapshot = latest_snapshot(ctx)
    with connected(ctx.config.target) as connection:
        facts = server_facts(connection)
        chosen, missing = _selected(ctx, jobs(ctx, connection), group)
    problems = [f"{job.name}: {problem}" for job in chosen for problem in job.problems]
    if problems:
        return failed("the target is not as data.prepare found it", problems, ["run the phase data from its beginning"])
    pool = Pool(ctx, step, snapshot, load=facts.local_infile, packet=min(INSERT_BYTES, facts.max_allowed_packet // 2))
    stored = pool.run(sorted(chosen, key=lambda job: -job.total))
    evidence = [f"{job.name}: {stored[job.name]} rows" for job in chosen]
    if missing:
        evidence.append(f"not in the source: {', '.join(missing)}")
    return passed(f"{len(chosen)} tables, {sum(stored.values())} rows", evidence, rows=sum(stored.values()))


class Pool:
    """Copies tables on several streams, each with connections of its own. The first error ends all, between chunks."""

    def __init__(self, ctx: Context, step: str, snapshot: Snapshot, *, load: bool, packet: int) -> None:
        self._ctx = ctx
        self._step = step
        self._snapshot = snapshot
        self._load = load
        self._packet = packet
        self._waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._failed = threading.Event()
        self._stored: dict[str, int] = {}

    def run(self, chosen: Sequence[Job]) -> dict[str, int]:
        """Copy the tables; answers rows by table, those of earlier runs included. Raises what a stream raised first."""
        for job in chosen:
            self._waiting.put(job)
        count = min(self._ctx.config.data.streams, len(chosen))
        if not count:
            return {}
        with ThreadPoolExecutor(count, thread_name_prefix="copy") as executor:
            streams = [executor.submit(self._stream) for _ in range(count)]
        errors = [error for stream in streams if (error := stream.exception())]
        for error in sorted(errors, key=lambda e: isinstance(e, StoppedError)):
            raise error
        return self._stored

    def _stream(self) -> None:
        try:
            with (
                closing(open_readonly(self._snapshot.path)) as source,
                connected(self._ctx.config.target, local_infile=self._load) as target,
            ):
                rows.prepare(source)
                execute(target, "SET SESSION foreign_key_checks = 0")
                while True:
                    try:
                        job = self._waiting.get_nowait()
                    except queue.Empty:
                        return
                    self._stored[job.name] = self._copy_table(source, target, job)
        except BaseException:
            self._failed.set()
            raise

    def _check_stop(self) -> None:
        self._ctx.check_stop()
        if self._failed.is_set():
            raise StoppedError

    def _tell(self, job: Job, done: int, status: Status = Status.RUNNING) -> None:
        self._ctx.progress(Progress(self._step, job.name, done, job.total, state=status))

    def _copy_table(self, source: sqlite3.Connection, target: TargetConnection, job: Job) -> int:
        number, done, after, finished = self._checkpoint(target, job)
        if not finished:
            self._check_stop()
            self._tell(job, done)
            sql = rows.select(job.table, job.fields, load=self._load, after=after)
            stream = RowStream(source, sql)
            while not finished:
                self._check_stop()
                chunk = Chunk()
                self._store(source, target, job, stream, chunk)
                finished = stream.ended
                key = chunk.keys[-1].decode() if chunk.keys else after
                done += len(chunk.keys)
                execute(
                    target,
                    f"INSERT INTO {identifier(CHUNKS)} "
                    "(run_id, snapshot, table_name, chunk, rows_stored, last_key, finished)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                    (self._ctx.run_id, self._snapshot.sha256, job.name, number, len(chunk.keys), key, finished),
                )
                target.commit()
                number += 1
                self._tell(job, done)
            self._carry_mark(target, job)
        self._tell(job, done, Status.PASS)
        return done

    def _checkpoint(self, target: TargetConnection, job: Job) -> tuple[int, int, str, bool]:
        """Where to go on: number of the next chunk, rows stored, last key, and whether all is there."""
        found = query(
            target,
            f"SELECT chunk, last_key, finished, SUM(rows_stored) OVER () FROM {identifier(CHUNKS)}"
            " WHERE run_id = %s AND snapshot = %s AND table_name = %s ORDER BY chunk DESC LIMIT 1",
            (self._ctx.run_id, self._snapshot.sha256, job.name),
        )
        if not found:
            return 1, 0, "", False
        chunk, key, finished, stored = found[0]
        return int(chunk) + 1, int(stored), str(key), bool(finished)

    def _store(
        self, source: sqlite3.Connection, target: TargetConnection, job: Job, stream: RowStream, chunk: Chunk
    ) -> None:
        """Send one chunk, not yet committed. Raises TransferError after taking it back when one row is not exact."""
        data = self._ctx.config.data
        batches = stream.take(chunk, data.chunk_rows, data.chunk_mib << 20)
        if stream.ended:
            return
        if self._load:
            stored, warnings = target.load(rows.load_statement(job.name, job.fields), map(b"".join, batches))
        else:
            stored, warnings = self._insert(target, job, batches)
        if stored != len(chunk.keys) or warnings:
            words = [str(row[2]) for row in query(target, "SHOW WARNINGS LIMIT 3")] if warnings else []
            target.rollback()
            raise _refused(source, job, chunk, stored, words)

    def _insert(self, target: TargetConnection, job: Job, batches: Iterator[list[bytes]]) -> tuple[int, int]:
        """The same rows by multi-row INSERTs; answers rows stored and warnings."""
        head = rows.insert_statement(job.name, job.fields)
        stored = warnings = 0
        pending: list[bytes] = []
        size = 0

        def send() -> None:
            nonlocal stored, warnings, size
            try:
                stored += target.query(head + b",\n".join(pending))
            except pymysql.MySQLError as error:
                raise server_error(error, f"{job.name}: storing rows") from error
            warnings += target.warnings
            pending.clear()
            size = 0

        for batch in batches:
            for row in batch:
                if pending and size + len(row) > self._packet:
                    send()
                    if warnings:
                        return stored, warnings
                pending.append(row)
                size += len(row) + 2
        if pending:
            send()
        return stored, warnings

    def _carry_mark(self, target: TargetConnection, job: Job) -> None:
        """Let the next number given out be the one SQLite would have given."""
        mark = job.table.sequence
        column = next((item for item in job.fields if item.target.automatic), None)
        if mark is not None and column is not None and mark > column.holds.high:
            execute(target, f"ALTER TABLE {identifier(job.name)} AUTO_INCREMENT = {mark + 1}")


def _refused(source: sqlite3.Connection, job: Job, chunk: Chunk, stored: int, words: Sequence[str]) -> TransferError:
    """The error for a chunk that did not arrive as it was, with the row named where the server names it."""
    what = f"{job.name}: {len(chunk.keys)} rows sent, {stored} stored"
    if words:
        what += "; the server says: " + "; ".join(words)
        row = words[0].rpartition(" at row ")[2]
        if row.isdigit() and 0 < int(row) <= len(chunk.keys):
            keys = ", ".join(rows.key_columns(job.table))
            what += f"; the first such row has {keys} = {chunk.keys[int(row) - 1].decode(errors='replace')}"
    return TransferError(
        what + ".", "mend this row in the source or the column in the target, then begin the phase anew"
    )
