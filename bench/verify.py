"""How long the proof and the re-sync take, beside the copy of the same rows and beside comparing row by row in Python.

Everything is measured on one server in one run, on the generator's `orders` with their indexes and foreign keys.
"""

from __future__ import annotations

import asyncio
import os
import platform
import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from pymysql.cursors import SSCursor

from bench.transfer import Bench
from dixis_tui.compare import validation
from dixis_tui.compare.proof import Comparison
from dixis_tui.context import Context
from dixis_tui.copy import catchup, copyplan, transfer
from dixis_tui.runner import Runner
from dixis_tui.sandbox import Kind, find_servers, start_server
from dixis_tui.source import latest_snapshot
from dixis_tui.target import connected

COPY = ("data.snapshot", "data.prepare", "data.orders", "data.rest", "data.indexes")
# One row in so many is changed before the re-sync, all over the table.
EVERY = 100


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def run_steps(runner: Runner, *steps: str) -> float:
    """Run these steps; seconds of all but the snapshot and the small tables."""
    seconds = 0.0
    for step in steps:
        outcome = asyncio.run(runner.run_step(step))
        if not outcome.status.settled:
            raise SystemExit(f"{step}: {outcome.summary} {outcome.evidence}")
        if step not in ("data.snapshot", "data.rest"):
            seconds += runner.state.step(step).seconds or 0.0
    return seconds


def compare(runner: Runner) -> None:
    """The proof of the orders alone."""

    def proved(ctx: Any) -> None:
        with connected(ctx.config.target) as connection:
            jobs = [job for job in copyplan.jobs(ctx, connection) if job.name == "orders"]
            tables = copyplan.compared_tables(ctx, connection, jobs)
        for proof in Comparison(latest_snapshot(ctx), ctx.config.target, lambda *_: None).run(tables):
            if proof.status != "equal":
                raise SystemExit(f"{proof.table} is not equal: {proof.differences[:1]} {proof.message}")

    runner.ask(proved)


def row_by_row(runner: Runner) -> None:
    """What one writes by hand: both tables read in the order of their key, each row as Python values, compared."""

    def read(ctx: Any) -> None:
        with (
            connected(ctx.config.target) as target,
            closing(sqlite3.connect(latest_snapshot(ctx).path)) as source,
            target.cursor(SSCursor) as cursor,
        ):
            columns = ", ".join(row[1] for row in source.execute("PRAGMA table_info(orders)"))
            cursor.execute(f"SELECT {columns} FROM orders ORDER BY id")
            for mine in source.execute(f"SELECT {columns} FROM orders ORDER BY id"):
                theirs = cursor.fetchone()
                if theirs is None or any(
                    a != b and str(a) != str(b) and float(a) != float(b) for a, b in zip(mine, theirs, strict=True)
                ):
                    raise SystemExit(f"{mine} is not {theirs}")

    runner.ask(read)


def resync(runner: Runner) -> float:
    """What Cutover does in the window after a copy made before it; seconds without taking the snapshot, as above."""

    def brought(ctx: Context) -> float:
        outcomes = {**ctx.outcomes, "cutover.snapshot": transfer.take_last(ctx)}
        after = replace(ctx, outcomes=outcomes)
        seconds = timed(lambda: catchup.resync_all(after, "cutover.resync"))
        wrong = [proof for proof in validation.report(after).tables if proof.status != "equal"]
        if wrong:
            raise SystemExit(f"{wrong[0].table} is not equal after the re-sync: {wrong[0].differences[:1]}")
        return seconds

    return runner.ask(brought)


def change_some(path: Path) -> int:
    """Change one order in EVERY; how many they are."""
    with closing(sqlite3.connect(path)) as live:
        changed = live.execute(
            f"UPDATE orders SET total_amount = total_amount + 0.01, notes = 'changed' WHERE id % {EVERY} = 7"
        ).rowcount
        live.commit()
    return changed


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, help="Orders.")
@click.option("--runs", default=3, show_default=True, help="Of each way; the median counts.")
@click.option("--server", "kind", type=click.Choice(["mysql", "mariadb"]), default="mysql", show_default=True)
def main(rows: int, runs: int, kind: Kind) -> None:
    """Print one table: seconds of each way, and its ratio to the copy."""
    binary = find_servers()[kind]
    print(f"{binary}; Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores")
    taken: dict[str, list[float]] = {}
    changed = 0
    with tempfile.TemporaryDirectory(prefix="dixis-bench-") as scratch:
        folder = Path(scratch)
        server = start_server(binary, folder / "server")
        try:
            for _ in range(runs):
                part = Path(tempfile.mkdtemp(dir=folder))
                bench = Bench(server, part, rows)
                with bench.empty() as (runner, _name):
                    taken.setdefault("copy: rows and indexes", []).append(run_steps(runner, *COPY))
                    taken.setdefault("compare, every value", []).append(timed(lambda: compare(runner)))
                    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                    taken.setdefault("row by row in Python", []).append(timed(lambda: row_by_row(runner)))
                    changed = change_some(bench.source)
                    taken.setdefault(f"re-sync of 1 row in {EVERY}", []).append(resync(runner))
        finally:
            server.stop()
    middle = {way: statistics.median(seconds) for way, seconds in taken.items()}
    copy = middle["copy: rows and indexes"]
    print(f"{rows:,} orders, {changed:,} of them changed before the re-sync; medians of {runs} runs, seconds")
    print(f"{'':28}{'median':>8}{'min':>8}{'max':>8}{'/ copy':>8}")
    for way, seconds in taken.items():
        print(f"{way:28}{middle[way]:8.2f}{min(seconds):8.2f}{max(seconds):8.2f}{middle[way] / copy:8.2f}")
    print(f"compare / row by row: {middle['compare, every value'] / middle['row by row in Python']:.2f}")
    print(f"memory of the console after copy and compare, highest: {before / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
