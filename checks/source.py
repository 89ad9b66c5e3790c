"""Checks of the source. All of them read the snapshot that the first one takes."""

from __future__ import annotations

import sqlite3

import humanize

from checks.registry import Answer, check, good, problem
from dixis_tui.context import Context
from dixis_tui.source import SourceError, latest_snapshot, preflight_snapshot, reading, source_host


@check(
    "preflight.snapshot",
    "Source can be copied and is whole",
    why="Everything later reads consistent copies; a damaged source must be known before the window.",
    severity="fail",
    remedy="mend or restore the source: sqlite3 <file> 'PRAGMA integrity_check'",
)
def snapshot(ctx: Context) -> Answer:
    outcome = preflight_snapshot(ctx)
    if not outcome.status.settled:
        return problem(outcome.summary, *outcome.evidence, remedy=outcome.remedy)
    return good(outcome.summary, *outcome.evidence, facts=dict(outcome.facts))


@check(
    "preflight.source-size",
    "Size of the source",
    why="The window is planned by rows and bytes.",
    severity="warn",
    remedy="check that [source] path names the live database",
)
def size(ctx: Context) -> Answer:
    taken = latest_snapshot(ctx)
    with reading(taken) as connection:
        tables = [
            str(row[0])
            for row in connection.execute(
                "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
                " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
            )
        ]
        counts = {name: _count(connection, name) for name in tables}
    rows = sum(counts.values())
    summary = f"{len(tables)} tables, {rows:,} rows, {humanize.naturalsize(taken.size)}"
    largest = sorted(counts.items(), key=lambda item: -item[1])[:10]
    evidence = [f"{count:>12,}  {name}" for name, count in largest if count]
    if rows == 0:
        return problem(f"{summary}: there is nothing to migrate")
    return good(summary, *evidence, facts={"tables": len(tables), "rows": rows, "bytes": taken.size})


def _count(connection: sqlite3.Connection, table: str) -> int:
    quoted = '"' + table.replace('"', '""') + '"'
    return int(connection.execute(f"SELECT count(*) FROM {quoted}").fetchone()[0])


@check(
    "preflight.source-orphans",
    "Rows that refer to nothing",
    why="SQLite often never enforced its foreign keys; MySQL will not take such rows back once they are there.",
    severity="warn",
    remedy="mend or remove these rows in the shop, or decide with the database reviewer to carry them over",
)
def orphans(ctx: Context) -> Answer:
    try:
        with reading(latest_snapshot(ctx)) as connection:
            found = connection.execute(
                'SELECT "table", "parent", count(*), min("rowid") FROM pragma_foreign_key_check'
                " GROUP BY 1, 2 ORDER BY 1, 2"
            ).fetchall()
    except sqlite3.OperationalError as error:
        raise SourceError(
            f"SQLite cannot check its foreign keys: {error}.", "a foreign key may name a table that is not there"
        ) from error
    if found:
        lines = [f"{table} → {parent}: {count} rows, the first rowid {first}" for table, parent, count, first in found]
        return problem(f"{sum(row[2] for row in found)} rows refer to rows that are not there", *lines)
    return good("every foreign key finds its row", f"source on {source_host(ctx).name}")
