"""The journal of a run: append-only events in SQLite, each with the hash of the one before, and their sum.

An event is on disk when `append` returns. Nothing is ever updated or deleted; a changed, missing or swapped event
breaks the chain and is refused on opening.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    insert,
    select,
)
from sqlalchemy.exc import DatabaseError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from dixis_tui.model import HELD, DixisError, Outcome, Status
from dixis_tui.record import chain, readonly

# The application is being led to the target: data names the copy of its environment file that leads back.
SWITCHED = "application-switched"
# Traffic is let in on the target: data names the server and its database, which from then on may hold what customers
# wrote, the snapshot it then held, and the time (ISO 8601 UTC).
WENT_LIVE = "went-live"
# What customers wrote there since is in SQLite again: data names the database it came from, and, for what is written
# there after all, the snapshot that it was equal to, when it was written last, and the rollback by its number.
CAME_HOME = "came-home"
# Somebody has written to that database after all: data names it, and the time.
WRITTEN_LATE = "written-late"
# The database with these rows is about to take its place: data has its SHA-256, where they came from, and what is in
# it, in words; and how often rows had come home by then.
PLACING = "home-placing"
# The old database is about to be made read-only: data has its path and the mode it had.
KEPT = "source-kept"
# The operator agreed to an action: data has the steps, and the database's name where it had to be typed.
CONFIRMED = "confirmed"
# The operator had the work go slower or faster: data has from what to what, in words.
PACED = "pace-changed"
# A fact of a skipped check: the step that was not well, whose next answer opens it again.
WAITS_FOR = "waits_for"
# Indexes were dropped for a load, by the number of the round; a round has ended when all were put back.
DROPPED, RESTORED = "indexes-dropped", "indexes-restored"

LOOKS = 20  # at a journal that another process writes, until nothing comes in meanwhile
DECLARED = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid"

_metadata = MetaData()
_events = Table(
    "events",
    _metadata,
    Column("seq", Integer, primary_key=True),
    Column("at", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("data", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
)


def blueprint() -> list[tuple[Any, ...]]:
    """How the tables of a journal are declared: type, name and SQL of each thing in SQLite's own schema."""
    engine = create_engine("sqlite://")
    _metadata.create_all(engine)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(DECLARED)]


class JournalError(DixisError):
    """The journal cannot be read or trusted."""


class HeldError(DixisError):
    """Another console drives this run."""

    exit_code = HELD


@dataclass(frozen=True)
class Event:
    """seq counts from 1; at is ISO 8601 UTC; data is JSON."""

    seq: int
    at: str
    kind: str
    data: Mapping[str, Any]
    previous: str
    hash: str

    @property
    def time(self) -> datetime:
        return datetime.fromisoformat(self.at)


