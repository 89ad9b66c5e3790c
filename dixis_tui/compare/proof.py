"""Compares tables of a snapshot with those of the target: every value of every row, down to the cell.

A table is read in segments, on both sides at the same time. Each side counts a segment's rows and adds up 64 bits of
the SHA-256 of each row's normalised text; segments that agree in both are equal. Of the others the rows' hashes are
listed, and of the rows that are not on both sides the values.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

import pymysql
from pydantic import BaseModel, ConfigDict

from dixis_tui.compare import normalise
from dixis_tui.compare.difference import Difference
from dixis_tui.compare.drilldown import Sides
from dixis_tui.compare.sides import SEGMENT_ROWS, target_snapshot
from dixis_tui.config import Target
from dixis_tui.copy.copying import reading_jobs
from dixis_tui.copy.segments import Compared
from dixis_tui.model import DixisError, StoppedError
from dixis_tui.source import Snapshot
from dixis_tui.target import TargetConnection

# One table has been compared: data is its TableProof, the step, its round, and the snapshot.
PROVED = "table-proved"
# Differences of a table that are shown; all are counted.
SHOWN = 100
# Sums of hashes are kept in 64 bits.
HASHES = 1 << 64


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
