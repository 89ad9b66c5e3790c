"""Copies tables on several streams, chunk by chunk, each chunk with its checkpoint in the same transaction.

A large table is cut into parts by ranges of its row number; parts are what the streams take from the queue. Where a
part begins and ends follows from the snapshot and the constants here alone, so that a later run finds the same parts.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pymysql
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from dixis_tui.context import Context
from dixis_tui.copy.account import Account
from dixis_tui.copy.ahead import ahead
from dixis_tui.copy.refusal import RangeRun, Refusal, TransferError
from dixis_tui.model import DixisError, StoppedError
from dixis_tui.pace import LOOK, MOST
from dixis_tui.schemas import catalogue, conversions, rows
from dixis_tui.schemas.catalogue import Table
from dixis_tui.schemas.conversions import Converted
from dixis_tui.schemas.rows import Block, Field, Keys, Range
from dixis_tui.source import Snapshot, open_readonly
from dixis_tui.target import TargetConnection, TargetError, connected, execute, identifier, query, server_error

CHUNKS = "_dixis_chunks"
# A table is cut into parts of about so many rows, but not into more parts than that: InnoDB fills pages best when rows
# come in the order of their key, and every part begins a new place in it.
PART_ROWS, PARTS = 50_000, 8
# Blocks made ahead for each stream.
DEPTH = 6
INSERT_BYTES = 1 << 20
# Errors after which the same work may be tried again: connection lost or refused, server stopping, deadlock, lock wait.
TRANSIENT = frozenset({0, 1040, 1053, 1205, 1213, 1927, 2002, 2003, 2006, 2013, 4031})
ATTEMPTS = 10
LONGEST_WAIT = 8.0
# Table, disk or temporary space full; error while writing a file.
FULL = frozenset({1021, 1026, 1030, 1114, 1135, 3, 28})

CHUNKS_TABLE = f"""CREATE TABLE IF NOT EXISTS {identifier(CHUNKS)} (
  run_id VARCHAR(128) NOT NULL,
  snapshot CHAR(64) NOT NULL,
  table_name VARCHAR(64) NOT NULL,
  part INT UNSIGNED NOT NULL,
  chunk INT UNSIGNED NOT NULL,
  rows_stored BIGINT UNSIGNED NOT NULL,
  last_key LONGTEXT NOT NULL,
  finished TINYINT(1) NOT NULL,
  stored_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (run_id, snapshot, table_name, part, chunk)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"""


@dataclass(frozen=True)
class Job:
    """One table to copy. name: of the target's table; problems: why it cannot be copied exactly, empty when it can.

    converted: how it is read when conversions are declared for it; total counts the rows that are stored then.
    """

    table: Table
    name: str
    total: int
    fields: tuple[Field, ...]
    problems: tuple[str, ...] = ()
    converted: Converted | None = None

    @property
    def read(self) -> Table:
        """The table, or the view of it that applies its conversions."""
        return self.converted.read if self.converted else self.table


@contextmanager
def reading_jobs(path: Path, jobs: Sequence[Job]) -> Iterator[sqlite3.Connection]:
    """A connection to a snapshot in which the rows of these jobs can be read."""
    with closing(open_readonly(path)) as source:
        rows.prepare(source)
        for job in jobs:
            if job.converted:
                job.converted.open(source)
        yield source


@dataclass
class Work:
    """A part of a table on its way. span: its keys; after: the last key stored; chunk: number of the next chunk."""

    job: Job
    part: int
    span: Range
    after: str
    chunk: int
    block_rows: int


@dataclass
class Sent:
    """What went into one chunk so far."""

    rows: int = 0
    size: int = 0
    last: str = ""
    final: bool = False

    def add(self, block: Block) -> None:
        self.rows += block.rows
        self.size += len(block.data)
        self.last, self.final = block.last, block.final


def parts(source: sqlite3.Connection, job: Job) -> list[Range]:
    """The ranges a table is cut into; one for small tables and those without row numbers."""
    count = min(PARTS, job.total // PART_ROWS) if job.table.rowid else 1
    if count < 2:
        return [Range()]
    key = catalogue.name(job.table.rowid)
    low, high = source.execute(f"SELECT min({key}), max({key}) FROM {catalogue.name(job.table.name)}").fetchone()
    ends = [str(low + (high - low) * number // count) for number in range(1, count)]
    return [Range(after, until) for after, until in zip(["", *ends], [*ends, ""], strict=True)]


class Pool:
    """Copies tables on several streams, each with connections of its own. The first error ends all, between chunks."""

    def __init__(self, ctx: Context, step: str, snapshot: Snapshot, *, load: bool, packet: int) -> None:
        """load: by LOAD DATA, else by INSERT in statements of at most packet bytes (larger only for a single row)."""
        self._ctx = ctx
        self._step = step
        self._snapshot = snapshot
        self._load = load
        self._packet = packet
        self._waiting: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self._failed = threading.Event()
        self._jobs: Sequence[Job] = ()

    def run(self, chosen: Sequence[Job]) -> dict[str, int]:
        """Copy the tables; answers rows by table, those of earlier runs included. Raises what a stream raised first.

        When the connection is lost, or the server restarts, it goes on from the checkpoints.
        """
        account = Account(self._ctx, self._step, {job.name: job.total for job in chosen})
        for attempt in Retrying(
            retry=retry_if_exception(lambda e: isinstance(e, TargetError) and e.code in TRANSIENT),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=0.25, max=LONGEST_WAIT),
            sleep=lambda seconds: _pause(self._ctx, seconds),
            before_sleep=self._say_again,
            reraise=True,
        ):
            with attempt:
                self._attempt(chosen, account)
        return account.end()

    def _say_again(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        what = error.what if isinstance(error, DixisError) else ""
        self._ctx.log(f"{what}; trying again from the last checkpoint.", "warn")

    def _attempt(self, chosen: Sequence[Job], account: Account) -> None:
        self._ctx.check_stop()
        self._failed.clear()
        self._waiting = queue.SimpleQueue()
        with connected(self._ctx.config.target) as target, reading_jobs(self._snapshot.path, []) as source:
            waiting, done = self._plan(source, target, chosen)
        account.begin(done)
        self._jobs = chosen
        for work in waiting:
            self._waiting.put(work)
        errors = [error for stream in self._streams(account) if (error := stream.exception())]
        for error in sorted(errors, key=_rank):
            raise error
        with connected(self._ctx.config.target) as target:
            for job in chosen:
                carry_mark(target, job)

    def _streams(self, account: Account) -> list[Future[None]]:
        """Run streams until nothing waits: as many as the pace allows, more when it is raised meanwhile. A stream that
        has begun is not ended when the pace is lowered: they take turns, chunk by chunk, so that each part goes on."""
        streams: list[Future[None]] = []
        with ThreadPoolExecutor(MOST, thread_name_prefix="copy") as executor:
            while True:
                running = [stream for stream in streams if not stream.done()]
                room = 0 if self._failed.is_set() else self._ctx.pace.streams - len(running)
                for _ in range(min(room, self._waiting.qsize())):
                    running.append(executor.submit(self._stream, len(streams) + 1, account))
                    streams.append(running[-1])
                if not running:
                    return streams
                wait(running, LOOK, FIRST_COMPLETED)

    def _plan(
        self, source: sqlite3.Connection, target: TargetConnection, chosen: Sequence[Job]
    ) -> tuple[list[Work], dict[str, int]]:
        """What is still to be sent, and rows stored so far by table."""
        size = rows.BLOCK_BYTES if self._load else self._packet
        most = self._ctx.config.data.chunk_rows
        found = {
            (str(table), int(part)): (int(chunk), str(key), bool(finished), int(stored))
            for table, part, chunk, key, finished, stored in query(
                target,
                "SELECT table_name, part, chunk, last_key, finished, in_all FROM (SELECT c.*,"
                " SUM(rows_stored) OVER (PARTITION BY table_name, part) in_all,"
                " ROW_NUMBER() OVER (PARTITION BY table_name, part ORDER BY chunk DESC) newest"
                f" FROM {identifier(CHUNKS)} c WHERE run_id = %s AND snapshot = %s) latest WHERE newest = 1",
                (self._ctx.run_id, self._snapshot.taking),
            )
        }
        waiting: list[Work] = []
        done: dict[str, int] = {}
        for job in chosen:
            for number, span in enumerate(parts(source, job) if job.total or job.converted else []):
                chunk, key, finished, stored = found.get((job.name, number), (0, span.after, False, 0))
                done[job.name] = done.get(job.name, 0) + stored
                if not finished:
                    count = rows.block_rows(job.fields, most=most, size=size)
                    waiting.append(Work(job, number, span, key, chunk + 1, count))
        return waiting, done

    def _encoded(self) -> Generator[tuple[Work, Block], None, None]:
        """Blocks of the parts that wait, one part after the other; runs in a thread of its own."""
        with reading_jobs(self._snapshot.path, self._jobs) as source:
            while True:
                try:
                    work = self._waiting.get_nowait()
                except queue.Empty:
                    return
                span = Range(work.after, work.span.until)
                for block in rows.blocks(
                    source, work.job.read, work.job.fields, span, load=self._load, count=work.block_rows
                ):
                    yield work, block

    def _stream(self, number: int, account: Account) -> None:
        try:
            with (
                connected(self._ctx.config.target, local_infile=self._load) as target,
                ahead(self._encoded, DEPTH) as encoded,
            ):
                execute(target, "SET SESSION foreign_key_checks = 0")
                for work, block in encoded:
                    with self._ctx.pace.turn(self._check_stop):
                        sent = self._store(target, work, block, encoded)
                        account.add(work.job.name, sent.rows, sent.size, number)
        except BaseException:
            self._failed.set()
            raise

    def _check_stop(self) -> None:
        self._ctx.check_stop()
        if self._failed.is_set():
            raise StoppedError

    def _store(self, target: TargetConnection, work: Work, first: Block, encoded: Iterator[tuple[Work, Block]]) -> Sent:
        """Store one chunk with its checkpoint. Raises TransferError after taking it back when one row is not exact."""
        sent = Sent()
        data = self._ctx.config.data

        def chunk() -> Iterator[bytes]:
            block = first
            while True:
                sent.add(block)
                if block.data:
                    yield block.data
                full = sent.rows + work.block_rows > data.chunk_rows or sent.size >= data.chunk_mib << 20
                if sent.final or full:
                    return
                _, block = next(encoded)

        problem = ""
        stored = warnings = 0
        try:
            if first.rows:
                stored, warnings = send(target, work.job, chunk(), load=self._load)
            else:
                sent.add(first)
        except TargetError as error:
            if error.code in FULL:
                raise _full(work.job, error) from error
            if error.code in TRANSIENT or (error.code >= 2000 and error.code < 3000):
                raise
            problem = error.what
        if problem or warnings or stored != sent.rows:
            raise self._refused(target, work, sent, stored, problem)
        self._checkpoint(target, work, sent)
        return sent

    def _set_aside(self, target: TargetConnection, work: Work, last: str) -> None:
        """Keep the rows that do not fit, as declared, with the chunk they would have belonged to."""
        if not work.job.converted or not work.job.converted.sets_aside:
            return
        with reading_jobs(self._snapshot.path, [work.job]) as source:
            found = work.job.converted.aside(source, Range(work.after, last))
        for aside in found:
            conversions.keep_aside(target, self._ctx.run_id, self._snapshot.taking, work.job.name, aside)

    def _checkpoint(self, target: TargetConnection, work: Work, sent: Sent) -> None:
        try:
            self._set_aside(target, work, sent.last)
            execute(
                target,
                f"INSERT INTO {identifier(CHUNKS)} "
                "(run_id, snapshot, table_name, part, chunk, rows_stored, last_key, finished)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    self._ctx.run_id,
                    self._snapshot.taking,
                    work.job.name,
                    work.part,
                    work.chunk,
                    sent.rows,
                    sent.last,
                    sent.final,
                ),
            )
            target.commit()
        except TargetError as error:
            if error.code in FULL:
                raise _full(work.job, error) from error
            raise
        except pymysql.MySQLError as error:
            raise server_error(error, f"{work.job.name}: committing a chunk") from error
        work.chunk += 1
        work.after = sent.last

    def _refused(self, target: TargetConnection, work: Work, sent: Sent, stored: int, problem: str) -> TransferError:
        target.rollback()
        with reading_jobs(self._snapshot.path, [work.job]) as source:
            span = Range(work.after, sent.last or work.span.until)
            again = self._send_rows(target, work.job, source)
            refusal = Refusal(source, target, work.job.name, work.job.read, work.job.fields, again)
            return refusal.explain(RangeRun(source, work.job.read, span), sent.rows, stored, problem)

    def _send_rows(
        self, target: TargetConnection, job: Job, source: sqlite3.Connection
    ) -> Callable[[Range | Keys], tuple[int, int, int]]:
        """A function that sends some rows and answers rows sent, rows stored, warnings."""
        size = rows.BLOCK_BYTES if self._load else self._packet

        def again(some: Range | Keys) -> tuple[int, int, int]:
            sent = 0

            def stream() -> Iterator[bytes]:
                nonlocal sent
                for data, count in rows.pieces(source, job.read, job.fields, some, load=self._load, size=size):
                    sent += count
                    yield data

            stored, warnings = send(target, job, stream(), load=self._load)
            return sent, stored, warnings

        return again


def send(target: TargetConnection, job: Job, stream: Iterator[bytes], *, load: bool) -> tuple[int, int]:
    """Store rows, not committed; answers rows stored and warnings. Raises TargetError."""
    if load:
        return target.load(rows.load_statement(job.name, job.fields), stream)
    head = rows.insert_statement(job.name, job.fields)
    target.tell("sql", f"{head.decode()} …")
    stored = warnings = 0
    for block in stream:
        try:
            stored += target.query(head + block)
        except pymysql.MySQLError as error:
            raise server_error(error, f"{job.name}: storing rows") from error
        warnings += target.warnings
        if warnings:
            break
    return stored, warnings


def _rank(error: BaseException) -> int:
    """What went wrong first: a row that cannot be stored, then what can be tried again, then a stop that follows."""
    if isinstance(error, StoppedError):
        return 2
    return 1 if isinstance(error, TargetError) and error.code in TRANSIENT else 0


def _full(job: Job, error: TargetError) -> TargetError:
    return TargetError(
        f"{job.name}: the target has no room left: {error.what}.",
        safe="this chunk was taken back whole; finished chunks stay",
        next_step="make room on the database server's disk, then run the step again; it carries on from here",
        code=error.code,
    )


def _pause(ctx: Context, seconds: float) -> None:
    ctx.stop.wait(seconds)


def carry_mark(target: TargetConnection, job: Job) -> None:
    """Let the next number given out be the one SQLite would have given."""
    mark = job.table.sequence
    column = next((item for item in job.fields if item.target.automatic), None)
    if mark is not None and column is not None and mark > column.holds.high:
        execute(target, f"ALTER TABLE {identifier(job.name)} AUTO_INCREMENT = {mark + 1}")
