"""Samples on disk: one SQLite file in the run directory, of bounded size, readable by any number of processes.

A sample, the reading behind it and what it did to the rules are written in one transaction: a process that is killed
leaves the file as it was before or after, never between.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Engine,
    Float,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    delete,
    event,
    insert,
    select,
)
from sqlalchemy import update as sql_update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DatabaseError

from dixis_tui.model import DixisError
from dixis_tui.monitoring.samples import Reading, Sample, merged
from dixis_tui.monitoring.triggers import Crossing
from dixis_tui.record import readonly

DAY, HOUR = 86400.0, 3600.0
# Samples older than so many seconds are put together into spans of so many.
THINNING = ((3 * DAY, 900), (DAY, 60))
KEPT = 90 * DAY
ERRORS_KEPT, STATEMENTS_KEPT = 500, 500

_metadata = MetaData()
_samples = Table(
    "samples",
    _metadata,
    Column("at", Float, primary_key=True),
    Column("seconds", Float, nullable=False),
    Column("grain", Integer, nullable=False),
    Column("data", Text, nullable=False),
)
_crossings = Table(
    "crossings",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("rule", Text, nullable=False),
    *(Column(name, Float, nullable=False) for name in ("begun", "last", "worst")),
    *(Column(name, Float) for name in ("stood", "eased", "ended")),
)
_statements = Table(
    "statements",
    _metadata,
    Column("day", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("worst_ms", Float, nullable=False),
    Column("seen", Integer, nullable=False),
    Column("last", Float, nullable=False),
)
_errors = Table(
    "errors",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("text", Text, nullable=False),
)
_notes = Table("notes", _metadata, Column("name", Text, primary_key=True), Column("data", Text, nullable=False))


class StoreError(DixisError):
    """The samples cannot be read or written."""


class Store:
    """The samples of a run."""

    def __init__(self, run_dir: Path, *, create: bool = True) -> None:
        """create: make the file when it is not there; without it an absent one reads as empty."""
        self.path = run_dir / "samples.sqlite"
        try:
            if create:
                run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
                self.path.touch(mode=0o600)
            self._reads_only = not create
            self._engine = self._open()
        except (OSError, DatabaseError) as error:
            raise self._error("opened", error) from error

    def _open(self) -> Engine:
        if self._reads_only and self.path.exists():
            return readonly.engine(self.path)
        engine = create_engine(f"sqlite:///{self.path}" if self.path.exists() else "sqlite://")

        @event.listens_for(engine, "connect")
        def _settings(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")

        _metadata.create_all(engine)
        return engine

    def close(self) -> None:
        self._engine.dispose()

    def _error(self, verb: str, error: Exception) -> StoreError:
        words = error.strerror if isinstance(error, OSError) else getattr(error, "orig", error)
        return StoreError(
            f"The samples {self.path} cannot be {verb}: {words}.",
            safe="the run and the server are as they were",
            next_step="make room on that disk or mend its permissions; without the file samples begin anew",
        )

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction: all of the block is kept, or nothing. Raises StoreError."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except DatabaseError as error:
            raise self._error("written", error) from error

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except DatabaseError as error:
            raise self._error("read", error) from error

    # Writing

    def add(
        self,
        sample: Sample,
        *,
        reading: Reading | None = None,
        ended: Sequence[Crossing] = (),
        opened: Sequence[Crossing] = (),
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep a sample and what belongs to it, all or nothing. ended, opened: crossings as the rules see them now."""
        with self._writing() as connection:
            connection.execute(delete(_samples).where(_samples.c.at == sample.at))
            connection.execute(insert(_samples).values(_row(sample, 0)))
            for crossing in (*ended, *opened):
                values = {name: value for name, value in asdict(crossing).items() if name != "id"}
                if crossing.id:
                    connection.execute(sql_update(_crossings).where(_crossings.c.id == crossing.id).values(values))
                else:
                    connection.execute(insert(_crossings).values(values))
            if reading is not None:
                _note(connection, "reading", asdict(reading))
            for name, data in (notes or {}).items():
                _note(connection, name, data)

    def add_statements(self, day: str, at: float, found: Sequence[Mapping[str, Any]]) -> None:
        """Keep slow statements of a day: digest, text (without values), worst_ms; and how often they were seen."""
        with self._writing() as connection:
            for one in found:
                key = (_statements.c.day == day) & (_statements.c.digest == one["digest"])
                known = connection.execute(select(_statements).where(key)).first()
                seen = 1 + (known.seen if known else 0)
                worst = max(one["worst_ms"], known.worst_ms if known else 0.0)
                connection.execute(delete(_statements).where(key))
                row = {"day": day, "digest": one["digest"], "text": one["text"], "last": at}
                connection.execute(insert(_statements).values({**row, "worst_ms": worst, "seen": seen}))
            old = select(_statements.c.last).order_by(_statements.c.last.desc()).offset(STATEMENTS_KEPT).limit(1)
            connection.execute(delete(_statements).where(_statements.c.last <= old.scalar_subquery()))

    def add_errors(self, lines: Sequence[tuple[str, str]]) -> None:
        """Keep lines of the server's log, as (when, what)."""
        with self._writing() as connection:
            for at, text in lines:
                connection.execute(insert(_errors).values(at=at, text=text))
            old = select(_errors.c.id).order_by(_errors.c.id.desc()).offset(ERRORS_KEPT).limit(1)
            connection.execute(delete(_errors).where(_errors.c.id <= old.scalar_subquery()))

    def thin(self, now: float) -> None:
        """Put old samples together, and forget the oldest; so the file has a size it does not grow beyond."""
        with self._writing() as connection:
            connection.execute(delete(_samples).where(_samples.c.at < now - KEPT))
            connection.execute(delete(_crossings).where(_crossings.c.ended < now - KEPT))
            for age, grain in THINNING:
                # Whole spans only: one that is still filling is put together once all of it is old.
                limit = (now - age) // grain * grain
                where = (_samples.c.at < limit) & (_samples.c.grain < grain)
                rows = list(connection.execute(select(_samples).where(where).order_by(_samples.c.at)))
                spans: dict[int, list[Sample]] = {}
                for row in rows:
                    spans.setdefault(int(row.at // grain), []).append(_sample(row))
                connection.execute(delete(_samples).where(where))
                if spans:
                    connection.execute(insert(_samples), [_row(merged(one), grain) for one in spans.values()])

    # Reading

    def refresh(self) -> None:
        """For one who only looks: take in a file that was made meanwhile."""
        if self._engine.url.database is None and self.path.exists():
            self._engine = self._open()

    def samples(self, since: float = 0.0, until: float = 1e12) -> list[Sample]:
        """Samples with an end in a span of time, oldest first."""
        where = (_samples.c.at > since) & (_samples.c.at <= until)
        with self._reading() as connection:
            return [_sample(row) for row in connection.execute(select(_samples).where(where).order_by(_samples.c.at))]

    def latest(self) -> Sample | None:
        with self._reading() as connection:
            row = connection.execute(select(_samples).order_by(_samples.c.at.desc()).limit(1)).first()
        return _sample(row) if row else None

    def reading(self) -> Reading | None:
        """The latest reading, of whichever process."""
        data = self.noted("reading")
        if data is None:
            return None
        times = {key: (value[0], value[1]) for key, value in data.pop("times").items()}
        return Reading(**data, times=times)

    def noted(self, name: str) -> Any:
        with self._reading() as connection:
            row = connection.execute(select(_notes.c.data).where(_notes.c.name == name)).first()
        return json.loads(row.data) if row else None

    def crossings(self, *, only_open: bool = False, since: float = 0.0) -> list[Crossing]:
        """Crossings that are open or ended after a moment, oldest first."""
        is_open = _crossings.c.ended.is_(None)
        where = is_open if only_open else is_open | (_crossings.c.ended >= since)
        with self._reading() as connection:
            rows = connection.execute(select(_crossings).where(where).order_by(_crossings.c.begun))
            return [Crossing(**row._mapping) for row in rows]

    def statements(self, since_day: str = "") -> list[dict[str, Any]]:
        """Slow statements, by day and digest, the slowest first."""
        query = select(_statements).where(_statements.c.day >= since_day).order_by(_statements.c.worst_ms.desc())
        with self._reading() as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def errors(self, limit: int = 20) -> list[tuple[str, str]]:
        """The latest errors of the server's log, as (when, what), newest first."""
        query = select(_errors).order_by(_errors.c.id.desc()).limit(limit)
        with self._reading() as connection:
            return [(row.at, row.text) for row in connection.execute(query)]


def _note(connection: Connection, name: str, data: Any) -> None:
    connection.execute(delete(_notes).where(_notes.c.name == name))
    connection.execute(insert(_notes).values(name=name, data=json.dumps(data, ensure_ascii=False)))


def _row(sample: Sample, grain: int) -> dict[str, Any]:
    data = asdict(sample)
    at, seconds = data.pop("at"), data.pop("seconds")
    values = {name: round(value, 4) for name, value in data.pop("values").items()}
    text = json.dumps({**data, "values": values}, ensure_ascii=False)
    return {"at": at, "seconds": seconds, "grain": grain, "data": text}


def _sample(row: Any) -> Sample:
    data = json.loads(row.data)
    data["histogram"] = {int(edge): count for edge, count in data["histogram"].items()}
    return Sample(at=row.at, seconds=row.seconds, **data)


class Lease:
    """Held by the one process that samples; freed by the kernel when it ends, however it ends."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / "samples.lock"
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Whether this process is the one that samples now."""
        if self._descriptor is None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
