"""What a copy has stored so far, told to the operator: by table, by stream, and in all."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from dixis_tui.context import Context
from dixis_tui.model import Progress, Status

WHOLE = "all tables"


@dataclass
class Account:
    """Counts chunks as they are committed, from any stream. totals: the rows planned, by table."""

    ctx: Context
    step: str
    totals: Mapping[str, int]
    _done: dict[str, int] = field(default_factory=dict)
    _sizes: dict[str, int] = field(default_factory=dict)
    _by_stream: dict[int, tuple[int, int]] = field(default_factory=dict)
    _passed: set[str] = field(default_factory=set)
    _here: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._clock = time.monotonic() - self.ctx.gate.seconds

    def begin(self, done: Mapping[str, int]) -> None:
        """Set the rows that are there already, by table."""
        with self._lock:
            self._done = {table: done.get(table, 0) for table in self.totals}
            for table in self.totals:
                self._tell(table)
            self._tell_all()

    def add(self, table: str, stored: int, size: int, stream: int) -> None:
        """Count a chunk that has been committed."""
        with self._lock:
            self._done[table] += stored
            self._sizes[table] = self._sizes.get(table, 0) + size
            self._here += stored
            rows, sent = self._by_stream.get(stream, (0, 0))
            self._by_stream[stream] = rows + stored, sent + size
            self._tell(table)
            rows, sent = self._by_stream[stream]
            name = f"stream {stream}"
            self.ctx.progress(Progress(self.step, name, rows, None, note=table, size=sent, part="stream"))
            self._tell_all()

    def end(self) -> dict[str, int]:
        """Tell that all is there; rows by table."""
        with self._lock:
            for table in self.totals:
                self._tell(table, Status.PASS)
            for stream, (rows, size) in self._by_stream.items():
                name = f"stream {stream}"
                self.ctx.progress(
                    Progress(self.step, name, rows, rows, state=Status.PASS, note="done", size=size, part="stream")
                )
            if self.totals:
                self._tell_all(Status.PASS)
            return self._done

    @property
    def done(self) -> int:
        """Rows stored in all tables."""
        return sum(self._done.values())

    def _tell(self, table: str, status: Status | None = None) -> None:
        done, total = self._done[table], self.totals[table]
        if status is None:
            status = Status.RUNNING if done else Status.PENDING
            status = Status.PASS if done and done == total else status
        if table in self._passed:
            return
        if status is Status.PASS:
            self._passed.add(table)
        self.ctx.progress(Progress(self.step, table, done, total, state=status, size=self._sizes.get(table, 0)))

    def _tell_all(self, status: Status = Status.RUNNING) -> None:
        total, size = sum(self.totals.values()), sum(self._sizes.values())
        # The time in which the operator let it wait is no part of the rate.
        seconds = max(time.monotonic() - self.ctx.gate.seconds - self._clock, 0.001)
        left = (total - self.done) * seconds / self._here if self._here and status is Status.RUNNING else None
        note = f"{size / 2**20:.1f} MiB, {size / 2**20 / seconds:.1f} MiB/s, {self._here / seconds:,.0f} rows/s"
        self.ctx.progress(
            Progress(self.step, WHOLE, self.done, total, state=status, note=note, size=size, part="whole", left=left)
        )