class Journal:
    """The events of one run, in `run_dir/journal.sqlite`. Anyone may read; the one that drives appends."""

    def __init__(self, run_dir: Path, *, create: bool = True) -> None:
        """create: to append, making folder and file if need be; without it nothing is ever written, and an absent
        journal reads as empty."""
        self.path = run_dir / "journal.sqlite"
        self._head = run_dir / "journal.head"
        self._write_lock = threading.Lock()
        self._reads_only = not create
        self._mark: tuple[object, ...] = ()
        try:
            if create:
                run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
                self.path.touch(mode=0o600)
            self._engine = self._open()
            self._events = self._read()
        except (DatabaseError, UnicodeDecodeError, OSError) as error:
            place = Path(error.filename) if isinstance(error, OSError) and error.filename else self.path
            why = getattr(error, "orig", None) or getattr(error, "strerror", None) or error
            raise JournalError(
                f"The journal {place} cannot be read: {why}.",
                safe="source and target were not touched",
                next_step="mend that path or its permissions"
                if isinstance(error, OSError) or "unable to open" in str(why)
                else "restore the file from a copy, or start a new run in another directory",
            ) from error

    def _open(self) -> Engine:
        if self._reads_only and self.path.exists():
            return readonly.engine(self.path)
        engine = create_engine("sqlite://" if self._reads_only else f"sqlite:///{self.path}")

        @event.listens_for(engine, "connect")
        def _settings(connection: Any, _record: Any) -> None:
            connection.text_factory = decoded
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")

        _metadata.create_all(engine)
        return engine

    @property
    def events(self) -> Sequence[Event]:
        return self._events

    @property
    def last_hash(self) -> str:
        """The hash of the last event; zeros before the first."""
        return self._events[-1].hash if self._events else chain.GENESIS

    def append(self, kind: str, data: Mapping[str, Any] | None = None, *, at: str = "") -> Event:
        """Add an event; it is durable when this returns. Raises JournalError when it cannot be written.

        at: its time where somebody has put a name to it already; otherwise now.
        """
        text = chain.encodable(json.dumps(data or {}, ensure_ascii=False, sort_keys=True, default=str))
        at = at or now()
        with self._write_lock:
            previous = self.last_hash
            seq = len(self._events) + 1
            digest = chain.digest(previous, seq, at, kind, text)
            row = {"seq": seq, "at": at, "kind": kind, "data": text, "previous": previous, "hash": digest}
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(_events).values(row))
            except DatabaseError as error:
                raise JournalError(
                    f"The journal {self.path} cannot be written: {error.orig}.",
                    safe="what was done before is recorded; nothing more was started",
                    next_step="make room on that disk or mend its permissions, then start again",
                ) from error
            added = Event(seq, at, kind, json.loads(text), previous, digest)
            self._events.append(added)
            self._write_head(added)
            return added

    def _write_head(self, last: Event) -> None:
        """Number and hash of the last event, in a file of their own: the chain cannot tell that its end is gone."""
        temporary = self._head.with_suffix(".new")
        try:
            temporary.touch(mode=0o600)
            temporary.write_text(chain.head_line(last.seq, last.hash), encoding="ascii")
            temporary.replace(self._head)
        except OSError as error:
            raise JournalError(
                f"{self._head} cannot be written: {error.strerror}.",
                safe="what was done is recorded",
                next_step="make room on that disk or mend its permissions, then start again",
            ) from error

    def refresh(self) -> bool:
        """Take in events another process has added since, or the first ones of a run that had not begun; True for any.

        What has not changed on disk is not read again.
        """
        files = (self.path, Path(f"{self.path}-wal"), self._head)
        mark = tuple(map(_stamp, files))
        if mark == self._mark:
            return False
        if self._engine.url.database is None and self.path.exists():
            self._engine = self._open()
        known = len(self._events)
        self._events = self._read()
        self._mark = mark
        return len(self._events) > known

    def close(self) -> None:
        self._engine.dispose()

    def _read(self) -> list[Event]:
        """Every event. While somebody begins to write it cannot be opened for a moment; the next look sees it whole."""
        for attempt in Retrying(
            retry=retry_if_exception_type((JournalError, DatabaseError)),
            stop=_looked_enough,
            wait=wait_fixed(0.05),
            reraise=True,
        ):
            with attempt:
                return self._read_once()
        raise AssertionError("the last attempt raises")

    def _read_once(self) -> list[Event]:
        for _ in range(LOOKS):
            head = read_head(self._head)
            with self._engine.connect() as connection:
                rows = _rows(connection)
            # While the head stands, at most one event can be there that it does not speak of yet.
            if read_head(self._head) == head:
                break
        broken = chain.first_break(rows, head)
        if broken:
            raise JournalError(
                f"The journal {self.path} is not what was written: {broken}.",
                safe="source and target were not touched",
                next_step="restore it and its head from a copy, or start a new run in another directory",
            )
        return [Event(row.seq, row.at, row.kind, json.loads(row.data), row.previous, row.hash) for row in rows]


