"""How long preflight reads: the checks of data and schema beside the copy they speak for, and beside plain table scans.

The orders of the generator, on one server in one run; the ways take turns.
"""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import click

import checks
from bench.transfer import Bench
from dixis_tui.record import report
from dixis_tui.sandbox import Kind, find_servers, start_server
from dixis_tui.step import Step

SNAPSHOT, SCAN = "preflight.data.source", "preflight.data.scan"
# Asked of the application, which is not there.
ELSEWHERE = {"preflight.schema.pending"}


def asked() -> list[Step]:
    """The checks that read the source, and the server they ask."""
    families = ("preflight.data.", "preflight.schema.", "preflight.infra.server")
    return [step for step in checks.preflight() if step.id.startswith(families) and step.id not in ELSEWHERE]


def plain_scan(source: Path) -> float:
    """Seconds in which SQLite reads every value of every table once, and asks nothing of it but its length."""
    begun = time.perf_counter()
    with closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for name in names:
            columns = [row[0] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (name,))]
            sums = ", ".join(f'sum(length("{column}"))' for column in columns)
            connection.execute(f'SELECT {sums} FROM "{name}"').fetchone()
    return time.perf_counter() - begun


def once(bench: Bench) -> dict[str, float]:
    """One turn: a plain scan, the checks, the copy."""
    plain = plain_scan(bench.source)
    with bench.empty(asked()) as (runner, name):
        phase = runner.plan.phase("preflight")
        wanted = {step.id for step in asked()} - {SNAPSHOT, "preflight.infra.server"}
        told = report.preflight(runner, phase, wanted)
        return {
            "plain": plain,
            "scan": runner.state.step(SCAN).seconds or 0.0,
            "checks": told.summary.seconds,
            "copy": bench.copied(runner, name).seconds,
        }


TITLES = {
    "plain": "every value read once by SQLite",
    "scan": "the scan all checks share",
    "checks": "all checks of data and schema, the scan included",
    "copy": "the copy: data.prepare, the rows, data.indexes",
}


@click.command()
@click.option("--rows", multiple=True, type=int, default=(200_000, 1_000_000), show_default=True)
@click.option("--runs", default=3, show_default=True, help="The median counts.")
@click.option("--server", "kind", type=click.Choice(["mysql", "mariadb"]), default="mysql", show_default=True)
def main(rows: tuple[int, ...], runs: int, kind: Kind) -> None:
    """Print seconds, and their ratio to the copy."""
    binary = find_servers()[kind]
    print(f"{binary}; Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="dixis-bench-") as scratch:
        folder = Path(scratch)
        server = start_server(binary, folder / "server")
        try:
            for count in rows:
                part = folder / str(count)
                part.mkdir()
                bench = Bench(server, part, count)
                taken = []
                for _ in range(runs):
                    taken.append(once(bench))
                    print("  " + ", ".join(f"{k} {v:.1f}" for k, v in taken[-1].items()), file=sys.stderr, flush=True)
                print(f"\n{count:,} orders, medians of {runs} runs")
                middle = {name: statistics.median(one[name] for one in taken) for name in TITLES}
                for name, title in TITLES.items():
                    print(f"  {title:56}{middle[name]:8.1f} s{middle[name] / middle['copy']:8.2f} of the copy")
                shutil.rmtree(part)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