def _looked_enough(state: RetryCallState) -> bool:
    """Twice at one that is not what was written; for a second at one that cannot be opened."""
    error = state.outcome.exception() if state.outcome else None
    return state.attempt_number >= (2 if isinstance(error, JournalError) else LOOKS)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What tells whether a file has changed; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def now() -> str:
    """The time as events hold it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def decoded(text: bytes) -> str:
    """A text of the journal, even one that is no longer UTF-8: the chain then says where it is."""
    return text.decode("utf-8", "backslashreplace")


def read_head(path: Path) -> str | None:
    """What the head beside a journal says, whatever bytes it holds; None where there is no such file."""
    return path.read_text(encoding="ascii", errors="backslashreplace") if path.exists() else None


def _rows(connection: Connection) -> list[Any]:
    return list(connection.execute(select(_events).order_by(_events.c.seq)))


class Lock:
    """Held by the one console that drives a run; freed by the kernel when its process ends, however it ends."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / "lock"
        self._descriptor: int | None = None

    def acquire(self, operator: str) -> None:
        """Take the lock, making the run's folder (mode 0700) if need be. Raises HeldError that names the holder."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise JournalError(
                f"The run's folder {self._path.parent} cannot be used: {error.strerror}.",
                safe="nothing was changed",
                next_step="mend its permissions, or name another folder under [run] directory",
            ) from error
        try:
            # Somebody who only asks whether it is held shares it for a moment.
            for attempt in Retrying(
                retry=retry_if_exception_type(BlockingIOError),
                stop=stop_after_delay(0.5),
                wait=wait_fixed(0.05),
                reraise=True,
            ):
                with attempt:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(descriptor, 500).decode("utf-8", "replace").strip() or "unknown"
            os.close(descriptor)
            raise HeldError(
                f"Another console drives this run: {holder}.",
                safe="nothing was changed by this one",
                next_step=f"look on: dixis watch {self._path.parent}; or end the other console first",
            ) from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{operator}, process {os.getpid()} on {socket.gethostname()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def held(self) -> bool:
        """True when some process, this one or another, drives the run."""
        if self._descriptor is not None:
            return True
        if not self._path.exists():
            return False
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


@dataclass(frozen=True)
class Signature:
    """Who confirmed a step, in which role, when (ISO 8601 UTC), with which note.

    fingerprint: of the SSH key it is signed with; empty when signed by name only.
    """

    role: str
    name: str
    note: str
    at: str
    fingerprint: str = ""


@dataclass(frozen=True)
class StepState:
    """Where a step stands, as the journal tells. by: who began it or answered for it."""

    status: Status = Status.PENDING
    by: str = ""
    outcome: Outcome | None = None
    started_at: str | None = None
    finished_at: str | None = None
    signatures: tuple[Signature, ...] = ()

    @property
    def seconds(self) -> float | None:
        """How long the last finished try took."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (datetime.fromisoformat(self.finished_at) - datetime.fromisoformat(self.started_at)).total_seconds()


@dataclass(frozen=True)
class RunState:
    """What the events add up to. Times are ISO 8601 UTC.

    window_opened_at: when maintenance began, None outside the window; window_closed_at: when it ended.
    switched: the application was led to the target and not taken back. rollback_begun: a rollback was begun and has
    not come to its end. rollbacks: how often it was taken back; steps of earlier tries count as pending again.
    """

    run_id: str = ""
    operator: str = ""
    steps: Mapping[str, StepState] = field(default_factory=dict)
    window_opened_at: str | None = None
    window_closed_at: str | None = None
    switched: bool = False
    rollback_begun: bool = False
    rollbacks: int = 0

    @property
    def window_open(self) -> bool:
        return self.window_opened_at is not None and self.window_closed_at is None

    @property
    def downtime(self) -> float | None:
        """Seconds from maintenance on to off; None before it is off."""
        if self.window_opened_at is None or self.window_closed_at is None:
            return None
        opened, closed = map(datetime.fromisoformat, (self.window_opened_at, self.window_closed_at))
        return (closed - opened).total_seconds()

    def day(self, number: int) -> date | None:
        """The date of a day after the night, 1 for the next one; None as long as the shop is not open on the target."""
        if not self.switched or self.window_closed_at is None:
            return None
        return datetime.fromisoformat(self.window_closed_at).astimezone().date() + timedelta(days=number)

    def step(self, step_id: str) -> StepState:
        return self.steps.get(step_id, StepState())

    def outcomes(self) -> dict[str, Outcome]:
        return {name: step.outcome for name, step in self.steps.items() if step.outcome is not None}


def fold(events: Iterable[Event]) -> RunState:
    """The state of a run: nothing but a function of its events."""
    state = RunState()
    for one in events:
        state = advance(state, one)
    return state


def advance(state: RunState, one: Event) -> RunState:
    """The state after one more event."""
    data = one.data
    match one.kind:
        case "run-opened":
            return replace(state, run_id=data["run_id"], operator=data["operator"])
        case "console-attached":
            # Only one process drives: whatever was running when it took over had been cut off.
            return replace(interrupted(state), operator=data["operator"])
        case "step-started":
            if data["step"].startswith("rollback."):
                state = replace(state, rollback_begun=True)
            return _with(
                state, data["step"], status=Status.RUNNING, by=state.operator, started_at=one.at, finished_at=None
            )
        case "step-finished":
            outcome = Outcome.model_validate(data["outcome"])
            state = _asked_again(state, data["step"])
            return _with(state, data["step"], status=outcome.status, outcome=outcome, finished_at=one.at)
        case "step-interrupted":
            return _with(state, data["step"], status=Status.INTERRUPTED, finished_at=one.at)
        case "step-waived":
            found = state.step(data["step"]).outcome or Outcome(status=Status.WAIVED, summary="")
            summary = f"waived by {data['name']}: {data['note']}"
            outcome = found.model_copy(update={"status": Status.WAIVED, "summary": summary})
            state = _asked_again(state, data["step"])
            return _with(
                state, data["step"], status=Status.WAIVED, by=data["name"], outcome=outcome, finished_at=one.at
            )
        case "refused":
            outcome = Outcome.model_validate(data["outcome"])
            step = {"status": outcome.status, "outcome": outcome, "finished_at": one.at, "signatures": ()}
            return _with(state, data["step"], **step)
        case "signed":
            signature = Signature(
                data["role"], data["name"], data["note"], one.at, data.get("ssh", {}).get("fingerprint", "")
            )
            others = tuple(s for s in state.step(data["step"]).signatures if s.role != signature.role)
            return _with(state, data["step"], signatures=(*others, signature))
        case "phase-reset":
            steps = {name: step for name, step in state.steps.items() if name not in data["steps"]}
            return replace(state, steps=steps)
        case "window-opened":
            if state.window_open:
                return state
            return replace(state, window_opened_at=one.at, window_closed_at=None)
        case "window-closed":
            return replace(state, window_closed_at=one.at)
        case "rolled-back":
            kept = {name: step for name, step in state.steps.items() if name.startswith("rollback.")}
            return replace(state, steps=kept, switched=False, rollback_begun=False, rollbacks=state.rollbacks + 1)
        case _ if one.kind == SWITCHED:
            # What an earlier rollback did says nothing about this switch.
            steps = {name: step for name, step in state.steps.items() if not name.startswith("rollback.")}
            return replace(state, steps=steps, switched=True)
        case _:
            return state  # notes of steps for themselves


def _asked_again(state: RunState, step_id: str) -> RunState:
    """The state without the checks that were skipped because of this step: it has a new answer, so they are open."""
    kept = {
        name: step
        for name, step in state.steps.items()
        if step.status is not Status.SKIP or step.outcome is None or step.outcome.facts.get(WAITS_FOR) != step_id
    }
    return state if len(kept) == len(state.steps) else replace(state, steps=kept)


def interrupted(state: RunState) -> RunState:
    """The state once it is known that nobody drives: what was running had been cut off."""
    steps = {
        name: replace(step, status=Status.INTERRUPTED) if step.status is Status.RUNNING else step
        for name, step in state.steps.items()
    }
    return replace(state, steps=steps)


def _with(state: RunState, step_id: str, **changes: Any) -> RunState:
    return replace(state, steps={**state.steps, step_id: replace(state.step(step_id), **changes)})
